// Keeps a page as it is on the server: asks its `data-live` address, puts in what has changed, stops at the end.
// What is the same stays the same node: so focus, an open dialog's button and what was typed stay, and a screen
// reader reads no warning twice.
"use strict";

(() => {
  const root = document.querySelector("[data-live]");
  if (!root || root.dataset.over === "1") {
    return;
  }
  const state = root.querySelector("[data-live-state]");
  const log = root.querySelector("[data-live-log]");
  const chip = document.querySelector("[data-live-chip]");
  const offline = root.querySelector("[data-live-offline]");
  // Until all that is followed is over.
  const untilOver = new AbortController();
  let lastLine = root.dataset.lastLine || "0";
  // Of what is shown: the server answers by nothing while that is what there is.
  let tag = root.dataset.tag || "";
  let seconds = Number(root.dataset.every || 1);
  let timer = null;
  let isAsking = false;

  async function ask() {
    const address = new URL(root.dataset.live, window.location);
    address.searchParams.set("after", lastLine);
    const headers = { Accept: "application/json" };
    if (tag) {
      headers["If-None-Match"] = tag;
    }
    const response = await fetch(address, { headers, cache: "no-store" });
    if (response.redirected || response.status === 403) {
      window.location.reload(); // signed out meanwhile
      return null;
    }
    if (response.status === 304) {
      return { every: seconds };
    }
    if (!response.ok) {
      throw new Error(response.statusText);
    }
    const news = await response.json();
    tag = response.headers.get("ETag") || "";
    return news;
  }

  function show(news) {
    if (news.html !== undefined) {
      replace(state, news.html);
    }
    for (const [name, html] of Object.entries(news.parts || {})) {
      replace(state.querySelector(`[data-part="${name}"]`), html);
    }
    if (log && news.log) {
      const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.insertAdjacentHTML("beforeend", news.log);
      if (follows) {
        log.scrollTop = log.scrollHeight;
      }
      lastLine = news.last_line;
    }
    if (chip && news.chip !== undefined && news.chip !== chip.innerHTML) {
      chip.innerHTML = news.chip;
    }
    if (news.title) {
      document.title = news.title;
    }
    for (const [name, text] of Object.entries(news.badges || {})) {
      showBadge(name, text);
    }
    showCharts(news.charts || []);
  }

  function showBadge(name, text) {
    for (const badge of document.querySelectorAll(`[data-live-badge="${CSS.escape(name)}"]`)) {
      if (badge.textContent !== text) {
        badge.textContent = text;
      }
      badge.hidden = !text;
    }
  }

  // Their colours stay: unfold has looked them up once.
  function showCharts(all) {
    for (const [number, place] of [...document.querySelectorAll("[data-live-chart]")].entries()) {
      const canvas = place.querySelector("canvas");
      if (!canvas || all[number] === undefined || all[number] === canvas.dataset.value) {
        continue;
      }
      const chart = window.Chart?.getChart(canvas);
      const { labels, datasets } = JSON.parse(all[number]);
      if (!chart || chart.data.datasets.length !== datasets.length) {
        continue;
      }
      chart.data.labels = labels;
      for (const [line, { data, suffixYAxis }] of datasets.entries()) {
        Object.assign(chart.data.datasets[line], { data, suffixYAxis });
      }
      chart.update("none");
      canvas.dataset.value = all[number];
    }
  }

  function replace(place, html) {
    if (!place) {
      return;
    }
    const fresh = document.createElement("div");
    fresh.innerHTML = html;
    // As what is there was mended when it came, so that equals are equal.
    document.dispatchEvent(new CustomEvent("vedetta:fresh", { detail: fresh }));
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    const href = focused?.getAttribute("href");
    takeOverChildren(place, fresh);
    window.htmx?.process(place);
    place.dispatchEvent(new CustomEvent("vedetta:replaced", { bubbles: true }));
    if (focused && document.activeElement !== focused) {
      const now = focused.isConnected || !href ? focused : place.querySelector(`[href="${CSS.escape(href)}"]`);
      now?.focus();
    }
  }

  function takeOver(old, fresh) {
    if (old.isEqualNode(fresh)) {
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name)) {
        old.removeAttribute(name);
      }
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) {
        old.setAttribute(name, value);
      }
    }
    takeOverChildren(old, fresh);
  }

  // Rows are known by their `data-key`, wherever they went; others by their place.
  function takeOverChildren(old, fresh) {
    const keyed = new Map([...old.children].filter((each) => each.dataset.key).map((each) => [each.dataset.key, each]));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const key = next.dataset?.key;
      const known = key ? keyed.get(key) : sameAs(at, next);
      if (!known) {
        old.insertBefore(next, at);
        continue;
      }
      if (known === at) {
        at = at.nextSibling;
      } else {
        old.insertBefore(known, at);
      }
      takeOver(known, next);
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  function sameAs(at, next) {
    const look = (node) => `${node.nodeName} ${node.getAttribute?.("class")}`;
    return at && !at.dataset?.key && look(at) === look(next) ? at : null;
  }

  async function tick() {
    clearTimeout(timer);
    // Nobody looks: whoever comes back is shown at once how it is then.
    if (isAsking || document.hidden) {
      return;
    }
    isAsking = true;
    let wait = seconds;
    try {
      const news = await ask();
      if (!news) {
        return;
      }
      show(news);
      offline?.setAttribute("hidden", "");
      if (news.over) {
        root.dataset.over = "1";
        untilOver.abort();
        return;
      }
      seconds = news.every || seconds;
      wait = seconds;
    } catch {
      offline?.removeAttribute("hidden");
      wait = 5;
    } finally {
      isAsking = false;
    }
    timer = setTimeout(tick, wait * 1000);
  }

  if (log) {
    log.scrollTop = log.scrollHeight;
  }
  document.addEventListener("visibilitychange", tick, { signal: untilOver.signal });
  // A machine that lost its network, or has it again, is told so at once.
  for (const name of ["offline", "online"]) {
    window.addEventListener(name, tick, { signal: untilOver.signal });
  }
  timer = setTimeout(tick, seconds * 1000);
})();
