// The page of evidence: does a driver lead a price, what happens after events, and the tone of bitcoin and gold.
// Flow: read the question from the address -> ask the API, each part for itself -> words, numbers, chart and table.

import { DAY, ask, axis, band, chance, colour, daysAround, details, element, faded, gain, isoDay, link, longDay, make, many, named, plot, signed, table, title } from "./shared.js";

const FIRST = { driver: "theta", asset: "BTC", bucket: "week", target: "return", max_lag: "12", start: "", end: "", event: "high:XAU" };
const TONES = ["BTC", "XAU"];
const view = { ...FIRST };
const forms = [element("question"), element("event-form")];
const asked = {};
const told = {};
let narratives = [];
let names = new Map();

// -- the question in the address ---------------------------------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of Object.keys(view)) view[name] = given.get(name) || FIRST[name];
}

const kept = () => `${location.pathname}?${new URLSearchParams(Object.entries(view).filter(([, value]) => value))}`;

// The controls as the address says; a choice that is not offered is added, so that the API can say what is wrong with it.
function fillForms() {
  for (const form of forms) for (const control of form.elements) {
    const value = view[control.name];
    if (value === undefined) continue;
    if (control.options && ![...control.options].some((option) => option.value === value)) control.append(new Option(value, value));
    control.value = value;
  }
}

function offer(select, groups) {
  select.replaceChildren(...groups.filter(([, options]) => options.length).map(([label, options]) => {
    const group = make("optgroup", "", ...options.map(([value, text]) => new Option(text, value)));
    group.label = label;
    return group;
  }));
}

async function fillChoices() {
  const [found, assets, series] = await Promise.all([ask("narratives"), ask("assets"), ask("prices")]);
  narratives = found.data;
  const priced = assets.data.filter((asset) => asset.n_bars);
  const drivers = [
    ["The story", [["theta", "θ"], ...narratives.map(({ narrative, name }) => [`narrative:${narrative}`, name])]],
    ["Tone of", assets.data.filter((asset) => asset.mentioned).map(({ asset, name }) => [`tone:${asset}`, `tone of ${name}`])],
    ["Return of", priced.map(({ asset, name }) => [`asset:${asset}`, `return of ${name}`])],
    ["Change of", series.data.filter((one) => one.kind === "macro" && one.n).map(({ key, name }) => [`macro:${key}`, `${key}: ${name}`])],
  ];
  names = new Map([...drivers.flatMap(([, options]) => options), ...assets.data.map(({ asset, name }) => [asset, name])]);
  offer(forms[0].elements.driver, drivers);
  offer(forms[0].elements.asset, [["With closes", (priced.length ? priced : assets.data).map(({ asset, name }) => [asset, name])]]);
}

const called = (key) => names.get(key) || key;

// -- asking and telling ------------------------------------------------------------------------------------------------

function say(part, verdict, sentence = "") {
  element(`${part}-verdict`).textContent = verdict;
  element(`${part}-sentence`).textContent = sentence;
  element(`${part}-sentence`).hidden = !sentence;
}

// Asks for one part anew if its question has changed; shows what comes, or the sentence of the error.
async function look(part, path, parameters, show) {
  const question = JSON.stringify([path, parameters]);
  if (asked[part] === question) return;
  asked[part] = question;
  const section = element(part);
  section.setAttribute("aria-busy", "true");
  element(`${part}-told`).hidden = true;
  say(part, "Counting …");
  try {
    const answer = await ask(path, parameters);
    if (asked[part] !== question) return;
    element(`${part}-told`).hidden = false;
    told[part] = () => show(answer.data[0], answer.meta);
    told[part]();
  } catch (error) {
    if (asked[part] !== question) return;
    delete told[part];
    delete asked[part];
    element(`${part}-told`).hidden = true;
    say(part, "Nothing can be told.", named(error.message, narratives));
  }
  section.setAttribute("aria-busy", "false");
}

function figures(id, rows) {
  element(id).replaceChildren(...rows.map(([name, value, more = ""]) => make("div", "", make("dt", "", name), make("dd", "", value, ...(more ? [make("small", "", more)] : [])))));
}

// -- lead and lag ------------------------------------------------------------------------------------------------------

