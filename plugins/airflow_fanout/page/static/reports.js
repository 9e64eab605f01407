// All reports: one row each, those that need somebody first.

import { ask, toReport, toRun } from "./airflow.js";
import { badge, h, moment, number, show } from "./dom.js";
import { sparkline } from "./plots.js";
import { link } from "./run.js";

const NAMES = ["Report", "State", "Last good day", "Documents", "Next run due", "Last runs"];

export function open(place, { announce }) {
  const table = h("div");
  place.replaceChildren(h("header", {}, h("div.head", {}, h("h1", {}, "Reports")), h("p.meta")), table);

  function draw(reports) {
    show(table, reports, () => (reports.length ? rows(reports) : h("p.card", {}, "There are no reports that you may see.")));
    announce(`${reports.length} reports`);
    return false;
  }
  return { look: () => ask("data/reports"), draw };
}

const MISSED = { deadline: "It should have been loaded by then.", schedule: "Its next run should have begun then." };

/** When the next run is due, and since when the report is late. */
export function due({ due: at, late, paused }) {
  if (late) return h("span.badge.late", { title: MISSED[late.missed] }, `late since ${moment(late.since)}`);
  return paused ? "paused" : moment(at);
}

const page = (parts) => `page?${new URLSearchParams(parts)}`;

function rows(reports) {
  return h("div.card", {}, h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Reports" }, h("table", {},
    h("thead", {}, h("tr", {}, NAMES.map((name) => h(name === "Documents" ? "th.number" : "th", { scope: "col" }, name)))),
    h("tbody", {}, reports.map(row)))));
}

function row(report) {
  const { dag_id: dagId, runs } = report;
  const run = (text, runId) => link(text, toRun(dagId, runId), page({ dag_id: dagId, run_id: runId }));
  const failed = runs.map(({ state }) => state === "failed");
  const label = `${runs.length} runs, ${failed.filter(Boolean).length} failed`;
  return h("tr", {},
    h("td.name", {}, h("b", {}, link(dagId, toReport(dagId), page({ dag_id: dagId })))),
    h("td", {}, report.run_id ? run(badge(report.state), report.run_id) : h("span.badge", {}, "no run")),
    h("td.nowrap", {}, report.good_run_id ? run(report.good_day, report.good_run_id) : "none"),
    h("td.number", {}, number(report.documents)),
    h("td.nowrap", {}, due(report)),
    h("td", {}, runs.length ? sparkline(runs.map(({ documents }) => documents), failed, label) : "–"));
}
