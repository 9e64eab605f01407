// The page of a run: what it is doing, how far each step is, what failed, and what to do.

import { ask, lead, toReport, toReports, toTask } from "./airflow.js";
import { advice } from "./action.js";
import { badge, cut, duration, h, long, millis, moment, number, rate, short, show, span, wide } from "./dom.js";
import { failures } from "./failures.js";
import { lines } from "./plots.js";
import { runbook } from "./runbook.js";

export const KINDS = [
  "ok", "null", "http_error", "api_error", "timeout", "connection_error", "invalid", "error", "not_tried",
];

export function open(place, { dagId, runId, announce, again }) {
  const address = `data/dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`;
  const head = h("header");
  const reports = h("div");
  const places = new Map();
  place.replaceChildren(head, reports);
  document.title = `${dagId} · ${runId}`;

  function draw(run) {
    show(head, { ...run, reports: null, seconds: run.alive && run.seconds !== null ? Math.round(run.seconds) : run.seconds }, heading);
    if (!run.reports.length) {
      show(reports, "none", () => h("p.card", {}, "This DAG has no report of airflow-fanout."));
      return false;
    }
    for (const report of run.reports) {
      if (!places.has(report.name)) places.set(report.name, sections(reports, run, report, again));
      places.get(report.name)(run, report);
    }
    announce(run.reports.map(({ says, steps }) => steps.some(({ state }) => state === "running")
      ? `${steps.find(({ state }) => state === "running").name} is running.` : says.headline).join(" "));
    return run.alive;
  }
  return { look: () => ask(address), draw };
}

function heading(run) {
  return [
    h("nav.trail", { "aria-label": "Breadcrumb" },
      link("Reports", toReports(), "page"), " / ",
      link(run.dag_id, toReport(run.dag_id), `page?dag_id=${encodeURIComponent(run.dag_id)}`)),
    h("div.head", {},
      h("h1", {}, run.dag_id, run.day ? [" for ", h("span.nowrap", {}, run.day)] : null), badge(run.state)),
    h("p.meta", {},
      h("span", {}, "Started ", h("b", {}, run.backfill_id ? toBackfill(run, run.origin) : run.origin),
        run.by ? [" by ", h("b", {}, long(run.by, 120))] : null),
      run.start ? h("span", {}, moment(run.start)) : null,
      run.seconds === null ? null : h("span", {}, "Duration ", h("b", {}, duration(run.seconds))),
      run.params.map(([name, value]) => h("span", {}, `${cut(name, 60)} = `, h("b", {}, long(String(value), 120))))),
  ];
}

/** A link to a backfill's days: Airflow has no page of its own for it, so it stays in this frame. */
export function toBackfill({ dag_id: dagId, backfill_id: backfillId }, text) {
  return h("a", { href: `page?${new URLSearchParams({ dag_id: dagId, backfill_id: backfillId })}` }, text);
}

/** A link to a page of Airflow's; the address is where it leads when this page isn't in Airflow. */
export function link(text, target, href) {
  return h("a", { href: href ?? `..${target}`, onclick: (event) => lead(event, target) }, text);
}

function sections(place, run, report, again) {
  const parts = ["says", "funnel", "progress", "trouble", "plots"].map(() => h("section"));
  const [says, funnel, progress, trouble, plots] = parts;
  const title = run.reports.length > 1 ? h("h2", {}, report.name) : null;
  place.append(...[title, ...parts].filter(Boolean));
  return (current, fresh) => {
    const byName = Object.fromEntries(fresh.steps.map((step) => [step.name, step]));
    show(says, [fresh.says, fresh.advice, current.alive], () => sentence(current, fresh, again));
    show(funnel, fresh.steps.map((step) => ({ ...step, seconds: shown(step), failures: null })),
      () => h("ol.funnel", {}, fresh.steps.map((step) => funnelStep(current, step))));
    const { fetch } = byName;
    show(progress, [fetch?.numbers, fetch?.shards], () => (fetch?.numbers.parameters ? bars(fetch) : null));
    show(plots, fetch?.numbers.course ?? fetch?.shards.map(({ numbers }) => numbers.course), () => course(fetch));
    show(trouble, [byName.validate, byName.fetch?.failures, byName.fetch?.state, current.alive],
      () => failures(current, fresh, byName));
  };
}

// A step that runs is a second older each second; one that is over isn't.
const shown = ({ end, seconds }) => (end || seconds === null ? seconds : Math.floor(seconds));

