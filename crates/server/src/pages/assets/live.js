// Fetches this page again every two seconds and changes only what differs, so that nothing flickers,
// scrolls away or loses its selection. Without an answer the page turns grey and says how old it is.
"use strict";

const EVERY_MS = 2000;
const AFTER_ERROR_MS = 5000;
const ANSWER_WITHIN_MS = 10000;

const age = document.getElementById("age");
let fetchedAt = Date.now();
let timer = 0;
let ticker = 0;
let stale = false;

function schedule(delay) {
  clearTimeout(timer);
  timer = setTimeout(refresh, delay);
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (!answer.ok) throw new Error(String(answer.status));
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = next.querySelector("main");
    if (!main) throw new Error("no content");
    merge(document.querySelector("main"), main);
    document.title = next.title;
    fetchedAt = Date.now();
    setStale(false);
    schedule(EVERY_MS);
  } catch {
    setStale(true);
    schedule(AFTER_ERROR_MS);
  }
}

function setStale(value) {
  stale = value;
  document.documentElement.classList.toggle("stale", stale);
  age.hidden = !stale;
  clearInterval(ticker);
  if (stale) {
    showAge();
    ticker = setInterval(showAge, 1000);
  }
}

function showAge() {
  age.textContent = age.dataset.text.replace("{}", `${Math.round((Date.now() - fetchedAt) / 1000)} s`);
}

// Makes `old` equal to `next`, keeping every node that need not go.
function merge(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName) {
    old.replaceWith(next);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = next.nodeValue;
    return;
  }
  for (const name of old.getAttributeNames()) {
    // What a reader has opened stays open.
    if (name !== "open" && !next.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const name of next.getAttributeNames()) {
    if (name !== "open" && old.getAttribute(name) !== next.getAttribute(name)) {
      old.setAttribute(name, next.getAttribute(name));
    }
  }
  const [before, after] = [[...old.childNodes], [...next.childNodes]];
  before.forEach((node, at) => (at < after.length ? merge(node, after[at]) : node.remove()));
  old.append(...after.slice(before.length));
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
schedule(EVERY_MS);
