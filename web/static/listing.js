// One article in a list: its title and summary with the evidence marked, what it carries and names, and where to go on.

import { addressOf, assetName, carriedBy, deniedOf, foreign, marked, nameOf, tagWords, when } from "./reading.js";
import { link, make } from "./shared.js";

const SUMMARY = 420;

const part = (className, text, reviewed) => make("span", className, text, ...(reviewed ? [make("small", "reviewed", "reviewed")] : []));

// What it carries, what a reviewer says it does not carry, and which assets it names.
function labels(article) {
  return [
    ...carriedBy(article).map((tag) => part("tag", [nameOf(tag.narrative), tagWords(tag)].filter(Boolean).join(", "), tag.reviewed)),
    ...deniedOf(article).map((tag) => part("", `not ${nameOf(tag.narrative)}`, true)),
    ...article.assets.map((mention) => part("", assetName(mention.asset), mention.reviewed)),
  ];
}

// asked: { as_of }, if it is shown as it was known then.
export function articleItem(article, asked = {}) {
  const title = foreign("h3", "", ...(article.removed_at ? [`Taken down on ${article.removed_at.slice(0, 10)}`] : []));
  const words = marked(article, "title", article.title);
  if (/^https?:\/\//i.test(article.url || "")) title.append(Object.assign(link(article.url, ...words), { target: "_blank", rel: "noopener noreferrer" }));
  else title.append(...words);
  const item = make("li", "", title);
  if (article.summary) item.append(foreign("p", "lead", ...marked(article, "summary", article.summary, { limit: SUMMARY })));
  item.append(make("p", "about", part("", `${article.outlet}, ${when(article.event_at)}`), ...labels(article),
    ...(article.revisions > 1 ? [part("", `${article.revisions} versions`)] : []),
    Object.assign(link(addressOf(`/articles/${article.id}`, asked), "whole article"), { ariaLabel: `whole article: ${article.title}` }),
    ...(article.removed_at ? [] : [Object.assign(link(`/review#article=${article.id}`, "review"), { ariaLabel: `review ${article.title}` })])));
  return item;
}
