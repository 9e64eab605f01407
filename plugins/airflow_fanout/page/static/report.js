// The page of a report over time: its days, their outcomes, and what they cost.

import { ask, lead, toReports, toRun } from "./airflow.js";
import { roving } from "./cursor.js";
import { badge, cut, duration, h, moment, number, percent, rate, short, show, span, stateName } from "./dom.js";
import { lines, stacked } from "./plots.js";
import { due } from "./reports.js";
import { KINDS, link, toBackfill } from "./run.js";

const RECENT = 60;
const LISTED = 30;
const DAY_MS = 86_400_000;
// So far from the usual, measured by the median of the distances to the median, that it is worth a look.
const UNUSUAL = 6;

export function open(place, { dagId, announce }) {
  const content = h("div");
  place.replaceChildren(content);
  document.title = dagId;

  function draw(dag) {
    show(content, dag, () => [
      heading(dag), dag.reports.map((report) => section(dag, report, dag.reports.length > 1)), backfills(dag),
    ].flat(2));
    announce(`${dag.dag_id}, ${dag.reports[0]?.runs.length ?? 0} runs`);
    return false;
  }
  return { look: () => ask(`data/dags/${encodeURIComponent(dagId)}`), draw };
}

function heading(dag) {
  const runs = dag.reports[0]?.runs ?? [];
  const good = runs.findLast(({ state }) => state === "success");
  const last = runs[runs.length - 1];
  return h("header", {},
    h("nav.trail", { "aria-label": "Breadcrumb" }, link("Reports", toReports(), "page")),
    h("div.head", {}, h("h1", {}, dag.dag_id), last ? badge(last.state) : null),
    h("p.meta", {},
      h("span", {}, "Last good day ", h("b", {}, good ? toLink(dag, good) : "none")),
      h("span", {}, "Next run due ", h("b", {}, due(dag))),
      h("span", {}, h("b", {}, number(runs.length)), runs.length >= dag.most ? " newest runs" : runs.length === 1 ? " run" : " runs")));
}

function toLink(dag, { run_id: runId, day }) {
  const href = `page?${new URLSearchParams({ dag_id: dag.dag_id, run_id: runId })}`;
  return link(day, toRun(dag.dag_id, runId), href);
}

function section(dag, { name, runs }, isNamed) {
  if (!runs.length) return h("p.card", {}, "There are no runs yet.");
  return [isNamed ? h("h2", {}, name) : null, calendar(dag, runs), outcomes(dag, runs), trends(runs), table(dag, runs)];
}

const lastRuns = (count) => (count === 1 ? "the last run" : `the last ${count} runs`);
const capital = (text) => text[0].toUpperCase() + text.slice(1);
const stateOf = (run) => (run.state === "success" && run.left_out ? "partial" : run.state);

/** A square for each day: the state of its last run. */
function calendar(dag, runs) {
  const days = new Map(runs.map((run) => [run.day, run]));
  const last = Date.parse(runs.reduce((most, { day }) => (day > most ? day : most), ""));
  const weekday = (new Date(last).getUTCDay() + 6) % 7;
  const first = last - (52 * 7 + weekday) * DAY_MS;
  const [squares, months] = [[], []];
  for (let at = first; at <= last; at += DAY_MS) {
    const day = new Date(at).toISOString().slice(0, 10);
    const run = days.get(day);
    if (day.endsWith("-01")) months.push([Math.floor((at - first) / (7 * DAY_MS)), day]);
    squares.push(run
      ? h(`a.${stateOf(run)}`, {
        href: `page?${new URLSearchParams({ dag_id: dag.dag_id, run_id: run.run_id })}`,
        title: `${day}: ${stateOf(run)}, ${number(run.documents)} documents`, "aria-label": `${day}: ${stateOf(run)}`,
        onclick: (event) => lead(event, toRun(dag.dag_id, run.run_id)),
      })
      : h("i", { title: `${day}: no run` }));
  }
  const scroll = h("div.scroll", { role: "group", "aria-label": "Days, by arrow keys" },
    h("div.months", { "aria-hidden": "true" }, months.map(([week, day]) => {
      const name = h("span", {}, new Date(day).toLocaleString("en-GB", { month: "short", timeZone: "UTC" }));
      name.style.left = `${(100 * week) / 53}%`;
      return name;
    })),
    roving(h("div.calendar", {}, squares), 7));
  // Where not all of it fits, the newest days are what somebody looks for.
  requestAnimationFrame(() => { scroll.scrollLeft = scroll.scrollWidth; });
  return h("div.card.days", {},
    h("div.head", {}, h("h2", {}, "Days"), h("span.keys", {}, "Arrow keys: a day or a week back and forth. Enter: the run.")), scroll);
}

