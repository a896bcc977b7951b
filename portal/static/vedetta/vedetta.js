// What unfold leaves to be done for keyboards and screen readers.
"use strict";

(() => {
  const ICON = ".material-symbols-outlined";
  // What buttons that are only an icon are called.
  // What is shown is said by the page, in its reader's language.
  const said = (name) => document.getElementById("v-words")?.dataset[name] || "";
  const NAMES = { close: "close", add: "add", more_horiz: "actions", arrow_back: "back" };
  // Beside this script's own address, wherever the portal is mounted.
  const LOGIN = new URL("../../admin/login/", document.currentScript.src).pathname;
  let opener = null;

  // Icons are ligatures: without this their names ("more_horiz") are read out.
  function nameIcons(root) {
    for (const icon of root.querySelectorAll(ICON)) {
      const button = icon.closest("a, button, [role=button], [x-on\\:click]");
      const others = button?.textContent.replace(icon.textContent, "").trim();
      if (button && !others && !button.hasAttribute("aria-label")) {
        button.setAttribute("aria-label", said(NAMES[icon.textContent.trim()]) || button.title || icon.textContent.trim());
      }
      icon.setAttribute("aria-hidden", "true");
    }
  }

  // What only a mouse could press can be reached by Tab and pressed by Enter or Space.
  function makeButtons(root) {
    for (const element of root.querySelectorAll("[x-on\\:click]")) {
      const native = element.matches("a[href], button, input, select, textarea");
      if (!native && !element.hasAttribute("tabindex")) {
        element.setAttribute("tabindex", "0");
        element.setAttribute("role", "button");
        element.addEventListener("keydown", pressed);
      }
    }
  }

  function pressed(event) {
    if (event.target === event.currentTarget && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.currentTarget.click();
    }
  }

  function mend(root) {
    makeButtons(root);
    nameIcons(root);
  }

  // Fields that matter for some choices only are shown with those, and all of them without this.
  function followChoices(form) {
    for (const field of form.querySelectorAll("[data-only-with]")) {
      const [name, ...values] = field.dataset.onlyWith.split(" ");
      const chosen = form.querySelector(`[name="${name}"]:checked`)?.value;
      field.closest(".group").hidden = !values.includes(chosen);
    }
  }

  // What was shown of other choices than those of now would mislead.
  function forgetPlan(form) {
    const plan = form.querySelector("[data-live]") || form.querySelector("#plan");
    if (plan) {
      plan.remove();
      form.querySelector("button[name=look]").classList.add("v-main");
    }
  }

  // Of two buttons, that which starts is the main one, also where the worker's answer brought it later.
  function followPlan() {
    const form = document.querySelector("#plan")?.closest("form");
    const starts = form?.querySelector("#plan button[name=start]");
    form?.querySelector("button[name=look]").classList.toggle("v-main", !starts);
  }

  function watchChoices() {
    const form = document.querySelector("[data-only-with]")?.closest("form");
    if (!form) {
      return;
    }
    followChoices(form);
    form.addEventListener("change", (event) => {
      followChoices(form);
      if (!["reason", "confirm"].includes(event.target.name)) {
        forgetPlan(form);
      }
    });
  }

  // What was typed into a long form is there again after somebody had to sign in in between.
  const KEPT_MS = 60 * 60 * 1000;

  function keepTyped() {
    const form = document.querySelector("form[data-keep]");
    if (!form) {
      return;
    }
    const key = `vedetta ${window.location.pathname}`;
    const kept = JSON.parse(sessionStorage.getItem(key) || "null");
    sessionStorage.removeItem(key);
    if (form.dataset.keep === "new" && kept && Date.now() - kept.at < KEPT_MS) {
      for (const field of form.querySelectorAll("input, select, textarea")) {
        fill(field, kept.values[field.name]);
      }
    }
    form.addEventListener("submit", () => {
      const values = {};
      for (const [name, value] of new FormData(form)) {
        (values[name] ||= []).push(value);
      }
      for (const name of ["csrfmiddlewaretoken", "shown", "confirm"]) {
        delete values[name];
      }
      sessionStorage.setItem(key, JSON.stringify({ at: Date.now(), values }));
    });
  }

  function fill(field, values) {
    if (!values || field.type === "hidden") {
      return;
    }
    if (["radio", "checkbox"].includes(field.type)) {
      field.checked = values.includes(field.value);
    } else if (field.multiple) {
      for (const option of field.options) {
        option.selected = values.includes(option.value);
      }
    } else {
      field.value = values[0];
    }
  }

  // unfold writes the numbers of a chart's axis as English does.
  function writeAxesForReader() {
    if (typeof DEFAULT_CHART_OPTIONS === "undefined") return;
    const language = document.documentElement.lang;
    const ticks = DEFAULT_CHART_OPTIONS.scales.y.ticks;
    const told = ticks.callback;
    ticks.callback = function (value) {
      return told.call(this, value.toLocaleString(language, { useGrouping: false }));
    };
    window.Chart.defaults.locale = language;
  }

  document.addEventListener("DOMContentLoaded", () => {
    writeAxesForReader();
    mend(document);
    showCopy(document);
    keepTyped();
    watchChoices();
    document.getElementById("plan")?.scrollIntoView({ block: "start" });
  });
  document.addEventListener("vedetta:replaced", (event) => {
    mend(event.target);
    followPlan();
  });

  // Focus goes into a dialog, and back to the button that opened it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target?.id === "modal-content") {
      opener = event.detail.elt;
    }
  });

  // What a dialog got in the place of what it asked for, in a sentence: it never fails without a word.
  function trouble(request) {
    const status = request?.status || 0;
    const here = window.location.pathname + window.location.search;
    if (status === 0) {
      return [said("noAnswer"), here, said("loadAgain")];
    }
    if (new URL(request.responseURL || here, window.location.href).pathname.endsWith("/login/")) {
      return [said("signedOut"), `${LOGIN}?next=${encodeURIComponent(here)}`, said("signIn")];
    }
    if (status === 403 && request.getResponseHeader("X-Vedetta-Refused") === "token") {
      return [said("ofBefore"), here, said("loadThenTry")];
    }
    if (status === 403) {
      return [said("mayNot"), here, said("backToPage")];
    }
    if (status === 404) {
      return [said("gone"), here, said("loadAgain")];
    }
    return [said("failed").replace("{status}", status), here, said("loadAgain")];
  }

  // unfold's buttons show it themselves, but not where the page was renewed while the answer was on its way
  // and the button is not there any more, nor where no answer came.
  function showDialog() {
    window.Alpine.$data(document.documentElement).openModal = true;
  }

  function tell(request, place) {
    const [sentence, href, words] = trouble(request);
    const notice = document.createElement("div");
    notice.className = "v-notice v-danger";
    notice.setAttribute("role", "alert");
    const link = Object.assign(document.createElement("a"), { href, textContent: words });
    notice.append(`${sentence} `, link);
    if (place.id === "modal-content") {
      const dialog = Object.assign(document.createElement("div"), { id: "dialog" });
      dialog.setAttribute("role", "dialog");
      dialog.setAttribute("aria-modal", "true");
      dialog.setAttribute("aria-label", said("didNotWork"));
      dialog.append(notice);
      place.replaceChildren(dialog);
      showDialog();
    } else {
      place.querySelector(":scope > .v-notice.v-danger")?.remove();
      place.prepend(notice);
    }
    setTimeout(() => link.focus(), 50);
  }

  // Where a dialog's answers go: its own place, and the part of it that a form is sent from.
  function placeOf(event) {
    const target = event.detail.target;
    return ["modal-content", "dialog-form", "set-up-test"].includes(target?.id) ? target : null;
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const place = placeOf(event);
    const wanted = { "modal-content": 'id="dialog"', "dialog-form": 'id="dialog-form"', "set-up-test": 'id="tried"' }[place?.id];
    const request = event.detail.xhr;
    if (place && (request.status >= 400 || !request.responseText.includes(wanted))) {
      event.detail.shouldSwap = false;
      tell(request, place);
    }
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      const place = placeOf(event);
      if (place) {
        tell(null, place);
      }
    });
  }

  // A browser gives its clipboard to pages of HTTPS and of this machine alone; elsewhere the text is marked.
  async function copy(button) {
    const text = document.getElementById(button.dataset.copy);
    window.getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
    } catch {
      if (!document.execCommand("copy")) {
        return;
      }
    }
    button.lastElementChild.textContent = button.dataset.copied;
  }

  function showCopy(root) {
    for (const button of root.querySelectorAll("[data-copy]")) {
      button.hidden = false;
    }
  }

  document.addEventListener("click", (event) => {
    const copies = event.target.closest("[data-copy]");
    if (copies) {
      copy(copies);
    }
    if (event.target.closest("[data-print]")) {
      window.print();
    }
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    showCopy(document);
    if (event.detail.target?.id !== "modal-content") {
      return;
    }
    showDialog();
    mend(event.detail.target);
    const first = event.detail.target.querySelector(
      "#dialog-form input:not([type=hidden]), #dialog-form select, #dialog-form textarea, button[type=submit]",
    );
    // Only after Alpine has shown the dialog can anything in it take the focus.
    setTimeout(() => first?.focus(), 50);
  });

  document.addEventListener("keydown", (event) => {
    const dialog = document.getElementById("dialog");
    if (!dialog || dialog.offsetParent === null) {
      return;
    }
    if (event.key === "Escape") {
      setTimeout(() => opener?.focus(), 50);
    } else if (event.key === "Tab") {
      keepInside(dialog, event);
    }
  });

  function keepInside(dialog, event) {
    const stops = [...dialog.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea")];
    const edge = event.shiftKey ? stops[0] : stops.at(-1);
    if (document.activeElement === edge || !dialog.contains(document.activeElement)) {
      (event.shiftKey ? stops.at(-1) : stops[0])?.focus();
      event.preventDefault();
    }
  }
})();
