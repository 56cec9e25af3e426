// Which lines are drawn: chips in groups, so that the keyboard and a thumb can show and hide each; kept in the address.

import { BELOW, THETA, hueOf } from "./chart.js";
import { ASSETS, element, make } from "./shared.js";
import { view } from "./view.js";

const NONE = "none";

const usual = (narratives) => [...Object.keys(ASSETS), "theta", ...narratives.filter((one) => one.core).map(({ narrative }) => narrative)];

// The keys of what is drawn, as a set.
export function linesShown(narratives) {
  if (view.lines === NONE) return new Set();
  return new Set(view.lines ? view.lines.split(",") : usual(narratives));
}

// Every group is a list of [key, name].
function groups({ narratives, prices }) {
  return [
    ["Prices", [...prices]],
    ["θ", Object.entries(THETA)],
    ["Narratives", narratives.map(({ narrative, name }) => [narrative, name])],
    ["Tone", Object.entries(ASSETS).map(([key, name]) => [`tone:${key}`, `tone of ${name.toLowerCase()}`])],
  ].filter(([, lines]) => lines.length);
}

function chip(key, name, pressed, told, press, point) {
  const swatch = make("i", "");
  swatch.style.background = hueOf(key, told);
  const button = make("button", "", ...(key === "split" ? [] : [swatch]), name, ...(told.below.has(key) ? [make("small", "", BELOW)] : []));
  button.type = "button";
  button.dataset.line = key;
  button.setAttribute("aria-pressed", String(pressed));
  button.addEventListener("click", () => press(key));
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => point(key));
  return button;
}

// told: { narratives, prices, others, below }, prices: names by key; changed() is called when another line is wanted,
// point(key) when one is pointed at.
export function drawLegend(told, changed, point) {
  const shown = linesShown(told.narratives);
  const press = (key) => {
    if (key === "split") view.split = view.split ? "" : "on";
    else {
      if (!shown.delete(key)) shown.add(key);
      const same = usual(told.narratives);
      view.lines = shown.size === same.length && same.every((one) => shown.has(one)) ? "" : [...shown].join(",") || NONE;
    }
    drawLegend(told, changed, point);
    element("legend").querySelector(`[data-line="${CSS.escape(key)}"]`)?.focus();
    changed();
  };
  element("legend").replaceChildren(...groups(told).map(([title, lines]) => {
    const group = make("div", "chips", make("span", "group", title), ...lines.map(([key, name]) => chip(key, name, shown.has(key), told, press, point)));
    if (title === "Narratives") group.append(chip("split", "by direction", Boolean(view.split), told, press, point));
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", title);
    return group;
  }));
}
