// What unfold leaves to be done for keyboards and screen readers.
"use strict";

(() => {
  const ICON = ".material-symbols-outlined";
  // What buttons that are only an icon are called.
  // What is shown is said by the page, in its reader's language.
  const said = (name) => document.getElementById("v-words")?.dataset[name] || "";
  const NAMES = {
    close: "close", add: "add", more_horiz: "actions", more_vert: "actions", arrow_back: "back", search: "search",
    visibility: "home", light_mode: "theme", dark_mode: "theme", computer: "theme",
  };

  // Icons are ligatures: without this their names ("more_horiz") are read out.
  function nameIcons(root) {
    for (const icon of root.querySelectorAll(ICON)) {
      const button = icon.closest("a, button, [role=button], [x-on\\:click]");
      const others = button?.textContent.replace(icon.textContent, "").trim();
      if (button && !others && !button.hasAttribute("aria-label")) {
        button.setAttribute("aria-label", button.title || said(NAMES[icon.textContent.trim()]) || icon.textContent.trim());
      }
      if (icon !== button) {
        icon.setAttribute("aria-hidden", "true");
      }
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

  // Whoever asked what will happen reads that next, also where the worker's answer comes later.
  function lookAtPlan() {
    const plan = document.getElementById("plan");
    plan?.scrollIntoView({ block: "start" });
    plan?.focus({ preventScroll: true });
  }

  // On a page that is a form, the first thing to be answered, or what was answered wrongly. On a phone, which
  // would show its keyboard, it stays as it is.
  function goToForm() {
    const form = document.querySelector("form[data-start-here]");
    if (!form || document.getElementById("plan") || !window.matchMedia("(hover: hover)").matches) {
      return;
    }
    const field = ":is(input, select, textarea):not([type=hidden])";
    const wrong = form.querySelector(`.errors ${field}`);
    const first = form.querySelector("input[type=radio]:checked") || form.querySelector(field);
    (wrong || first)?.focus({ preventScroll: !wrong });
  }

  function watchChoices() {
    const form = document.querySelector("[data-only-with]")?.closest("form");
    if (!form) {
      return;
    }
    followChoices(form);
    form.addEventListener("change", (event) => {
      followChoices(form);
      if (event.target.name && !["reason", "confirm"].includes(event.target.name)) {
        forgetPlan(form);
      }
    });
  }

  // A list of tables is searched as one types, and says how many of them are chosen.
  function searchTables() {
    const tables = document.querySelector("[data-tables]");
    const filter = tables?.querySelector("[data-tables-filter]");
    if (!filter) {
      return;
    }
    const labels = [...tables.querySelectorAll(".v-tables-list label")];
    const chosen = tables.querySelector("[data-tables-chosen]");
    const form = tables.closest("form");

    function tellChosen() {
      const n = labels.filter((label) => label.firstElementChild.checked).length;
      const words = n ? chosen.dataset.some : chosen.dataset.none;
      chosen.textContent = words.replace("{n}", n).replace("{all}", labels.length);
    }

    filter.hidden = false;
    filter.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase();
      for (const label of labels) {
        label.hidden = !label.firstElementChild.value.toLowerCase().includes(wanted);
      }
      tables.querySelector("[data-tables-fits-none]").hidden = labels.some((label) => !label.hidden);
    });
    filter.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault(); // it searches, and sends nothing
      }
    });
    form.addEventListener("change", (event) => {
      tellChosen();
      if (event.target.name === "mode" && event.target.value === "tables") {
        tables.open = true;
      }
    });
    tables.open ||= labels.some((label) => label.firstElementChild.checked);
    tellChosen();
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

  document.addEventListener("DOMContentLoaded", () => {
    mend(document);
    showCopy(document);
    keepTyped();
    watchChoices();
    searchTables();
    lookAtPlan();
    goToForm();
  });
  // What a page is about to take over from the server.
  document.addEventListener("vedetta:fresh", (event) => mend(event.detail));
  document.addEventListener("vedetta:replaced", (event) => {
    mend(event.target);
    followPlan();
  });

  // What a dialog got in the place of what it asked for, in a sentence: it never fails without a word.
  // Where no answer came, there is no address to go to: it would lead to the browser's own page.
  function trouble(request, place) {
    const status = request?.status || 0;
    const here = window.location.pathname + window.location.search;
    if (status === 0) {
      return [said(place.id === "modal-content" ? "noDialog" : "noAnswer")];
    }
    if (new URL(request.responseURL || here, window.location.href).pathname.endsWith("/login/")) {
      return [said("signedOut"), `${said("login")}?next=${encodeURIComponent(here)}`, said("signIn")];
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
  function showDialog(isOpen = true) {
    window.Alpine.$data(document.documentElement).openModal = isOpen;
  }

  function closeButton() {
    const words = { type: "button", className: "v-button", textContent: said("close") };
    const button = Object.assign(document.createElement("button"), words);
    button.addEventListener("click", () => showDialog(false));
    return button;
  }

  // Also what was typed into a dialog whose answer was that one is signed out.
  const DIALOG = "vedetta dialog";

  function typedIn(place) {
    const fields = place.querySelectorAll("input[type=text], textarea");
    return [...fields].filter((field) => field.name && field.name !== "confirm");
  }

  function keepDialog(place) {
    const address = place.closest("form")?.getAttribute("hx-post");
    const values = Object.fromEntries(typedIn(place).map((field) => [field.name, field.value]));
    if (address) {
      sessionStorage.setItem(DIALOG, JSON.stringify({ at: Date.now(), address, values }));
    }
  }

  function fillDialog(place) {
    const kept = JSON.parse(sessionStorage.getItem(DIALOG) || "null");
    if (kept && place.querySelector("form")?.getAttribute("hx-post") === kept.address) {
      sessionStorage.removeItem(DIALOG);
      for (const field of Date.now() - kept.at < KEPT_MS ? typedIn(place) : []) {
        field.value ||= kept.values[field.name] || "";
      }
    }
  }

  function tell(request, place) {
    const [sentence, href, words] = trouble(request, place);
    const notice = document.createElement("div");
    notice.className = "v-notice v-danger";
    notice.setAttribute("role", "alert");
    notice.append(sentence);
    let way = href ? Object.assign(document.createElement("a"), { href, textContent: words }) : null;
    if (way) {
      notice.append(" ", way);
    }
    if (place.id === "modal-content") {
      const dialog = Object.assign(document.createElement("div"), { id: "dialog" });
      dialog.setAttribute("role", "dialog");
      dialog.setAttribute("aria-modal", "true");
      dialog.setAttribute("aria-label", said("didNotWork"));
      dialog.append(notice);
      if (!way) {
        way = closeButton();
        way.style.marginTop = "1rem";
        dialog.append(way);
      }
      place.replaceChildren(dialog);
      showDialog();
    } else {
      keepDialog(place);
      place.querySelector(":scope > .v-notice.v-danger")?.remove();
      place.prepend(notice);
    }
    setTimeout(() => way?.focus(), 50);
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
    const text = document.getElementById(button.dataset.copies);
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
    for (const button of root.querySelectorAll("[data-copies]")) {
      button.hidden = false;
    }
  }

  document.addEventListener("click", (event) => {
    const copies = event.target.closest("[data-copies]");
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
    fillDialog(event.detail.target);
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
    if (event.key === "Tab") {
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
