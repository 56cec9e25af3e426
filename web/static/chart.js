// The chart of the story over one axis of time: prices, θ with its interval, shares of narratives, and tone where it is
// asked for. What is drawn is named by keys: BTC, theta, without_liquidity, safe_haven, tone:XAU.

import { DAY, axis, band, colour, faded, longDay, many, percent, title } from "./shared.js";
import { asTagged, interval } from "./verdict.js";

export const THETA = { theta: "θ", without_liquidity: "θ without liquidity" };
export const BELOW = "below its floor";
export const STATES = { panic: 1, transition: 1, devaluation: 1 };
const PRICE_TICKS = [1, 2, 5, 10, 20, 30, 50, 70, 100, 140, 200, 300, 500, 700, 1000, 2000, 5000, 10000, 30000, 100000];
const PRICE_HUES = { BTC: "#e8871e", XAU: "#b8961f", XAG: "#7d8fa3" };
const HUES = ["#c0392f", "#6b4fc4", "#2a8a7f", "#b3671b", "#5b7db1", "#a8577e", "#84783c", "#d08a1e", "#3f8fc0"];
const OTHERS = ["#4d8076", "#9a6a9e", "#6c7a3d", "#a05a4a", "#4a6d8c"];
const toneOf = (key) => key.replace("tone:", "");

// The colour of a line; others: the keys of prices besides the three of every page.
export function hueOf(key, { narratives, others }) {
  const place = narratives.findIndex(({ narrative }) => narrative === key);
  if (key === "theta") return colour("ink");
  if (key === "without_liquidity") return colour("soft");
  if (place >= 0) return HUES[place % HUES.length];
  return PRICE_HUES[toneOf(key)] || OTHERS[others.indexOf(key) % OTHERS.length] || colour("soft");
}

// -- lines -------------------------------------------------------------------------------------------------------------

// A bar without a close wherever two lie more than a week apart, so that no line is drawn over what is missing.
function withHoles(bars) {
  return bars.flatMap((bar, place) => {
    const before = bars[place - 1];
    return before && Date.parse(bar.closed_at) - Date.parse(before.closed_at) > 7 * DAY
      ? [{ closed_at: before.closed_at, close: null }, bar] : [bar];
  });
}

function priceTraces({ prices, ...told }) {
  return prices.filter((answer) => answer.data.length).map(({ data, meta }) => {
    const base = data.find((bar) => bar.close > 0)?.close;
    const bars = withHoles(data);
    return {
      name: told.named(meta.asset), meta: meta.asset, type: "scatter", mode: "lines", yaxis: "y", connectgaps: false,
      x: bars.map((bar) => bar.closed_at), y: bars.map((bar) => (bar.close > 0 ? (100 * bar.close) / base : null)),
      customdata: bars.map((bar) => bar.close),
      line: { color: hueOf(meta.asset, told), width: meta.asset === "BTC" ? 2.2 : 1.6 },
      hovertemplate: `%{customdata:,.2f} ${meta.unit}`,
    };
  });
}

export function thetaText(point) {
  if (point.index == null) return point.state.replace("_", " ");
  return `${point.index.toFixed(2)} (${interval(point)}) ${point.state}, ${asTagged(point.index_as_tagged, (index) => index.toFixed(2))}` +
    `${many(point.n_stories, "story", "stories")}${point.thin ? ", thin" : ""}${point.open ? ", open" : ""}`;
}

function thetaTraces({ points, lines }) {
  const x = points.map((point) => point.bucket_start);
  const theta = [
    ...band(x, points.map((point) => point.low), points.map((point) => point.high), colour("calm"), 0.25, { yaxis: "y2" }),
    {
      name: "θ", meta: "theta", type: "scatter", mode: "lines+markers", yaxis: "y2", x, y: points.map((point) => point.index),
      line: { color: colour("ink"), width: 1.8 },
      marker: { size: points.length > 250 ? 3 : 5, color: points.map((point) => colour(point.state in STATES ? point.state : "calm")) },
      customdata: points.map(thetaText), hovertemplate: "%{customdata}",
    },
  ];
  const without = {
    name: THETA.without_liquidity, meta: "without_liquidity", type: "scatter", mode: "lines", yaxis: "y2", x,
    y: points.map((point) => point.index_without_liquidity),
    line: { color: colour("soft"), width: 1.2, dash: "dot" }, hovertemplate: "%{y:.2f}",
  };
  return [...(lines.has("theta") ? theta : []), ...(lines.has("without_liquidity") ? [without] : [])];
}

