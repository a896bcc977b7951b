// Keeps a page as it is on the server: asks its `data-live` address, puts in what has changed, stops at the end.
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
  let lastLine = root.dataset.lastLine || "0";
  let shown = null;

  async function ask() {
    const address = new URL(root.dataset.live, window.location);
    address.searchParams.set("after", lastLine);
    const response = await fetch(address, {
      headers: { Accept: "application/json" },
      cache: "no-store",
    });
    if (response.redirected || response.status === 403) {
      window.location.reload(); // signed out meanwhile
      return null;
    }
    if (!response.ok) {
      throw new Error(response.statusText);
    }
    return response.json();
  }

  function show(news) {
    if (news.html !== shown) {
      replace(news.html);
      shown = news.html;
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
  }

  function replace(html) {
    const active = state.contains(document.activeElement) ? document.activeElement : null;
    const focused = active?.getAttribute("href");
    const within = active?.id;
    state.innerHTML = html;
    window.htmx?.process(state);
    state.dispatchEvent(new CustomEvent("vedetta:replaced", { bubbles: true }));
    if (focused) {
      state.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    } else if (within) {
      document.getElementById(within)?.focus({ preventScroll: true });
    }
  }

  async function tick() {
    let seconds = Number(root.dataset.every || 1);
    try {
      const news = await ask();
      if (!news) {
        return;
      }
      show(news);
      offline?.setAttribute("hidden", "");
      if (news.over) {
        root.dataset.over = "1";
        return;
      }
      seconds = news.every || seconds;
    } catch {
      offline?.removeAttribute("hidden");
      seconds = 5;
    }
    setTimeout(tick, seconds * 1000);
  }

  if (log) {
    log.scrollTop = log.scrollHeight;
  }
  setTimeout(tick, Number(root.dataset.every || 1) * 1000);
})();
