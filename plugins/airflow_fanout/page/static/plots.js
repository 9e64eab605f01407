// Plots as SVG, drawn at the width that they have, so that their text keeps its size.

import { readable } from "./cursor.js";
import { h, s, short } from "./dom.js";

const HEIGHT = 132;
const EDGE = { top: 10, right: 10, bottom: 20, left: 50 };

/**
 * A place that draws itself whenever its width changes, and is read place by place.
 * `draw` returns the drawing, and where each of the `readings` is in it, in pixels.
 */
export function drawn(title, readings, draw, { height = HEIGHT, enter } = {}) {
  const plot = h("div.plot");
  const over = readable(plot, title, readings, enter);
  plot.style.height = `${height}px`;
  const observer = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width <= 0) return;
    const [drawing, x] = draw(width, height);
    plot.replaceChildren(drawing, ...over(x));
  });
  observer.observe(plot);
  return plot;
}

/** Round up to 1, 2 or 5 times a power of ten. */
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/**
 * Lines over a common axis.
 * `series`: [{ name, color, values: [[x, y|null], …], dots }]; `format` writes a value, `ticks` are [[x, text], …], and
 * `when` writes the x of a value.
 */
export function lines(title, series, { format = short, ticks = [], from = 0, top, mark = [], when = String } = {}) {
  const points = series.flatMap(({ values }) => values.filter(([, y]) => y !== null && y !== undefined));
  const last = series.map(({ name, values }) => {
    const latest = values.findLast(([, y]) => y !== null && y !== undefined);
    return [name, latest ? format(latest[1]) : "–"];
  });
  const [{ values: first }] = series;
  const named = ({ name, values }, place) => `${series.length > 1 ? `${name} ` : ""}${format(values[place][1])}`;
  const readings = first.map(([at], place) => `${when(at)}: ${series.map((each) => named(each, place)).join(", ")}`);
  const legend = h("div.legend", {}, series.map(({ name, color }, place) => h("span", {},
    h(`i.dot.${color}`), `${name} `, h("b", {}, last[place][1]))));
  const high = top ?? ceiling(Math.max(0, ...points.map(([, y]) => y)));
  const places = [...points.map(([x]) => x), ...ticks.map(([x]) => x)];
  const [left, right] = [Math.min(...places), Math.max(...places)];
  const body = points.length < 2
    ? h("div.plot.empty", {}, "Nothing to draw yet.")
    : drawn(title, readings, (width, height) => {
      const x = (value) => EDGE.left + ((value - left) / (right - left || 1)) * (width - EDGE.left - EDGE.right);
      const y = (value) => height - EDGE.bottom - ((value - from) / (high - from)) * (height - EDGE.top - EDGE.bottom);
      const drawing = s("svg", { width, height, "aria-hidden": "true" },
        grid(width, y, from, high, format),
        ticks.map(([at, text]) => s("text.tick", { x: x(at), y: height - 5, "text-anchor": anchor(x(at), width) }, text)),
        series.map(({ color, values }) => s(`path.line.${color}`, { d: route(values, x, y) })),
        mark.map(([at, value]) => s("circle.outlier", { cx: x(at), cy: y(value), r: 3.5 })));
      return [drawing, (place) => x(first[place][0])];
    });
  return h("figure.panel", {}, h("figcaption", {}, h("h3", {}, title), legend), body);
}

const anchor = (x, width) => (x < width / 4 ? "start" : x > (width * 3) / 4 ? "end" : "middle");

function grid(width, y, from, high, format) {
  return [from, (from + high) / 2, high].map((value) => [
    s("line.grid", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }),
    s("text.tick", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, value === 0 ? "0" : format(value)),
  ]).flat();
}

/** A path with a gap wherever a value is missing. */
function route(values, x, y) {
  let isGap = true;
  return values.map(([at, value]) => {
    if (value === null || value === undefined) {
      isGap = true;
      return "";
    }
    const step = `${isGap ? "M" : "L"}${x(at).toFixed(1)},${y(value).toFixed(1)}`;
    isGap = false;
    return step;
  }).join("");
}

/** A bar for each row, its parts one on the other; `rows`: [{ label, title, parts: [[class, value]], mark, click }]. */
export function stacked(title, rows, classes, format = short) {
  const high = ceiling(Math.max(1, ...rows.map(({ parts }) => parts.reduce((sum, [, value]) => sum + value, 0))));
  const marks = [["failed", "failed"], ["manual", "by hand"], ["backfill", "backfill"]].filter(([mark]) =>
    rows.some((row) => row.mark === mark));
  const legend = h("div.legend", {}, classes.map((name) => h("span", {}, h(`i.dot.${name}`), name.replace("_", " "))),
    marks.map(([mark, name]) => h("span", {}, h(`i.dot.round.${mark}`), name)));
  const body = drawn(title, rows.map((row) => row.title), (width, height) => {
    const y = (value) => height - EDGE.bottom - (value / high) * (height - EDGE.top - EDGE.bottom);
    const each = (width - EDGE.left - EDGE.right) / rows.length;
    const thick = Math.max(1.5, Math.min(26, each * 0.78));
    const bars = rows.map((row, place) => {
      let sum = 0;
      const left = EDGE.left + place * each + (each - thick) / 2;
      const parts = row.parts.filter(([, value]) => value > 0).map(([name, value]) => {
        const bottom = y(sum);
        sum += value;
        // What is few among many is still to be seen.
        const tall = Math.max(name === "ok" ? 0 : 2, bottom - y(sum));
        return s(`rect.bar.${name}`, { x: left, y: bottom - tall, width: thick, height: tall });
      });
      return s("g.column", { onclick: row.click },
        s("rect.hit", { x: EDGE.left + place * each, y: EDGE.top, width: each, height: height - EDGE.top - EDGE.bottom }),
        parts, row.mark ? s(`circle.${row.mark}`, { cx: left + thick / 2, cy: height - EDGE.bottom + 6, r: 2.5 }) : null);
    });
    const [first, end] = [rows[0], rows[rows.length - 1]];
    const drawing = s("svg", { width, height, "aria-hidden": "true" }, grid(width, y, 0, high, format), bars,
      s("text.tick", { x: EDGE.left, y: height - 5 }, first.label),
      s("text.tick", { x: width - EDGE.right, y: height - 5, "text-anchor": "end" }, end.label));
    return [drawing, (place) => EDGE.left + (place + 0.5) * each];
  }, { height: 188, enter: (event, place) => rows[place].click(event) });
  return h("figure.panel.wide", {}, h("figcaption", {}, h("h3", {}, title), legend), body);
}

/** A small line without axes, a dot for each run that failed. */
export function sparkline(values, failed, label) {
  const [width, height] = [120, 28];
  const known = values.filter((value) => value !== null);
  const high = Math.max(1, ...known);
  const x = (place) => 3 + (place / Math.max(1, values.length - 1)) * (width - 6);
  const y = (value) => height - 4 - (value / high) * (height - 8);
  return s("svg.spark", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    s("path.line.ok", { d: route(values.map((value, place) => [place, value]), x, y) }),
    // One value alone makes no line.
    known.length === 1 ? s("circle.ok", { cx: x(values.indexOf(known[0])), cy: y(known[0]), r: 2.5 }) : null,
    values.map((value, place) => (failed[place]
      ? s("circle.failed", { cx: x(place), cy: value === null ? height - 4 : y(value), r: 2.5 }) : null)));
}