const isNews = (driver) => !/^(asset|macro):/.test(driver);
const first = (driver) => (isNews(driver) ? "News first" : "Driver first");

function verdictWords(row) {
  return { news_leads: `${first(row.driver)}.`, price_leads: "Price first.", same_time: "At the same time.", none: "No lead or lag can be told." }[row.lead_lag.verdict] || row.lead_lag.verdict;
}

const capital = (text) => (text.startsWith("θ") ? text : text.charAt(0).toUpperCase() + text.slice(1));
const steps = (n, step) => many(Math.abs(n), step, `${step}s`);
const lagWords = (lag, step, driver) => (!lag ? "same time" : `${steps(lag, step)}, ${lag > 0 ? first(driver).toLowerCase() : "price first"}`);
const from = (low, high) => `${signed(low)} to ${signed(high)}`;

function showLead(row, meta) {
  const lead = row.lead_lag;
  const peak = lead.lags.find((one) => one.lag === lead.peak_lag);
  say("lead", verdictWords(row), capital(named(lead.sentence.replace("No lead or lag can be told: ", ""), narratives)));
  figures("lead-numbers", [
    ["p over all lags", chance(lead.p_family), `of ${lead.lags.length} lags`],
    ["n", lead.n.toLocaleString("en"), `${lead.step}s; ${lead.dropped} left out`],
    ["strongest r", signed(peak.estimate), `${from(peak.low, peak.high)}; ${lagWords(peak.lag, lead.step, row.driver)}`],
    ["would stand out", `± ${lead.visible_from.toFixed(2)}`, "r beyond this"],
  ]);
  drawLead(row);
  element("lead-table").replaceChildren(details("", "The numbers", table("Correlation by lag", ["Lag", "r", "90 %", "p of it alone"],
    lead.lags.map((one) => [lagWords(one.lag, lead.step, row.driver), signed(one.estimate), from(one.low, one.high), chance(one.p)]))));
  showBeside(row);
  const days = `${longDay(meta.start)} to ${longDay(Date.parse(meta.end) - DAY)}`;
  const news = /^(theta|narrative)/.test(row.driver) ? storyAddress(meta) : row.driver.startsWith("tone:") ? storyAddress(meta, row.driver.slice(5)) : "";
  element("lead-method").replaceChildren(`${days}. `, ...(news ? [link(news, "The articles behind it"), ". "] : []), `Method: ${lead.method}. Tags by ${meta.tagger}, seed ${lead.seed}.`);
}

// The story's page over the same days, with the narrative or the asset that was asked about.
function storyAddress(meta, asset = "") {
  const narrative = view.driver.startsWith("narrative:") ? view.driver.slice(10) : asset ? "*" : "";
  const kept = { start: meta.start.slice(0, 10), end: meta.end.slice(0, 10), bucket: meta.bucket, narrative, asset };
  return `/#${new URLSearchParams(Object.entries(kept).filter(([, value]) => value))}`;
}

function drawLead(row) {
  const { lags, step, visible_from: visible, peak_lag: peak } = row.lead_lag;
  const x = lags.map((one) => one.lag);
  const edge = (y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: colour("accent"), width: 1.4, dash: "dash" } });
  const side = (text, place) => ({ text, xref: "paper", x: place, xanchor: place ? "right" : "left", yref: "paper", y: 1, yanchor: "bottom", showarrow: false, font: { size: 12, color: colour("soft") } });
  const text = lags.map((one) => `r ${signed(one.estimate)} (${from(one.low, one.high)}), ${lagWords(one.lag, step, row.driver)}`);
  plot(element("lead-chart"), `Chart of r by lag: strongest ${text[x.indexOf(peak)]}; beyond ${visible.toFixed(2)} would have stood out. The numbers are in the table below.`, [
    ...band(x, lags.map((one) => one.low), lags.map((one) => one.high), colour("calm"), 0.28),
    {
      x, y: lags.map((one) => one.estimate), type: "scatter", mode: "lines+markers", line: { color: colour("ink"), width: 1.8 },
      marker: { size: x.map((lag) => (lag === peak ? 11 : 5)), color: x.map((lag) => colour(lag === peak ? "accent" : "ink")) },
      customdata: text, hovertemplate: "%{customdata}<extra></extra>",
    },
  ], {
    height: 380, margin: { l: 50, r: 14, t: 30, b: 46 },
    xaxis: { ...axis(), title: title(`lag in ${step}s`), zeroline: true },
    yaxis: { ...axis(), title: title("r"), zeroline: true },
    shapes: [edge(visible), edge(-visible)],
    annotations: [side("← price first", 0), side(`${first(row.driver).toLowerCase()} →`, 1)],
  });
}

