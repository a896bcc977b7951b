// What every page gets for whoever reads it otherwise: by keyboard, by ear, in another time zone, or to type it.
"use strict";

(() => {
  const said = (name) => document.getElementById("v-words")?.dataset[name] || "";

  // ---------------------------------------------------------------- Commands are copied, not typed off

  function offerCopies(root) {
    for (const command of root.querySelectorAll("code.v-command")) {
      if (command.nextElementSibling?.matches(".v-copy")) {
        continue;
      }
      const button = Object.assign(document.createElement("button"), {
        type: "button", className: "v-copy", textContent: said("copy"),
      });
      button.setAttribute("aria-label", `${said("copy")}: ${command.textContent}`);
      command.after(button);
    }
  }

  async function copy(button) {
    const command = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(command.textContent);
    } catch {
      // Without HTTPS a browser has no clipboard for scripts: then it is marked, to be copied by keys.
      window.getSelection().selectAllChildren(command);
      document.execCommand("copy");
    }
    button.textContent = said("copied");
    setTimeout(() => (button.textContent = said("copy")), 3000);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".v-copy");
    if (button) {
      copy(button);
    }
  });

  // ---------------------------------------------------------------- Times: the portal's zone, and the reader's

  const ZONED = /(?:Z|[+-]\d\d:\d\d)$/;
  const TOLD = {
    weekday: "short", day: "numeric", month: "short", year: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit",
  };

  // Only where the reader's clock showed another time than the page does.
  function addOwnTimes(root) {
    const language = document.documentElement.lang;
    for (const time of root.querySelectorAll("time[datetime]:not([data-own])")) {
      const told = time.getAttribute("datetime");
      const at = new Date(told);
      time.dataset.own = "";
      if (!ZONED.test(told) || Number.isNaN(at.getTime()) || isSameHere(at, language)) {
        continue;
      }
      const own = at.toLocaleString(language, { ...TOLD, timeZoneName: "short" });
      time.title = `${time.title}\n${said("whereYouAre")}: ${own}`;
    }
  }

  function isSameHere(at, language) {
    try {
      return at.toLocaleString(language, TOLD) === at.toLocaleString(language, { ...TOLD, timeZone: said("zone") });
    } catch {
      return false; // the browser knows no such zone
    }
  }

  // ---------------------------------------------------------------- Charts, and the same in numbers

  // Chart.js is as large as all other scripts together: it comes where there is something to draw.
  function drawCharts() {
    const canvases = [...document.querySelectorAll("canvas.chart")];
    const address = said("charts");
    if (!canvases.length || !address) {
      return;
    }
    canvases.forEach(tellChart);
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", writeAxesForReader);
    document.head.append(script); // unfold draws once everything is loaded, this too
  }

  // unfold writes the numbers of a chart's axis as English does.
  function writeAxesForReader() {
    if (typeof DEFAULT_CHART_OPTIONS === "undefined") {
      return;
    }
    const language = document.documentElement.lang;
    const ticks = DEFAULT_CHART_OPTIONS.scales.y.ticks;
    const told = ticks.callback;
    ticks.callback = function (value) {
      return told.call(this, value.toLocaleString(language, { useGrouping: false }));
    };
    window.Chart.defaults.locale = language;
    DEFAULT_CHART_OPTIONS.plugins.tooltip.callbacks = { label: ({ dataset, formattedValue }) => `${dataset.label}: ${formattedValue} ${dataset.suffixYAxis || ""}`.trim() };
  }

  function tellChart(canvas) {
    const title = canvas.closest("section")?.querySelector("h2, h3")?.textContent.trim() || "";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", canvas.getAttribute("aria-label") || title || said("chart"));
    const details = document.createElement("details");
    details.className = "v-numbers";
    const summary = Object.assign(document.createElement("summary"), { textContent: said("inNumbers") });
    details.append(summary);
    details.addEventListener("toggle", () => fillNumbers(details, canvas), { once: true });
    canvas.parentElement.after(details);
  }

  function fillNumbers(details, canvas) {
    const { labels = [], datasets = [] } = JSON.parse(canvas.dataset.value || "{}");
    const language = document.documentElement.lang;
    const table = Object.assign(document.createElement("table"), { className: "v-table" });
    const head = table.createTHead().insertRow();
    for (const text of [said("day"), ...datasets.map((each) => each.label || "")]) {
      head.append(Object.assign(document.createElement("th"), { scope: "col", textContent: text }));
    }
    const body = table.createTBody();
    labels.forEach((label, index) => {
      const values = datasets.map((each) => each.data[index]);
      if (values.every((value) => value === null || value === undefined)) {
        return;
      }
      const row = body.insertRow();
      row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: label }));
      values.forEach((value, which) => {
        const unit = datasets[which].suffixYAxis || "";
        row.insertCell().textContent = typeof value === "number" ? `${value.toLocaleString(language)} ${unit}`.trim() : "–";
      });
    });
    const scroll = Object.assign(document.createElement("div"), { className: "v-scroll", tabIndex: 0 });
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", canvas.getAttribute("aria-label"));
    scroll.append(table);
    details.append(scroll);
  }

  // ---------------------------------------------------------------- Where the focus belongs

  // In a form that was not taken: at the first field that is wrong.
  function toFirstError(root) {
    const wrong = [...root.querySelectorAll("[aria-invalid='true']")];
    wrong.find((each) => each.offsetParent !== null)?.focus();
  }

  // A dialog gives the focus back to what opened it, also where the page was renewed meanwhile.
  let opener = null;

  function giveBack() {
    const again = opener?.address ? `[hx-get="${CSS.escape(opener.address)}"]` : null;
    const places = [opener?.element, again && document.querySelector(again), document.getElementById("main-content")];
    places.find((each) => each?.isConnected && each.offsetParent !== null)?.focus();
    opener = null;
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target?.id === "modal-content") {
      opener = { element: event.detail.elt, address: event.detail.elt.getAttribute("hx-get") };
    }
  });

  document.addEventListener("alpine:initialized", () => {
    const state = window.Alpine.$data(document.documentElement);
    let wasOpen = false;
    window.Alpine.effect(() => {
      const isOpen = state.openModal;
      if (wasOpen && !isOpen) {
        setTimeout(giveBack, 60);
      }
      wasOpen = isOpen;
    });
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target?.id === "dialog-form" || event.detail.target?.id === "dialog-form") {
      setTimeout(() => toFirstError(document.getElementById("dialog-form") || document), 60);
    }
  });

  // ---------------------------------------------------------------- Nothing typed is lost with a session

  const KEPT_MS = 60 * 60 * 1000;

  // Of the forms of rows, for as long as somebody takes to sign in again; passwords are not kept anywhere.
  function keepTyped() {
    const form = document.querySelector("#content form[id$='_form'][method='post']:not([data-keep])");
    if (!form) {
      return;
    }
    const key = `vedetta form ${window.location.pathname}`;
    const kept = JSON.parse(sessionStorage.getItem(key) || "null");
    sessionStorage.removeItem(key);
    const cameBack = document.referrer.endsWith("/login/") || document.referrer.includes("/login/?");
    if (kept && Date.now() - kept.at < KEPT_MS && (cameBack || window.location.hash === "#typed")) {
      for (const field of form.elements) {
        fill(field, kept.values);
      }
    }
    form.addEventListener("submit", () => {
      const values = {};
      for (const field of form.elements) {
        if (isKept(field)) {
          (values[field.name] ||= []).push(...valuesOf(field));
        }
      }
      sessionStorage.setItem(key, JSON.stringify({ at: Date.now(), values }));
    });
  }

  const isKept = (field) => field.name && !["hidden", "password", "file", "submit", "button"].includes(field.type);

  function valuesOf(field) {
    if (["checkbox", "radio"].includes(field.type)) {
      return field.checked ? [field.value] : [];
    }
    return field.multiple ? [...field.selectedOptions].map((option) => option.value) : [field.value];
  }

  function fill(field, values) {
    const kept = isKept(field) ? values[field.name] : null;
    if (!kept) {
      return;
    }
    if (["checkbox", "radio"].includes(field.type)) {
      field.checked = kept.includes(field.value);
    } else if (field.multiple) {
      for (const option of field.options) {
        option.selected = kept.includes(option.value);
      }
    } else {
      field.value = kept[0];
    }
  }

  // ---------------------------------------------------------------- What Django and unfold leave unnamed

  function nameOthers(root) {
    for (const tip of root.querySelectorAll(".help-tooltip[aria-label]:not([role])")) {
      tip.setAttribute("role", "img");
    }
    // What scrolls sideways on a phone can be scrolled by keys.
    for (const wide of root.querySelectorAll(".v-scroll:not([tabindex])")) {
      wide.tabIndex = 0;
    }
    for (const field of root.querySelectorAll("#filter-form input:not([type=hidden]), #filter-form select")) {
      const labels = field.labels?.length || field.hasAttribute("aria-label") || field.hasAttribute("aria-labelledby");
      if (!labels) {
        const heading = field.closest("div:has(> h3, > label)")?.querySelector("h3, label");
        field.setAttribute("aria-label", field.placeholder || heading?.textContent.trim() || field.name);
      }
    }
    const close = document.getElementById("changelist-filter-close");
    if (close && !close.hasAttribute("aria-label")) {
      close.setAttribute("aria-label", said("close"));
    }
  }

  function reach(root) {
    offerCopies(root);
    addOwnTimes(root);
    nameOthers(root);
  }

  document.addEventListener("DOMContentLoaded", () => {
    drawCharts();
    reach(document);
    keepTyped();
    toFirstError(document.getElementById("content") || document);
  });
  // Django makes its pickers once everything is loaded.
  window.addEventListener("load", () => setTimeout(() => nameOthers(document)));
  document.addEventListener("vedetta:replaced", (event) => reach(event.target));
  document.addEventListener("htmx:afterSwap", (event) => reach(event.detail.target || document));
})();