function sentence(run, report, again) {
  const { tone, headline, detail } = report.says;
  return h(`div.card.says.${tone}`, {},
    h("div", {}, h("div.headline", {}, long(headline, 400)), detail ? h("p.detail", { tabindex: detail.length > 600 ? 0 : null }, detail) : null,
      report.advice?.before ? h("p.before", {}, h("b", {}, "First: "), report.advice.before) : null),
    report.advice ? advice(run, report.advice, again) : null,
    report.advice ? runbook(report.advice.section) : null);
}

const BIG = {
  extract: ({ numbers }) => [numbers.parameters ?? numbers.items, "parameters",
    numbers.duplicates ? `${number(numbers.duplicates)} duplicates dropped` : ""],
  fetch: ({ numbers }) => [numbers.ok, "results", numbers.requests ? `${number(numbers.requests)} requests` : ""],
  validate: ({ numbers }) => [valid(numbers), "valid", validated(numbers)],
  load: ({ numbers }) => [numbers.documents ?? numbers.done, "documents", numbers.collection ?? numbers.step ?? ""],
};

/** How many parameters have a good result: not only those that are ok, if the report takes others, too. */
function valid({ coverage, parameters, ok, done }) {
  return coverage === undefined || coverage === null ? ok ?? done : Math.round(coverage * parameters);
}

function validated({ checks_run: checks, checks: count, step }) {
  if (checks?.length) {
    const bad = checks.filter(({ problem }) => problem).length;
    return bad ? `${bad} of ${checks.length} checks failed` : `${checks.length} checks passed`;
  }
  return count ? `${count} checks passed` : step ?? "";
}

function funnelStep(run, step) {
  const [value, unit, small] = BIG[step.name](step);
  const tries = step.tries > 1 ? ` · try ${step.tries}` : "";
  return h(`li.step.${step.state}`, {},
    h("div.top", {}, h("h3", {}, link(step.name, toTask(run.dag_id, run.run_id, step.task_ids[0]))),
      badge(step.state)),
    h("p.big", {}, number(value), " ", h("span.unit", {}, value === 1 ? unit.replace(/s$/, "") : unit)),
    h("div.small", {}, long(String(small), 80)),
    h("p.time", {}, step.seconds === null ? "" : `${duration(step.seconds)}${tries}`));
}

function bars({ numbers, shards, state }) {
  // One shard that has failed doesn't stop the others.
  const isRunning = state === "running" || shards.some((shard) => shard.state === "running");
  const isWaiting = isRunning && Boolean(numbers.waits_for);
  const share = numbers.parameters ? (100 * (numbers.done ?? 0)) / numbers.parameters : 100;
  const spoken = `${number(numbers.done)} of ${number(numbers.parameters)} parameters`;
  return h("div.card", {},
    h("h2", {}, "Requests"),
    h("p.numbers", {},
      h("span.big", {}, h("b", {}, number(numbers.done)), h("span", {}, ` of ${number(numbers.parameters)}`)),
      // The rate of the last seconds means nothing while nothing moves.
      isWaiting ? null : h("span", {}, h("b", {}, rate(numbers.rate_per_s)), isRunning ? "" : " on average"),
      isRunning && !isWaiting ? h("span", {}, h("b", {}, numbers.left_s === null || numbers.left_s === undefined ? "–" : duration(numbers.left_s)), " left") : null,
      isRunning ? h("span", {}, h("b", {}, number(numbers.in_flight)), " in flight") : null,
      h("span", {}, "p50 ", h("b", {}, millis(numbers.p50_ms))), h("span", {}, "p95 ", h("b", {}, millis(numbers.p95_ms))),
      numbers.resumed ? h("span", {}, h("b", {}, number(numbers.resumed)), " from an earlier try") : null),
    h("div.track", {
      role: "progressbar", "aria-label": "Parameters that are done", "aria-valuemin": 0, "aria-valuemax": 100,
      "aria-valuenow": Math.floor(share), "aria-valuetext": spoken,
    }, track(numbers)),
    h("div.legend", {}, KINDS.filter((kind) => numbers.kinds?.[kind]).map((kind) => h("span", {},
      h(`i.dot.${kind}`), `${kind.replaceAll("_", " ")} `, h("b", {}, number(numbers.kinds[kind]))))),
    failedAttempts(numbers),
    // While the fetch runs, the sentence above says it.
    isRunning ? null : budgetLine(numbers.budget),
    shards.length ? shardTable(shards) : null);
}