// Without the few thin buckets (a Sunday's two stories), whose shares would be spikes; all, where most are thin.
function telling(points) {
  const told = points.filter((point) => point.n_stories);
  const thin = told.filter((point) => point.thin).length;
  return thin < told.length / 2 ? points.filter((point) => !point.thin || !point.n_stories) : points;
}

function shareText(point, word, below) {
  if (point.intensity == null) return "";
  return `${word}${percent(point.intensity)} (${percent(point.low)} to ${percent(point.high)}), ${asTagged(point.as_tagged, percent)}` +
    `${point.n_carrying} of ${point.n_stories}${below ? `, ${BELOW}` : ""}`;
}

const FEW_LINES = 2;

// One line for each narrative; by direction two, those in which it fades drawn downwards. Where most points are thin the
// line is, and each of them is light. A line's band is drawn while there are few lines, else while it is pointed at.
function narrativeTraces({ intensities, narratives, lines, below, ...told }) {
  const shown = narratives.filter(({ narrative }) => lines.has(narrative));
  return shown.flatMap(({ narrative, name }) => intensities.flatMap(({ data, sign, word }) => {
    const own = telling(data.filter((point) => point.narrative === narrative));
    const hue = hueOf(narrative, { narratives, ...told });
    const thin = own.some((point) => point.thin && point.n_stories);
    const x = own.map((point) => point.bucket_start);
    const at = (field) => own.map((point) => (point[field] == null ? null : sign * point[field]));
    return [
      ...band(x, at("low"), at("high"), hue, 0.16, { yaxis: "y3", meta: `band:${narrative}`, visible: shown.length <= FEW_LINES }),
      {
        name, meta: narrative, type: "scatter", mode: thin ? "lines+markers" : "lines", yaxis: "y3", x, y: at("intensity"),
        line: { color: thin ? faded(hue, 0.5) : hue, width: thin ? 1.1 : 1.6, dash: sign < 0 ? "dot" : "solid" },
        marker: { size: 4, color: hue, opacity: own.map((point) => (point.thin ? 0.5 : 1)) },
        customdata: own.map((point) => shareText(point, word, below.has(narrative))),
        hovertemplate: "%{customdata}",
      },
    ];
  }));
}

function toneTraces({ tones, ...told }) {
  return tones.flatMap(({ asset, data }) => {
    const x = data.map((point) => point.bucket_start);
    const hue = hueOf(asset, told);
    return [
      ...band(x, data.map((point) => point.low), data.map((point) => point.high), hue, 0.13, { yaxis: "y4" }),
      {
        name: `tone of ${told.named(asset).toLowerCase()}`, meta: `tone:${asset}`, type: "scatter", mode: "lines+markers", yaxis: "y4", x,
        y: data.map((point) => point.tone), line: { color: hue, width: 1.6 }, marker: { size: 4 }, connectgaps: false,
        customdata: data.map((point) => (point.tone == null ? "" : `${point.tone.toFixed(2)} (${interval(point)}), ${many(point.n_stories, "story", "stories")}`)),
        hovertemplate: "%{customdata}",
      },
    ];
  });
}

// -- axes --------------------------------------------------------------------------------------------------------------

const kept = { question: "", price: null, share: 0 };

function extent(traces, name) {
  const values = traces.filter((trace) => trace.yaxis === name && trace.visible !== false).flatMap((trace) => trace.y).filter((value) => value != null);
  return values.length ? [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))] : null;
}

// What the axes reach over. While history is replayed they never shrink, so that the chart stands still.
function reach(traces, question, replayed) {
  const price = extent(traces, "y");
  const shares = extent(traces, "y3") || [0, 0];
  const share = Math.max(0.1, -shares[0], shares[1]);
  if (!replayed || question !== kept.question) Object.assign(kept, { question, price: null, share: 0 });
  if (price) kept.price = kept.price ? [Math.min(kept.price[0], price[0]), Math.max(kept.price[1], price[1])] : price;
  kept.share = Math.max(kept.share, share);
  return kept;
}