function showBeside(row) {
  element("beside").hidden = !row.beside;
  if (!row.beside) return;
  const { granger_driver_to_price: there, granger_price_to_driver: back, out_of_sample: forecast, projections } = row.beside;
  const step = row.lead_lag.step;
  const granger = ({ p, lags, n }) => [p == null ? "not known" : `p ${chance(p)}`, p == null ? `n ${n}, too few` : `n ${n}, ${steps(lags, step)}`];
  figures("beside-numbers", [
    [`Granger: ${isNews(row.driver) ? "news" : "driver"} tells price`, ...granger(there)],
    ["Granger: price tells " + (isNews(row.driver) ? "news" : "driver"), ...granger(back)],
    ["Out of sample R²", forecast.r2 == null ? "not known" : signed(forecast.r2, 3), forecast.r2 == null ? `n ${forecast.n}, too few` : `p ${chance(forecast.p)}, n ${forecast.n}; below 0 the mean is better`],
  ]);
  element("projections").hidden = !projections.length;
  if (!projections.length) return;
  const x = projections.map((one) => one.horizon);
  const share = (field) => projections.map((one) => Math.exp(one[field]) - 1);
  const text = projections.map((one) => `${gain(one.estimate)} (${gain(one.low)} to ${gain(one.high)}), n ${one.n}`);
  plot(element("projection-chart"), `Chart of local projections: ${text.at(-1)} after ${steps(x.at(-1), step)}. The numbers are in the table below.`, [
    ...band(x, share("low"), share("high"), colour("calm"), 0.28),
    { x, y: share("estimate"), type: "scatter", mode: "lines+markers", line: { color: colour("ink"), width: 1.6 }, marker: { size: 4 }, customdata: text, hovertemplate: "%{customdata}<extra></extra>" },
  ], { height: 210, margin: { l: 50, r: 10, t: 8, b: 40 }, xaxis: { ...axis(), title: title(`${step}s later`), rangemode: "tozero" }, yaxis: { ...axis(), tickformat: "+.0%", nticks: 5 } });
  element("projection-table").replaceChildren(details("", "The numbers", table("Local projections", [`After`, "Return", "90 %", "n"],
    projections.map((one) => [steps(one.horizon, step), gain(one.estimate), `${gain(one.low)} to ${gain(one.high)}`, String(one.n)]))));
}

// -- after events ------------------------------------------------------------------------------------------------------

const STUDY = { above: "More than on other days.", below: "Less than on other days.", none: "Nothing beyond chance can be told.", too_small: "Too few events to say." };

function showStudy(row, meta) {
  const small = row.verdict === "too_small";
  const peak = row.weeks.find((one) => one.week === row.peak_week);
  say("study", STUDY[row.verdict] || row.verdict, row.sentence);
  figures("study-numbers", [
    ["n", String(row.n), `events; ${row.n_left_out} left out`],
    ["n without overlap", String(row.n_effective), "of their 26 weeks"],
    ...(small ? [] : [
      ["p over 26 weeks", chance(row.p_family), `${row.draws} placebo draws`],
      ...(peak ? [[`strangest week: ${peak.week}`, gain(peak.car), `${gain(peak.low)} to ${gain(peak.high)}; placebo ${gain(peak.placebo_low)} to ${gain(peak.placebo_high)}`]] : []),
    ]),
  ]);
  element("study-figure").hidden = small;
  if (small) Plotly.purge(element("study-chart"));
  else drawStudy(row);
  element("events-title").hidden = !row.events.length;
  element("study-events").replaceChildren(...(row.events.length ? [eventTable(row)] : [make("p", "unsaid", "There is no such event in the record.")]));
  element("study-method").textContent = `As of ${longDay(meta.as_of)}, ${meta.n_bars.toLocaleString("en")} closes of ${called(meta.instrument)}. Method: ${row.method}. Seed ${row.seed}.`;
}

