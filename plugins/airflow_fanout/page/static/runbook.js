// The runbook's section about a failure, for this version of the plugin.

import { ask } from "./airflow.js";
import { h } from "./dom.js";

/** The section that a link to this page names after a `#`, as those of alerts do; it is in Airflow's own address. */
export const named = () => window.parent.location.hash.replace(/[^\w-]/g, "");

export function runbook(section, isOpen = false) {
  const body = h("div.runbook", {}, h("p.muted", {}, "…"));
  const title = h("summary", {}, "From the runbook");
  load();
  return h(isOpen ? "details" : "details.beside", { open: isOpen }, title, body);

  async function load() {
    try {
      const { title: named, blocks } = await ask(`data/runbook/${encodeURIComponent(section)}`);
      title.textContent = `From the runbook: ${named}`;
      body.replaceChildren(...blocks.map(block));
    } catch (error) {
      body.replaceChildren(h("p.muted", {}, error.message));
    }
  }
}

function block({ kind, text, items }) {
  if (kind === "code") return h("pre", {}, text);
  if (kind === "ol" || kind === "ul") return h(kind, {}, items.map((item) => h("li", {}, inline(item))));
  return h("p", {}, inline(text));
}

// Code, strong, emphasis, and links, whose text is kept: they lead to files that aren't here.
const MARKS = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\([^)]*\)/g;

function inline(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(MARKS)) {
    parts.push(text.slice(end, match.index));
    const [, code, strong, emphasis, link] = match;
    if (code) parts.push(h("code", {}, code));
    else if (strong) parts.push(h("b", {}, strong));
    else if (emphasis) parts.push(h("em", {}, emphasis));
    else parts.push(...inline(link));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}
