// What failed in a run: the checks, the causes with samples, and which parameters have no good result.

import { ask } from "./airflow.js";
import { h, long, number, show } from "./dom.js";

export function failures(run, report, { fetch, validate }) {
  const verdict = validate?.state === "success" || validate?.state === "failed" ? validate.numbers : {};
  const causes = verdict.causes?.length ? verdict.causes : noted(validate) ?? noted(fetch) ?? [];
  const checks = verdict.checks_run ?? [];
  const isOver = !run.alive && fetch && fetch.state !== "none";
  const missing = causes.reduce((sum, { count }) => sum + count, 0);
  return [
    causes.length || checks.length
      ? h("div.two", {}, causes.length ? causeTable(causes) : null, checks.length ? checkList(checks) : null) : null,
    isOver && missing ? missingTable(run, report) : null,
  ];
}

/** The causes as a failure's note has them, without samples: all that is left where the verdict is gone. */
function noted(step) {
  const totals = new Map();
  for (const { counts } of step?.failures ?? []) {
    for (const [cause, count] of Object.entries(counts?.causes ?? {})) totals.set(cause, (totals.get(cause) ?? 0) + count);
  }
  return totals.size ? [...totals].map(([cause, count]) => ({ cause, count, samples: [] })) : null;
}

// A cause begins with its kind, as in "http_error 404".
const kindOf = (cause) => (/^[a-z_]+/.exec(cause) ?? [""])[0];

function causeTable(causes) {
  return h("div.card", {}, h("h2", {}, "Why results are missing"),
    h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Cause"), h("th.number", { scope: "col" }, "Parameters"))),
      h("tbody", {}, causes.map(({ cause, count, samples }) => h("tr", {},
        h("td", {}, h("b", {}, h(`i.dot.${kindOf(cause)}`), long(cause)),
          samples.length ? h("ul.samples", {}, samples.map((sample) => h("li", {}, long(sample)))) : null),
        h("td.number", {}, number(count)))))));
}

function checkList(checks) {
  return h("div.card", {}, h("h2", {}, "Checks"),
    h("table", {}, h("tbody", {}, checks.map(({ check, problem }) => h("tr", {},
      h("td", {}, h(`span.mark.${problem ? "bad" : "good"}`, { "aria-hidden": "true" }, problem ? "✕" : "✓"),
        h("b", {}, long(check)), h("span.muted", {}, problem ? " failed" : " passed"),
        problem ? h("div.samples", {}, long(problem)) : null))))));
}

/** The parameters without a good result, from the staging area: a page at a time, searched by the server. */
function missingTable(run, report) {
  const address = `data/dags/${encodeURIComponent(run.dag_id)}/runs/${encodeURIComponent(run.run_id)}/missing`;
  const query = () => new URLSearchParams({ report: report.name, search: input.value, offset });
  const body = h("div", { "aria-live": "polite" });
  const input = h("input", { type: "search", placeholder: "Search", maxlength: 200, "aria-label": "Search the parameters" });
  const csv = h("a.button", { href: `${address}.csv?${new URLSearchParams({ report: report.name })}`, download: "missing.csv" }, "CSV");
  const earlier = h("button", { type: "button", onclick: () => turn(-1) }, "Previous");
  const later = h("button", { type: "button", onclick: () => turn(1) }, "Next");
  const tools = h("div.tools", {}, input, h("span.grow"), earlier, later, csv);
  let [offset, page, timer] = [0, 100, null];
  const enable = (button, isEnabled) => { button.ariaDisabled = String(!isEnabled); };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { offset = 0; load(); }, 250);
  });
  load();
  return h("div.card", {}, h("h2", {}, "Which parameters have no good result"), tools, body);

  function turn(step) {
    // A button that is disabled would lose the focus to the top of the page.
    if ((step < 0 ? earlier : later).ariaDisabled === "true") return;
    offset = Math.max(0, offset + step * page);
    load();
  }

  async function load() {
    let listed;
    try {
      listed = await ask(`${address}?${query()}`);
    } catch (error) {
      tools.hidden = true;
      // Whoever may not read the log may not see them.
      show(body, error.message, () => h("p.muted", {}, error.status === 403 ? "You see them if you may read this task's log." : long(error.message)));
      return;
    }
    page = listed.page;
    enable(earlier, offset > 0);
    enable(later, offset + page < listed.total);
    csv.href = `${address}.csv?${new URLSearchParams({ report: report.name, search: input.value })}`;
    show(body, listed, rowsOf);
  }
}

function rowsOf({ rows, total, offset, shown }) {
  if (!rows.length) return h("p.muted", {}, "None.");
  const masked = shown ? "" : " They are masked, because the report doesn't show its parameters.";
  return [
    h("p.muted", {}, `${number(offset + 1)} to ${number(offset + rows.length)} of ${number(total)}.${masked}`),
    h("div.scroll.tall", { tabindex: 0, role: "region", "aria-label": "Parameters" }, h("table", {},
      h("thead", {}, h("tr", {}, ["#", "Parameter", "Outcome", "Status", "Attempts", "What happened"].map((name) =>
        h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {},
        h("td.nowrap", {}, row.index), h("td.name", {}, long(row.parameter, 200)),
        h("td.nowrap", {}, h(`i.dot.${row.kind}`), row.kind.replaceAll("_", " ")),
        h("td", {}, row.status ?? "–"), h("td", {}, row.attempts), h("td", {}, long(row.message))))))),
  ];
}
