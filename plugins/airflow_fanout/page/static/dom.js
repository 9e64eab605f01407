// Elements and numbers. Text only ever becomes text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: `h("td.number", {title: "…"}, "text", child)`; a property that begins with "on" is a listener. */
export function h(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElement(tag || "div"), classes, properties, children);
}

/** The same for SVG. */
export function s(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  return fill(document.createElementNS(SVG, tag), classes, properties, children);
}

function fill(element, classes, properties, children) {
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set a width in percent. A style attribute is forbidden here, the object behind it isn't. */
export function wide(element, share) {
  element.style.width = `${Math.max(0, Math.min(100, share))}%`;
  return element;
}

const showing = new WeakMap();

/** Replace what a place shows, unless it shows the same already; what has the focus keeps it. */
export function show(place, data, build) {
  const key = JSON.stringify(data);
  if (showing.get(place) === key) return;
  showing.set(place, key);
  const content = build(data);
  const focused = place.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  place.replaceChildren(...(Array.isArray(content) ? content : [content]).filter(Boolean));
  if (focused !== null) refocus(place, focused);
}

const nameOf = (element) => `${element.tagName} ${element.getAttribute("aria-label") ?? element.textContent}`;

/** Give the focus to what is named like what has had it, or else to the place, so that Tab goes on from there. */
function refocus(place, name) {
  const named = [...place.querySelectorAll("a, button, input, summary, [tabindex]")].find((element) => nameOf(element) === name);
  if (!named) place.tabIndex = -1;
  (named ?? place).focus({ preventScroll: true });
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return "–";
  return Number(value).toLocaleString("en-US", { maximumFractionDigits: digits, minimumFractionDigits: digits });
}

/** A large number in little room: 12,345 as 12.3k. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  const units = [[1e9, "G"], [1e6, "M"], [1e4, "k"]];
  const unit = units.find(([size]) => Math.abs(value) >= size);
  if (!unit) return number(value, Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0);
  const scaled = unit[1] === "k" ? value / 1e3 : value / unit[0];
  return `${number(scaled, scaled < 100 ? 1 : 0)}${unit[1]}`;
}

export function rate(value) {
  if (value === null || value === undefined) return "–";
  return `${number(value, value < 10 ? 1 : 0)}/s`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 10) return `${number(seconds, 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${String(Math.round(seconds % 60)).padStart(2, "0")} s`;
  return `${Math.floor(seconds / 3600)} h ${String(Math.round((seconds % 3600) / 60)).padStart(2, "0")} min`;
}

/** A duration in as few signs as fit beside an axis. */
export function span(seconds) {
  const [size, unit] = seconds >= 5400 ? [3600, "h"] : seconds >= 100 ? [60, "min"] : [1, "s"];
  const value = seconds / size;
  return `${number(value, value < 10 && !Number.isInteger(value) ? 1 : 0)} ${unit}`;
}

/** A text that somebody else has written, cut to what there is room for. */
export function cut(text, longest = 300) {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** The same, with the rest of it for whoever wants to read on. */
export function long(text, longest = 300) {
  if (text.length <= longest) return text;
  return h("details.long", {}, h("summary", {}, cut(text, longest)), text.slice(longest));
}

/** What a state of a task is called. */
export function stateName(state) {
  const names = { none: "not begun", upstream_failed: "not run", up_for_retry: "retries soon" };
  return names[state] ?? state.replaceAll("_", " ");
}

export function badge(state) {
  return h(`span.badge.${state}`, {}, stateName(state));
}

export function millis(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms >= 1000 ? `${number(ms / 1000, 1)} s` : `${number(ms, ms < 10 ? 1 : 0)} ms`;
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  // Rounded down: 99.999 % is not yet all.
  return `${number(Math.floor(share * 1000) / 10, share === 1 ? 0 : 1)} %`;
}

/** A moment by the reader's clock, with its zone: people in several countries look at the same page. */
export function moment(text) {
  if (!text) return "–";
  return new Date(text).toLocaleString("en-GB", {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
}
