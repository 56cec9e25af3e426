// What the pages share: asking the API, words for dates and numbers, nodes, and the look of charts.
// All text from feeds is set as text, never as markup.

export const ASSETS = { BTC: "Bitcoin", XAU: "Gold", XAG: "Silver" };
export const DAY = 86400000;
export const element = (id) => document.getElementById(id);

// -- asking ----------------------------------------------------------------------------------------------------------

export async function ask(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters || {})) for (const one of [value].flat()) if (one) query.append(name, one);
  let response;
  try {
    response = await fetch(parameters ? `/v1/${path}?${query}` : `/v1/${path}`, { headers: { Accept: "application/json" } });
  } catch {
    throw new Error("The server does not answer. Is storyshift still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.detail || `The server answered ${response.status}.`), { status: response.status });
  return answer;
}

// -- words -----------------------------------------------------------------------------------------------------------

export const isoDay = (time) => new Date(time).toISOString().slice(0, 10);
export const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
export const longDay = (day) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", dateStyle: "long" }).format(new Date(day));
export const many = (n, one, more) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;

export function signed(value, digits = 2) {
  const size = Math.abs(value).toFixed(digits);
  return `${Number(size) === 0 ? "" : value < 0 ? "−" : "+"}${size}`;
}

export const chance = (p) => (p == null ? "not known" : p < 0.001 ? "< 0.001" : p.toFixed(p < 0.1 ? 3 : 2));

export const between = (low, high) => `${signed(low)} to ${signed(high)}`;

// A log return as per cent; null is "not known", never 0.
export const gain = (log) => (log == null ? "not known" : `${signed((Math.exp(log) - 1) * 100, 1)} %`);

// A sentence of the API with the names of narratives and drivers for their keys.
export function named(sentence, narratives) {
  const sentences = sentence.replaceAll(/\btheta\b/g, "θ").replaceAll(/\btone:(?=\w)/g, "tone of ").replaceAll(/\b(asset|macro):(?=\w)/g, "");
  return narratives.reduce((text, { narrative, name }) => text.replaceAll(new RegExp(`\\b(narrative:)?${narrative}\\b`, "g"), name.toLowerCase()), sentences);
}

// The story's page around a day, that day chosen.
export function daysAround(day, reach = 45) {
  const at = Date.parse(`${day}T00:00:00Z`);
  return `/story#${new URLSearchParams({ start: isoDay(at - reach * DAY), end: isoDay(at + reach * DAY), bucket: "day", at: `${day}T00:00:00Z` })}`;
}

// A text cut where spans begin and end: what stands there, and the spans over it. Offsets are code points.
export function cut(text, spans) {
  const characters = Array.from(text);
  const cuts = [...new Set([0, characters.length, ...spans.flatMap((span) => [span.start, span.end])])]
    .filter((place) => place >= 0 && place <= characters.length).sort((a, b) => a - b);
  return cuts.slice(1).map((end, place) => ({
    text: characters.slice(cuts[place], end).join(""),
    over: spans.filter((span) => span.start < end && span.end > cuts[place]),
  }));
}

// Of a list of AuditedLabel: which of what is shown is corrected by the random audit, and what is missing for the others.
export function auditWords(audit, called) {
  const names = (labels, word) => labels.map((label) => `${called(label.key)}${word(label)}`).join(", ");
  const [corrected, begun, unread] = [(one) => one.corrected, (one) => !one.corrected && one.n_positive, (one) => !one.corrected && !one.n_positive].map((test) => audit.filter(test));
  if (!corrected.length && !begun.length) return audit.some((one) => one.n) ? "as tagged, nothing read at random carries it yet." : "as tagged, nothing was read at random yet.";
  const below = audit.filter((one) => one.below_floor);
  const few = begun.length && unread.length > 2;
  const some = few ? begun : [...begun, ...unread];
  const others = few ? ` and ${unread.length} others` : "";
  return [
    corrected.length ? `corrected by a random audit: ${names(corrected, () => "")}.` : "",
    some.length ? `${corrected.length ? "As" : "as"} tagged: ${names(some, (one) => (one.n_positive && one.n_positive < one.needed ? ` (${one.n_positive} of ${one.needed} random finds)` : ""))}${others}.` : "",
    below.length ? `Below ${below.length > 1 ? "their floors" : "its floor"} of precision: ${names(below, () => "")}.` : "",
  ].filter(Boolean).join(" ");
}

// -- nodes -----------------------------------------------------------------------------------------------------------

export function make(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

export function link(href, ...content) {
  const node = make("a", "", ...content);
  node.href = href;
  return node;
}

export const put = (id, ...content) => element(id).replaceChildren(...content);

export function show(id, shown) {
  element(id).hidden = !shown;
}

export function details(className, summary, ...content) {
  return make("details", className, make("summary", "", summary), ...content);
}

// The rows of a <dl>: what it is, its value, and more beneath it.
export function figures(id, rows) {
  element(id).replaceChildren(...rows.map(([name, value, more = ""]) => make("div", "", make("dt", "", name), make("dd", "", value, ...(more ? [make("small", "", more)] : [])))));
}

const SVG = "http://www.w3.org/2000/svg";

export function draw(tag, className, attributes = {}, ...content) {
  const node = document.createElementNS(SVG, tag);
  if (className) node.setAttribute("class", className);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...content);
  return node;
}

// A table that scrolls by itself, also by the keyboard, where it is wider than its place.
export function table(caption, heads, rows) {
  const head = make("tr", "", ...heads.map((text) => Object.assign(make("th", "", text), { scope: "col" })));
  const body = rows.map((cells) => make("tr", "", ...cells.map((cell, place) => (place ? make("td", "", cell) : Object.assign(make("th", "", cell), { scope: "row" })))));
  const whole = make("div", "scrolls", make("table", "numbers", make("caption", "quiet", caption), make("thead", "", head), make("tbody", "", ...body)));
  Object.assign(whole, { tabIndex: 0, role: "region", ariaLabel: caption });
  return whole;
}

// -- charts ----------------------------------------------------------------------------------------------------------

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function faded(hex, opacity) {
  const [red, green, blue] = [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  return `rgba(${red},${green},${blue},${opacity})`;
}

export const axis = () => ({ gridcolor: colour("line"), zerolinecolor: colour("soft"), linecolor: colour("line"), fixedrange: true });
export const title = (text) => ({ text, font: { size: 12, color: colour("soft") }, standoff: 6 });

// The two lines of a band, of which the second fills down to the first.
export function band(x, low, high, hue, opacity, rest = {}) {
  const line = { type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false, x, ...rest };
  return [{ ...line, y: low }, { ...line, y: high, fill: "tonexty", fillcolor: faded(hue, opacity) }];
}

export function plot(node, says, traces, layout) {
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", says);
  const narrow = node.clientWidth < 520;
  return Plotly.react(node, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false,
    font: { family: "system-ui, sans-serif", size: 12, color: colour("ink") }, hoverlabel: { namelength: -1 },
    margin: { l: narrow ? 48 : 58, r: narrow ? 10 : 18, t: 14, b: 44 }, ...layout,
  }, { displayModeBar: false, responsive: true });
}

// -- the skip link ---------------------------------------------------------------------------------------------------

// It leads past the head of the page and leaves the address alone, whose fragment is what a page shows.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  const target = document.querySelector(event.currentTarget.getAttribute("href"));
  if (!target) return;
  event.preventDefault();
  if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
  target.focus();
});