function outcomes(dag, runs) {
  const recent = runs.slice(-RECENT);
  const used = KINDS.filter((kind) => recent.some(({ kinds }) => kinds[kind]));
  return stacked(`Outcomes of ${lastRuns(recent.length)}`, recent.map((run) => ({
    label: run.day,
    title: `${run.day}, ${run.origin}: ${run.state}. ${used.filter((kind) => run.kinds[kind])
      .map((kind) => `${number(run.kinds[kind])} ${kind}`).join(", ")}`,
    parts: used.map((kind) => [kind, run.kinds[kind] ?? 0]),
    mark: run.state === "failed" ? "failed" : ["manual", "backfill"].find((type) => type === run.run_type),
    click: (event) => lead(event, toRun(dag.dag_id, run.run_id)),
  })), used);
}

function trends(runs) {
  const ticks = [[0, runs[0].day], [runs.length - 1, runs[runs.length - 1].day]];
  const when = (place) => runs[place].day;
  const plot = (title, name, format, options = {}) => {
    const values = runs.map((run, place) => [place, run[name]]);
    return lines(title, [{ name: "last", color: options.color ?? "first", values }],
      { ticks, format, when, mark: unusual(values), ...options });
  };
  return h("div.plots", {},
    plot("Duration", "seconds", span), plot("Requests per second", "rate_per_s", rate),
    plot("Documents", "documents", short, { color: "ok" }),
    plot("Coverage", "coverage", percent, { color: "ok", ...floor(runs) }),
    plot("Requests", "requests", short), plot("Parameters", "parameters", short));
}

/** Where the axis of shares begins: near the lowest, or a line at the top says nothing. */
function floor(runs) {
  const low = Math.min(1, ...runs.map(({ coverage }) => coverage).filter((share) => share !== null));
  return { from: low > 0.9 ? 0.9 : low > 0.5 ? 0.5 : 0, top: 1 };
}

function unusual(values) {
  const known = values.filter(([, value]) => value !== null && value !== undefined);
  if (known.length < 8) return [];
  const usual = median(known.map(([, value]) => value));
  const distance = median(known.map(([, value]) => Math.abs(value - usual))) || usual * 0.02;
  return known.filter(([, value]) => Math.abs(value - usual) > UNUSUAL * distance);
}

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}

function table(dag, runs) {
  const names = ["Day", "State", "Started", "Documents", "Missing", "Requests", "Rate", "Duration"];
  return h("div.card", {}, h("h2", {}, capital(lastRuns(Math.min(LISTED, runs.length)))),
    h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Runs" }, h("table", {},
      h("thead", {}, h("tr", {}, names.map((name, place) => h(place > 2 ? "th.number" : "th", { scope: "col" }, name)))),
      h("tbody", {}, runs.slice(-LISTED).reverse().map((run) => h("tr", {},
        h("td.nowrap", {}, toLink(dag, run)), h("td", {}, badge(stateOf(run))),
        h("td", {}, run.backfill_id ? toBackfill({ ...run, dag_id: dag.dag_id }, run.origin) : run.origin), h("td.number", {}, number(run.documents)), h("td.number", {}, missing(run)),
        h("td.number", {}, number(run.requests)), h("td.number", {}, rate(run.rate_per_s)),
        h("td.number", {}, duration(run.seconds))))))));
}

const BACKFILLS = ["Backfill", "From", "To", "Days", "Started by", "State"];

function backfills({ dag_id: dagId, backfills: all }) {
  if (!all.length) return [];
  return h("div.card", {}, h("h2", {}, "Backfills"),
    h("div.scroll", { tabindex: 0, role: "region", "aria-label": "Backfills" }, h("table", {},
      h("thead", {}, h("tr", {}, BACKFILLS.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, all.map((each) => h("tr", {},
        h("td", {}, toBackfill({ dag_id: dagId, backfill_id: each.id }, `Backfill ${each.id}`)),
        h("td.nowrap", {}, each.begin), h("td.nowrap", {}, each.end),
        h("td", {}, counts(each.days)), h("td", {}, each.by ? cut(each.by, 60) : "–"),
        h("td", {}, progressOf(each))))))));
}

/** How many days of a backfill are in which state. */
export function counts(days) {
  return Object.entries(days).sort(([, few], [, many]) => many - few).map(([state, count]) => `${number(count)} ${stateName(state)}`).join(", ") || "none";
}

export function progressOf({ completed, paused }) {
  return completed ? `completed ${moment(completed)}` : paused ? "paused" : "under way";
}

function missing({ kinds, parameters, coverage }) {
  if (coverage !== null && parameters) return number(Math.round((1 - coverage) * parameters));
  const bad = KINDS.filter((kind) => kind !== "ok" && kind !== "null").reduce((sum, kind) => sum + (kinds[kind] ?? 0), 0);
  return Object.keys(kinds).length ? number(bad) : "–";
}
