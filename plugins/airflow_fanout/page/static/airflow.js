// Where Airflow is, how it is asked, and how a link leads to one of its pages.

const HERE = "/fanout/page";
const path = window.location.pathname;
// Airflow itself may be below a path, such as /airflow.
export const base = path.endsWith(HERE) ? path.slice(0, -HERE.length) : "";

/** A refusal or no answer at all; `status` is 0 for the latter. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, { ...options, headers: { Accept: "application/json", ...options.headers } });
  } catch {
    throw new Refused(0, "Airflow doesn't answer.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, sentence(answer.status, body.detail));
  return body;
}

function sentence(status, detail) {
  if (status === 401) return "You are logged out. Log in to Airflow, then reload this page.";
  if (status === 403) return "You may not see this. Ask for read access to the DAG.";
  return typeof detail === "string" ? detail : `Airflow answered ${status}.`;
}

/** Clear tasks of a run with all that come after them, by Airflow's own API and the viewer's own rights. */
export function clear(dagId, runId, taskIds, dryRun) {
  return ask(`../api/v2/dags/${encodeURIComponent(dagId)}/clearTaskInstances`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      dry_run: dryRun,
      dag_run_id: runId,
      task_ids: taskIds,
      // After a failed validate the fetch task is green.
      only_failed: false,
      include_downstream: true,
    }),
  });
}

export const toRun = (dagId, runId) =>
  `/dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}/plugin/fanout-dag_run`;
export const toReport = (dagId) => `/dags/${encodeURIComponent(dagId)}/plugin/fanout-dag`;
export const toReports = () => "/plugin/fanout-nav";
export const toTask = (dagId, runId, taskId, mapIndex = -1) =>
  `/dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}/tasks/${encodeURIComponent(taskId)}` +
  (mapIndex >= 0 ? `/mapped/${mapIndex}` : "");

/** Lead to one of Airflow's pages. This page is in a frame, whose own links would put Airflow into that frame. */
export function lead(event, target) {
  if (window.parent === window || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  window.parent.history.pushState({}, "", base + target);
  window.parent.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
}
