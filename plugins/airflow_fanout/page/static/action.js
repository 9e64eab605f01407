// The one button: it clears the right tasks through Airflow's own API, by the viewer's own rights.

import { clear, Refused } from "./airflow.js";
import { h } from "./dom.js";

/** The button with what it costs, if a dry run says that the viewer may press it. */
export function advice(run, { label, cost, task_ids: taskIds }, again) {
  const note = h("p", { role: "status" }, cost);
  const place = h("div.act");
  if (label) offer();
  return place;

  async function offer() {
    try {
      const { total_entries: count } = await clear(run.dag_id, run.run_id, taskIds, true);
      if (!count) return;
    } catch (error) {
      // Whoever may not clear sees no button.
      if (error instanceof Refused) return;
      throw error;
    }
    const button = h("button.main", { type: "button", onclick: () => act(button) }, label);
    place.prepend(button, note);
  }

  async function act(button) {
    // A button that is disabled loses the focus, which then begins at the top of the page.
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    note.textContent = "Airflow is clearing the tasks …";
    try {
      await clear(run.dag_id, run.run_id, taskIds, false);
      note.textContent = "Cleared. The run continues in a moment.";
      again();
    } catch (error) {
      button.ariaDisabled = "false";
      note.textContent = error.message;
    }
  }
}