function eventTable(row) {
  const days = [...row.events].reverse().map((event) => [
    link(daysAround(event.day), longDay(event.day)), event.starts_at ? make("span", "whole", isoDay(event.starts_at)) : "–",
    event.left_out ? make("span", "unsaid", `left out: ${event.left_out}`) : gain(event.car),
  ]);
  const heads = ["Day, with its articles", "Counted from", `${called(row.asset)}, 26 weeks, abnormal`];
  if (days.length <= 12) return table("Events, the latest first", heads, days);
  return make("div", "", table("Events, the latest first", heads, days.slice(0, 12)), details("", many(days.length - 12, "earlier event", "earlier events"), table("Earlier events", heads, days.slice(12))));
}

function drawStudy(row) {
  const weeks = row.weeks.filter((one) => one.car != null);
  const x = weeks.map((one) => one.week);
  const share = (field) => weeks.map((one) => (one[field] == null ? null : Math.exp(one[field]) - 1));
  const text = weeks.map((one) => `${gain(one.car)} (${gain(one.low)} to ${gain(one.high)}), placebo ${gain(one.placebo_low)} to ${gain(one.placebo_high)}, p ${chance(one.p)}`);
  const hue = colour("accent");
  plot(element("study-chart"), `Chart of the mean cumulative abnormal return of ${called(row.asset)}: after 26 weeks ${text.at(-1)}; n ${row.n}. The numbers are in the table below.`, [
    ...band(x, share("placebo_low"), share("placebo_high"), colour("calm"), 0.3),
    ...band(x, share("low"), share("high"), hue, 0.16),
    { x, y: share("placebo_mean"), type: "scatter", mode: "lines", line: { color: colour("soft"), width: 1.2, dash: "dot" }, hoverinfo: "skip" },
    { x, y: share("car"), type: "scatter", mode: "lines+markers", line: { color: hue, width: 2.2 }, marker: { size: 4 }, customdata: text, hovertemplate: "%{customdata}<extra></extra>" },
  ], {
    height: 380, margin: { l: 56, r: 14, t: 12, b: 46 },
    xaxis: { ...axis(), title: title("weeks after the event"), zeroline: true, range: [Math.min(...x) - 0.5, Math.max(...x) + 0.5], dtick: element("study-chart").clientWidth < 520 ? 8 : 4 },
    yaxis: { ...axis(), tickformat: "+.0%", title: title("abnormal return") },
  });
  element("study-table").replaceChildren(details("", "The numbers", table("Mean cumulative abnormal return by week", ["Week", "Mean", "90 %", "Placebo, 90 %", "p of it alone"],
    weeks.map((one) => [String(one.week), gain(one.car), `${gain(one.low)} to ${gain(one.high)}`, `${gain(one.placebo_low)} to ${gain(one.placebo_high)}`, one.p == null ? "–" : chance(one.p)]))));
}

// -- tone --------------------------------------------------------------------------------------------------------------

async function lookAtTone() {
  const range = { start: view.start, end: view.end, bucket: "week" };
  const question = JSON.stringify(range);
  if (asked.tone === question) return;
  asked.tone = question;
  try {
    const answers = await Promise.all(TONES.map((asset) => ask("tone", { ...range, asset })));
    if (asked.tone !== question) return;
    element("tone-said").textContent = "From −1 (its price falls or its prospects are bad) to +1; grey bars: 90 % interval; diamonds: disagreement, from 0 to 1. Hollow points rest on fewer than 20 stories.";
    told.tone = () => {
      element("tones").replaceChildren(...answers.map(toneFigure));
      answers.forEach(drawTone);
    };
    told.tone();
  } catch (error) {
    if (asked.tone !== question) return;
    delete asked.tone;
    delete told.tone;
    element("tones").replaceChildren();
    element("tone-said").textContent = error.message;
  }
  element("tone").setAttribute("aria-busy", "false");
}

const divided = (point) => (point.disagreement == null ? "not known" : point.disagreement.toFixed(2));
const doubt = (point) => (point.low == null ? "interval not known" : from(point.low, point.high));
const asTagged = (point) => (point.as_tagged == null ? "" : `as tagged ${signed(point.as_tagged)}, `);
const toneText = (point) => `${signed(point.tone)} (${doubt(point)}), ${asTagged(point)}disagreement ${divided(point)}, n ${point.n_stories}${point.thin ? ", thin" : ""}${point.open ? ", open" : ""}`;

