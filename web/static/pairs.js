// Every driver beside every asset: the verdicts of one question to the API, with p adjusted for all of its pairs.

import { between, chance, details, draw, element, link, make, many, named, signed } from "./shared.js";

const TONES = ["BTC", "XAU"];
const METALS = ["XAG", "XAU"];
const ASSETS = ["BTC", "ETH", "XAU", "XAG"];
const WIDE = 92;
const HIGH = 26;

// The drivers and assets that are asked about, θ first: what would leave too few moments to the ones before it is left out.
export function askedTogether(narratives, assets) {
  const priced = new Set(assets.filter((one) => one.n_bars).map((one) => one.asset));
  const mentioned = new Set(assets.filter((one) => one.mentioned).map((one) => one.asset));
  return {
    driver: [
      "theta", ...narratives.filter((one) => one.core).map((one) => `narrative:${one.narrative}`),
      ...METALS.filter((key) => priced.has(key)).map((key) => `asset:${key}`), ...TONES.filter((key) => mentioned.has(key)).map((key) => `tone:${key}`),
    ],
    asset: ASSETS.filter((key) => priced.has(key)),
  };
}

export const ownPair = ({ driver, asset }) => driver === `asset:${asset}`;

// What is told, without its full stop; nothing where nothing stands out.
export function verdictWords(verdict, lead, driverFirst, priceFirst) {
  const by = `by ${many(Math.abs(lead.peak_lag), lead.step, `${lead.step}s`)}`;
  return { news_leads: `${driverFirst}, ${by}`, price_leads: `${priceFirst}, ${by}`, same_time: "At the same time", none: "" }[verdict] ?? verdict;
}

export function showPairs({ data, meta }, page) {
  const others = data.filter((row) => !ownPair(row));
  const told = others.filter((row) => row.verdict !== "none");
  const those = told.map((row) => `${page.called(row.driver)} and ${page.called(row.asset)}`);
  page.say(`Of ${many(others.length, "pair", "pairs")} asked about at once, ${told.length ? `${told.length === 1 ? "one stands" : `${told.length} stand`} out from chance: ${those.join("; ")}.` : "none stands out from chance."}`);
  const by = new Map(data.map((row) => [`${row.driver} ${row.asset}`, row]));
  const out = new Map(meta.left_out.map((one) => [`${one.driver} ${one.asset}`, one]));
  const head = make("tr", "", make("td", ""), ...page.asset.map((key) => Object.assign(make("th", "", page.called(key)), { scope: "col" })));
  const body = page.driver.map((driver) => make("tr", "", Object.assign(make("th", "", page.called(driver)), { scope: "row" }),
    ...page.asset.map((asset) => cell(driver, asset, by.get(`${driver} ${asset}`), out.get(`${driver} ${asset}`), page))));
  element("pairs-table").replaceChildren(make("table", "matrix", make("caption", "quiet", "Verdict and adjusted p of each pair"), make("thead", "", head), make("tbody", "", ...body)));
  element("pairs-left-out").replaceChildren(...(out.size ? [details("", `${out.size} left out`, make("ul", "", ...whyLeftOut(meta.left_out, page)))] : []));
}

function whyLeftOut(leftOut, page) {
  const reasons = new Map();
  for (const { driver, asset, why } of leftOut) reasons.set(why, [...(reasons.get(why) || []), `${page.called(driver)} and ${page.called(asset)}`]);
  return [...reasons].map(([why, pairs]) => make("li", "", `${pairs.join(", ")}: ${named(why, page.narratives)}`));
}

function cell(driver, asset, row, leftOut, page) {
  if (ownPair({ driver, asset })) return make("td", "unsaid", "–");
  const whose = make("span", "quiet", `${page.called(driver)} and ${page.called(asset)}: `);
  const found = link(page.address({ driver, asset }), whose);
  Object.assign(found.dataset, { driver, asset });
  if (!row) {
    found.append("too few");
    found.title = leftOut ? named(leftOut.why, page.narratives) : "";
    return make("td", "unsaid", found);
  }
  const peak = row.lead_lag.lags.find((one) => one.lag === row.lead_lag.peak_lag);
  found.append(make("b", "", verdictWords(row.verdict, row.lead_lag, page.driverFirst(row), page.priceFirst(row)) || "nothing"), profile(row.lead_lag), make("small", "", `p ${chance(row.p_adjusted)}`));
  found.title = `r ${signed(peak.estimate)} (${between(peak.low, peak.high)}) at the strongest lag, n ${row.lead_lag.n}`;
  return make("td", row.verdict === "none" ? "" : "stands-out", found);
}

// r by lag in small: the price first on the left, the driver first on the right, dashed what would have stood out.
function profile({ lags, max_lag: longest, visible_from: visible }) {
  const x = (lag) => WIDE / 2 + (lag / longest) * (WIDE / 2 - 2);
  const most = Math.max(visible, ...lags.map((one) => Math.abs(one.estimate)));
  const y = (r) => HIGH / 2 - (r / most) * (HIGH / 2 - 1);
  return draw("svg", "profile", { viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true" },
    draw("rect", "driver-side", { x: WIDE / 2, y: 0, width: WIDE / 2, height: HIGH }),
    ...[visible, -visible].map((r) => draw("line", "needed", { x1: 0, x2: WIDE, y1: y(r), y2: y(r) })),
    draw("line", "grid", { x1: 0, x2: WIDE, y1: HIGH / 2, y2: HIGH / 2 }),
    draw("polyline", "course", { points: lags.map((one) => `${x(one.lag).toFixed(1)},${y(one.estimate).toFixed(1)}`).join(" ") }));
}
