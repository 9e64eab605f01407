// Which page the address asks for, and how often it is asked again.

import { Refused } from "./airflow.js";
import { h } from "./dom.js";
import { named, runbook } from "./runbook.js";

const EACH_MS = 1000;
const AGAIN_MS = 5000;

const place = document.getElementById("page");
const news = document.getElementById("news");

/** Ask, show, and ask again as long as `draw` says so and somebody looks. */
class Watched {
  constructor(look, draw) {
    Object.assign(this, { look, draw, timer: null, isAlive: true, isAsking: false });
    document.addEventListener("visibilitychange", () => this.now());
  }

  /** Ask at once, unless nobody looks. */
  now() {
    clearTimeout(this.timer);
    if (document.visibilityState === "visible" && !this.isAsking) this.ask();
  }

  async ask() {
    this.isAsking = true;
    let waitMs = EACH_MS;
    try {
      this.isAlive = this.draw(await this.look());
      problem(null);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      problem(error.message);
      // A refusal stays one; a server that is away comes back.
      this.isAlive = error.status === 0 || error.status >= 500;
      waitMs = AGAIN_MS;
    } finally {
      this.isAsking = false;
    }
    if (this.isAlive) this.timer = setTimeout(() => this.now(), waitMs);
  }
}

const trouble = h("p.card.problem", { role: "alert", hidden: true });

function problem(message) {
  trouble.hidden = message === null;
  if (trouble.textContent !== (message ?? "")) trouble.textContent = message ?? "";
}

/** Say something to those who hear the page; not each second. */
export function announce(message) {
  if (news.textContent !== message) news.textContent = message;
}

async function begin() {
  const asked = new URLSearchParams(window.location.search);
  const [dagId, runId, backfillId] = ["dag_id", "run_id", "backfill_id"].map((name) => asked.get(name));
  const content = h("div");
  const section = named();
  place.replaceChildren(trouble, ...(section ? [h("section.card", {}, runbook(section, true))] : []), content);
  const name = dagId && runId ? "run" : dagId && backfillId ? "backfill" : dagId ? "report" : "reports";
  const page = await import(`./${name}.js`);
  const { look, draw } = page.open(content, { dagId, runId, backfillId, announce, again: () => watched.now() });
  const watched = new Watched(look, draw);
  watched.now();
}

begin();
