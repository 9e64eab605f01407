// The page of a backfill: which days somebody wanted, and how far each of them is.

import { ask, lead, toReports, toRun } from "./airflow.js";
import { roving } from "./cursor.js";
import { badge, cut, duration, h, moment, number, show } from "./dom.js";
import { counts, progressOf } from "./report.js";
import { link } from "./run.js";

const ALIVE = ["queued", "running"];

export function open(place, { dagId, backfillId, announce }) {
  const content = h("div");
  place.replaceChildren(content);
  document.title = `${dagId} · backfill ${backfillId}`;

  function draw(backfill) {
    show(content, backfill, () => [heading(backfill), squares(backfill), ...tables(backfill)]);
    announce(`Backfill ${backfill.id}: ${counts(backfill.days_by_state)}`);
    return backfill.days.some(({ state }) => ALIVE.includes(state));
  }
  return { look: () => ask(`data/dags/${encodeURIComponent(dagId)}/backfills/${encodeURIComponent(backfillId)}`), draw };
}

function heading(backfill) {
  return h("header", {},
    h("nav.trail", { "aria-label": "Breadcrumb" }, link("Reports", toReports(), "page"), " / ",
      // In this frame: Airflow is on the report's page already, and wouldn't load it again.
      h("a", { href: `page?${new URLSearchParams({ dag_id: backfill.dag_id })}` }, backfill.dag_id)),
    h("div.head", {}, h("h1", {}, `Backfill ${backfill.id} of ${backfill.dag_id}`)),
    h("p.meta", {},
      h("span", {}, "From ", h("b", {}, backfill.begin), " to ", h("b", {}, backfill.end)),
      h("span", {}, "Started ", h("b", {}, moment(backfill.created)),
        backfill.by ? [" by ", h("b", {}, cut(backfill.by, 60))] : null),
      h("span", {}, h("b", {}, progressOf(backfill))),
      h("span", {}, "Days: ", h("b", {}, counts(backfill.days_by_state)))));
}

const toDay = (backfill, { run_id: runId }) => [
  toRun(backfill.dag_id, runId), `page?${new URLSearchParams({ dag_id: backfill.dag_id, run_id: runId })}`,
];

/** A square for each day, in the backfill's order. */
function squares(backfill) {
  const days = h("div.squares", { role: "group", "aria-label": "Days, by arrow keys" }, backfill.days.map((day) => {
    const name = `${day.day}: ${worded(day)}`;
    if (!day.run_id) return h("i", { title: name });
    const [target, href] = toDay(backfill, day);
    return h(`a.${day.state}`, { href, title: name, "aria-label": name, onclick: (event) => lead(event, target) });
  }));
  return h("div.card.days", {},
    h("div.head", {}, h("h2", {}, "Days"), h("span.keys", {}, "Arrow keys: a day back and forth. Enter: the run.")), roving(days, 1));
}

const worded = ({ state, reason }) => (reason ? `${state}, ${reason}` : state);

function tables(backfill) {
  return backfill.reports.map(({ name, runs }) => {
    const byId = new Map(runs.map((run) => [run.run_id, run]));
    return h("div.card", {}, h("h2", {}, backfill.reports.length > 1 ? name : "Each day"),
      h("div.scroll.tall", { tabindex: 0, role: "region", "aria-label": "Each day" }, h("table", {},
        h("thead", {}, h("tr", {}, ["Day", "State", "Documents", "Requests", "Duration"].map((column, place) =>
          h(place > 1 ? "th.number" : "th", { scope: "col" }, column)))),
        h("tbody", {}, backfill.days.map((day) => row(backfill, day, byId.get(day.run_id) ?? {}))))));
  });
}

function row(backfill, day, run) {
  return h("tr", {},
    h("td.nowrap", {}, day.run_id ? link(day.day, ...toDay(backfill, day)) : day.day),
    h("td", {}, badge(day.state), day.reason ? h("span.muted", {}, ` ${day.reason}`) : null),
    h("td.number", {}, number(run.documents)), h("td.number", {}, number(run.requests)),
    h("td.number", {}, duration(run.seconds)));
}