function priceAxis(range, domain) {
  const [low, high] = range || [70, 140];
  const room = 0.06 * Math.log10(high / low) + 0.01;
  return { ...axis(), domain, type: "log", range: [Math.log10(low) - room, Math.log10(high) + room], title: title("price, start = 100"), tickvals: PRICE_TICKS, tickformat: ",d" };
}

function shareAxis(most, domain, split) {
  const top = 1.06 * most;
  if (!split) return { ...axis(), zeroline: false, domain, range: [0, top], tickformat: ".0%", title: title("share of stories") };
  const step = [0.02, 0.05, 0.1, 0.2, 0.5].find((size) => most / size <= 3) || 0.5;
  const ticks = [...Array(7).keys()].map((place) => (place - 3) * step).filter((tick) => Math.abs(tick) <= top);
  return { ...axis(), domain, range: [-top, top], tickvals: ticks, ticktext: ticks.map((tick) => `${Math.round(100 * Math.abs(tick))}%`), title: title("fading ↓ building ↑") };
}

const PANELS = {
  plain: { price: [0.66, 1], theta: [0.35, 0.62], share: [0, 0.31] },
  tone: { price: [0.72, 1], theta: [0.47, 0.69], share: [0.22, 0.44], tone: [0, 0.19] },
};

// -- what lies behind and over the lines -------------------------------------------------------------------------------

// Bands of colour behind prices and θ, one for each run of buckets in the same state.
function stateShapes({ points, endOf }, from) {
  const runs = [];
  for (const point of points) {
    const last = runs.at(-1);
    if (last && last.state === point.state) last.end = endOf(point.bucket_start);
    else runs.push({ state: point.state, start: point.bucket_start, end: endOf(point.bucket_start) });
  }
  return runs.filter((run) => STATES[run.state]).map((run) => ({
    type: "rect", layer: "below", xref: "x", yref: "paper", x0: run.start, x1: run.end, y0: from, y1: 1,
    fillcolor: faded(colour(run.state), 0.16), line: { width: 0 },
  }));
}

// A line where each shift was detected, in the colour of the state it turned to.
function marks(detected) {
  return detected.map((event) => ({
    name: "shift", type: "line", xref: "x", yref: "y2 domain", x0: event.detected_at, x1: event.detected_at, y0: 0, y1: 1,
    line: { color: colour(event.state in STATES ? event.state : "calm"), width: 2, dash: "dash" },
  }));
}

const half = () => ({ type: "line", xref: "paper", x0: 0, x1: 1, yref: "y2", y0: 0.5, y1: 0.5, line: { color: colour("soft"), width: 1, dash: "dot" } });
const chosen = (at) => ({ name: "chosen", type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { color: colour("accent"), width: 2 } });

// What was not known yet on the day that is replayed.
const future = (from, end) => ({ name: "future", type: "rect", xref: "x", yref: "paper", x0: from, x1: end, y0: 0, y1: 1, fillcolor: faded(colour("calm"), 0.1), line: { width: 0 } });

const note = (text, y) => ({ text, xref: "paper", x: 1, xanchor: "right", yref: "y2", y, showarrow: false, font: { size: 11, color: colour("soft") } });
const absent = (text, [low, high]) => ({ text, xref: "paper", x: 0.5, yref: "paper", y: (low + high) / 2, showarrow: false, font: { size: 13, color: colour("soft") } });

function notes(told, panels, narrow) {
  const { points, prices, tones } = told;
  return [
    ...(narrow ? [] : [note("devaluation ↑", 0.97), note("panic ↓", 0.03)]),
    ...(prices.some((answer) => answer.data.length) ? [] : [absent("no prices in this range yet", panels.price)]),
    ...(points.some((point) => point.index != null) ? [] : [absent("no θ in this range", panels.theta)]),
    ...(points.some((point) => point.n_stories) ? [] : [absent("no stories in this range yet", panels.share)]),
    ...(tones.length && !tones.some(({ data }) => data.some((point) => point.tone != null)) ? [absent("no tone in this range", panels.tone)] : []),
    ...(told.until && told.until < told.end ? [{ text: "not known yet", xref: "x", x: told.until, xanchor: "left", yref: "paper", y: 1, yanchor: "top", showarrow: false, font: { size: 11, color: colour("soft") } }] : []),
  ];
}