/** Why attempts have failed so far; most of them are repeated. */
function failedAttempts({ failures = {}, waiting }) {
  const causes = Object.entries(failures).sort(([, one], [, other]) => other - one);
  if (!causes.length) return null;
  const again = waiting ? `, ${number(waiting)} parameters wait for another one` : "";
  return h("p.legend.attempts", {}, h("span", {}, `Failed attempts${again}: `),
    causes.map(([cause, count]) => h("span", {}, long(cause.replaceAll("_", " "), 120), " ", h("b", {}, `× ${number(count)}`))));
}

/** The budget that the fetch shares with others: its share, what is left, and until when. */
function budgetLine(budget) {
  if (!budget) return null;
  const { name, rate_per_s: whole, share_per_s: share, clients, left, renewal, waits_for: waits } = budget;
  const others = clients > 1 ? ` shared by ${number(clients)} fetches` : "";
  return h("p.legend.attempts", {},
    h("span", {}, "Budget ", h("b", {}, cut(String(name), 60)), others),
    share ? h("span", {}, h("b", {}, rate(share)), whole ? ` of ${rate(whole)}` : "") : null,
    left === null || left === undefined ? null
      : h("span", {}, h("b", {}, number(left)), ` requests left${renewal ? ` until ${moment(renewal)}` : ""}`),
    waits ? h("span", {}, "waits for ", long(String(waits), 120)) : null,
    budget.is_offline ? h("span", {}, "it can't be reached") : null);
}

const track = ({ kinds = {}, parameters }) => KINDS.filter((kind) => kinds[kind])
  .map((kind) => wide(h(`i.${kind}`), (100 * kinds[kind]) / (parameters || 1)));

function shardTable(shards) {
  return h("div.scroll.tall", { tabindex: 0, role: "region", "aria-label": "Shards" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Shard", "State", "", "Done", "Rate", "Left"].map((name, place) =>
      h(place > 2 ? "th.number" : "th", { scope: "col" }, name || h("span.hidden", {}, "Progress"))))),
    h("tbody", {}, shards.map(({ map_index: index, state, numbers }) => h("tr", {},
      h("td", {}, index), h("td", {}, badge(state)),
      h("td", {}, h("div.track.thin", {}, track(numbers))),
      h("td.number", {}, numbers.parameters ? `${number(numbers.done)} of ${number(numbers.parameters)}` : "–"),
      h("td.number", {}, rate(numbers.rate_per_s)),
      h("td.number", {}, state === "running" ? duration(numbers.left_s) : "–"))))));
}

/** The plots of a fetch; over several shards, sums of what they did at the same second. */
function course(fetch) {
  if (!fetch) return null;
  const tables = fetch.numbers.course ? [fetch.numbers.course] : fetch.shards.map(({ numbers }) => numbers.course).filter(Boolean);
  const columns = tables.map((table) => rows(table));
  if (!columns.some((table) => table.length > 1)) return null;
  const joined = columns.length === 1 ? columns[0] : sums(columns);
  const pick = (name) => joined.map((row) => [row.s, row[name]]);
  const last = joined[joined.length - 1].s;
  const ticks = [[joined[0].s, `${joined[0].s} s`], [last, span(last)]];
  const when = (at) => `after ${number(at)} s`;
  const slowest = columns.length > 1 ? " (slowest shard)" : "";
  return h("div.plots", {},
    lines("Done per second", [{ name: "parameters", color: "ok", values: pick("per_s") }], { ticks, when }),
    lines(`Latency${slowest}`, [
      { name: "p50", color: "first", values: pick("p50_ms") }, { name: "p95", color: "second", values: pick("p95_ms") },
    ], { ticks, when, format: millis }),
    lines("Concurrency", [
      { name: "in flight", color: "first", values: pick("in_flight") }, { name: "limit", color: "second", values: pick("limit") },
    ], { ticks, when, format: short }));
}

const rows = (table) => table.rows.map((row) => Object.fromEntries(table.columns.map((name, place) => [name, row[place]])));

function sums(tables) {
  const longest = tables.reduce((most, table) => (table.length > most.length ? table : most));
  return longest.map(({ s }) => {
    const now = tables.map((table) => table.findLast((row) => row.s <= s)).filter(Boolean);
    const total = (name) => now.reduce((sum, row) => sum + (row[name] ?? 0), 0);
    const most = (name) => now.reduce((high, row) => Math.max(high, row[name] ?? 0), 0) || null;
    return { s, per_s: total("per_s"), in_flight: total("in_flight"), limit: total("limit"), p50_ms: most("p50_ms"), p95_ms: most("p95_ms") };
  });
}