function toneFigure(answer, place) {
  const spoken = answer.data.filter((point) => point.tone != null);
  const name = called(answer.meta.asset);
  const figure = make("figure", "", make("h3", "", name));
  const latest = spoken.findLast((point) => !point.open) || spoken.at(-1);
  if (!latest) {
    figure.append(make("p", "unsaid", `No story of ${name} in this range has a tone (tags by ${answer.meta.tagger}).`));
    return figure;
  }
  const week = (point) => link(`/#${new URLSearchParams({ start: isoDay(Date.parse(point.bucket_start) - 91 * DAY), end: isoDay(Date.parse(point.bucket_start) + 91 * DAY), bucket: "week", at: point.bucket_start, narrative: "*", asset: answer.meta.asset })}`, longDay(point.bucket_start));
  const chart = make("div", "plot small");
  chart.id = `tone-chart-${place}`;
  const audit = (answer.meta.audit || []).map((one) => make("p", "caveat", `${one.sentence} `, link(`/quality#${new URLSearchParams({ by: "asset", key: one.key })}`, "How good the tags are"), "."));
  figure.append(make("p", "told", "Week of ", week(latest), `: ${toneText(latest)}.`), chart, ...audit, details("", "The numbers", table(`Tone of ${name} by week, the latest first`, ["Week", "Tone", "90 %", "Disagreement", "n"],
    [...spoken].reverse().map((point) => [week(point), signed(point.tone), doubt(point), divided(point), `${point.n_stories}${point.thin ? ", thin" : ""}`]))));
  return figure;
}

function drawTone(answer, place) {
  const node = element(`tone-chart-${place}`);
  if (!node) return;
  const points = answer.data;
  const x = points.map((point) => point.bucket_start);
  const spoken = points.filter((point) => point.tone != null);
  const hue = colour("ink");
  const away = (field, sign) => points.map((point) => (point[field] == null ? 0 : sign * (point[field] - point.tone)));
  plot(node, `Chart of the tone of ${called(answer.meta.asset)} by week, ${many(spoken.length, "week", "weeks")}; the latest ${toneText(spoken.at(-1))}. The numbers are in the table below.`, [
    { x, y: points.map((point) => point.disagreement), type: "scatter", mode: "markers", marker: { symbol: "diamond", size: 5, color: colour("transition") }, hoverinfo: "skip" },
    {
      x, y: points.map((point) => point.tone), type: "scatter", mode: "lines+markers", line: { color: faded(hue, 0.4), width: 1.2 },
      error_y: { type: "data", symmetric: false, array: away("high", 1), arrayminus: away("low", -1), color: colour("calm"), thickness: 1.4, width: 0 },
      marker: { size: 6, symbol: points.map((point) => (point.thin ? "circle-open" : "circle")), color: hue },
      customdata: points.map((point) => (point.tone == null ? "" : toneText(point))), hovertemplate: "%{customdata}<extra></extra>",
    },
  ], { height: 240, margin: { l: 40, r: 10, t: 10, b: 34 }, xaxis: { ...axis(), type: "date", hoverformat: "week of %d %b %Y" }, yaxis: { ...axis(), range: [-1.08, 1.08], tickvals: [-1, -0.5, 0, 0.5, 1], zeroline: true } });
}

// -- hearing -----------------------------------------------------------------------------------------------------------

function show() {
  fillForms();
  const { driver, asset, bucket, target, max_lag, start, end, event } = view;
  look("lead", "lead-lag", { driver, asset, bucket, target, max_lag, start, end }, showLead);
  look("study", "event-study", { event, asset }, showStudy);
  lookAtTone();
}

for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    for (const each of forms) for (const control of each.elements) if (control.name in view) view[control.name] = control.value;
    history.pushState(null, "", kept());
    show();
  });
}
addEventListener("popstate", () => {
  readAddress();
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const again of Object.values(told)) again();
});

async function begin() {
  readAddress();
  try {
    await fillChoices();
    show();
  } catch (error) {
    for (const part of ["lead", "study"]) say(part, "Nothing can be shown.", error.message);
    element("tone-said").textContent = error.message;
  }
}

begin();