// -- drawing -----------------------------------------------------------------------------------------------------------

const coarse = matchMedia("(pointer: coarse)");

// told: { points, intensities, prices, tones, lines, narratives, others, below, detected, start, end, until, at, split,
// named, endOf }; until: the end of the day that is replayed, "" for now. Dragging zooms, but for a thumb it scrolls.
export function drawChart(chart, told) {
  const narrow = chart.clientWidth < 640;
  const panels = told.tones.length ? PANELS.tone : PANELS.plain;
  const traces = [...priceTraces(told), ...thetaTraces(told), ...narrativeTraces(told), ...toneTraces(told)];
  const { price, share } = reach(traces, [told.start, told.end, told.bucket, told.split].join(), told.until);
  const layout = {
    height: (narrow ? 560 : 690) + (told.tones.length ? 150 : 0),
    margin: { l: narrow ? 44 : 58, r: narrow ? 10 : 18, t: 14, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: colour("ink") },
    hovermode: "x", hoverlabel: { namelength: -1 }, dragmode: coarse.matches ? false : "zoom", clickmode: "event",
    showlegend: false,
    xaxis: { ...axis(), fixedrange: coarse.matches, anchor: told.tones.length ? "y4" : "y3", range: [told.start, told.end], showspikes: true, spikemode: "across", spikethickness: 1, spikedash: "dot", spikecolor: colour("soft"), hoverformat: "%a %d %b %Y" },
    yaxis: priceAxis(price, panels.price),
    yaxis2: { ...axis(), zeroline: false, domain: panels.theta, range: [0, 1], tickvals: [0, 0.5, 1], title: title("θ") },
    yaxis3: shareAxis(share, panels.share, told.split),
    ...(told.tones.length && { yaxis4: { ...axis(), domain: panels.tone, range: [-1.05, 1.05], tickvals: [-1, 0, 1], ticktext: ["−1", "0", "1"], title: title("tone") } }),
    shapes: [
      ...stateShapes(told, panels.theta[0]), half(), ...marks(told.detected),
      ...(told.until && told.until < told.end ? [future(told.until, told.end)] : []), ...(told.at ? [chosen(told.at)] : []),
    ],
    annotations: notes(told, panels, narrow),
  };
  chart.setAttribute("aria-label", chartWords(told));
  Plotly.react(chart, traces, layout, { displayModeBar: false, responsive: true, doubleClick: false });
}

function chartWords({ start, end, points }) {
  const last = points.findLast((point) => point.index != null);
  return `Chart of prices, theta and narratives from ${longDay(start)} to ${longDay(end)}${last ? `; θ last ${thetaText(last)}` : "; no θ"}. ` +
    "Left and right arrow keys choose a date; its articles are listed below.";
}

// The band of the share that is pointed at, by its key or by an event of the chart, where there are too many for all.
export function showBand(chart, pointed) {
  const key = typeof pointed === "string" ? pointed : nearestShare(chart, pointed);
  const bands = chart.data.map((trace, place) => [String(trace.meta || ""), place]).filter(([meta]) => meta.startsWith("band:"));
  if (new Set(bands.map(([meta]) => meta)).size <= FEW_LINES || !bands.some(([meta]) => meta === `band:${key}`)) return;
  const wanted = bands.map(([meta]) => meta === `band:${key}`);
  if (bands.every(([, place], n) => chart.data[place].visible === wanted[n])) return;
  Plotly.restyle(chart, { visible: wanted }, bands.map(([, place]) => place));
}

// Of the points at the pointer's date, the share that lies nearest to it.
function nearestShare(chart, { points, event }) {
  const y = event.clientY - chart.getBoundingClientRect().top;
  const away = (point) => Math.abs(point.yaxis._offset + point.yaxis.d2p(point.y) - y);
  const shares = points.filter((point) => point.data.yaxis === "y3").sort((a, b) => away(a) - away(b));
  return shares.length ? shares[0].data.meta : "";
}

// Other lines over what is drawn: the day chosen, and the shifts.
export function relay(chart, at, detected) {
  const shapes = chart.layout.shapes.filter((shape) => !["chosen", "shift"].includes(shape.name));
  Plotly.relayout(chart, { shapes: [...shapes, ...marks(detected), ...(at ? [chosen(at)] : [])] });
}
