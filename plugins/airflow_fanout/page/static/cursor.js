// A plot is read place by place: with the arrow keys, or under the pointer.

import { h } from "./dom.js";

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
// Where each plot was read last, by its title: a page that is alive draws its plots again each second.
const places = new Map();

/**
 * Let a plot be read. `readings` are the texts of its places, from the left to the right; `enter` opens one of them.
 * Returns what to put over a drawing whose places are at `x(place)` in pixels.
 */
export function readable(plot, title, readings, enter) {
  const last = readings.length - 1;
  const mark = h("i.cursor", { "aria-hidden": "true" });
  const text = h("div.reading", { "aria-hidden": "true" });
  let x = () => 0;
  // The newest value is what somebody looks for.
  move(Math.min(places.get(title) ?? last, last));
  const attributes = { role: "slider", tabindex: 0, "aria-label": title, "aria-valuemin": 0, "aria-valuemax": last };
  for (const [name, value] of Object.entries(attributes)) plot.setAttribute(name, value);
  plot.addEventListener("keydown", pressed);
  plot.addEventListener("pointermove", pointed);
  return (at) => {
    x = at;
    move(Number(plot.getAttribute("aria-valuenow")));
    return [mark, text];
  };

  function pressed(event) {
    const step = STEPS[event.key];
    const place = Number(plot.getAttribute("aria-valuenow"));
    if (event.key === "Enter" && enter) enter(event, place);
    if (step === undefined) return;
    event.preventDefault();
    places.set(title, Math.max(0, Math.min(last, place + step)));
    // At the end, it stays with the newest one.
    if (places.get(title) === last) places.delete(title);
    move(places.get(title) ?? last);
  }

  function pointed({ clientX }) {
    const from = clientX - plot.getBoundingClientRect().left;
    const distances = readings.map((_, place) => Math.abs(x(place) - from));
    move(distances.indexOf(Math.min(...distances)));
  }

  function move(place) {
    plot.setAttribute("aria-valuenow", place);
    plot.setAttribute("aria-valuetext", readings[place]);
    text.textContent = readings[place];
    mark.style.left = `${x(place)}px`;
  }
}

/** Make links a group that Tab enters once; arrow keys move within it, the left and right ones by `width` places. */
export function roving(group, width) {
  const links = [...group.querySelectorAll("a")];
  if (!links.length) return group;
  let current = links[links.length - 1];
  for (const link of links) link.tabIndex = link === current ? 0 : -1;
  group.addEventListener("focusin", ({ target }) => {
    current.tabIndex = -1;
    current = target;
    current.tabIndex = 0;
  });
  group.addEventListener("keydown", (event) => {
    const target = next(event.key);
    if (target === null) return;
    event.preventDefault();
    target?.focus();
  });
  return group;

  function next(key) {
    const all = [...group.children];
    const before = (place) => links.findLast((link) => all.indexOf(link) <= place);
    const after = (place) => links.find((link) => all.indexOf(link) >= place);
    const here = all.indexOf(current);
    switch (key) {
      case "ArrowUp": return before(here - 1);
      case "ArrowDown": return after(here + 1);
      case "ArrowLeft": return before(here - width);
      case "ArrowRight": return after(here + width);
      case "Home": return links[0];
      case "End": return links[links.length - 1];
      default: return null;
    }
  }
}
