// What unfold leaves to be done for keyboards and screen readers.
"use strict";

(() => {
  const ICON = ".material-symbols-outlined";
  // What buttons that are only an icon are called.
  const NAMES = { dock_to_right: "Menu", close: "Close", add: "Add", more_horiz: "Actions", arrow_back: "Back" };
  let opener = null;

  // Icons are ligatures: without this their names ("more_horiz") are read out.
  function nameIcons(root) {
    for (const icon of root.querySelectorAll(ICON)) {
      const button = icon.closest("a, button, [role=button], [x-on\\:click]");
      const others = button?.textContent.replace(icon.textContent, "").trim();
      if (button && !others && !button.hasAttribute("aria-label")) {
        button.setAttribute("aria-label", NAMES[icon.textContent.trim()] || button.title || icon.textContent.trim());
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
    const plan = form.querySelector("#plan");
    if (plan) {
      plan.remove();
      form.querySelector("button[name=look]").classList.add("v-main");
    }
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

  document.addEventListener("DOMContentLoaded", () => {
    mend(document);
    watchChoices();
    document.getElementById("plan")?.scrollIntoView({ block: "start" });
  });
  document.addEventListener("vedetta:replaced", (event) => mend(event.target));

  // Focus goes into a dialog, and back to the button that opened it.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target?.id === "modal-content") {
      opener = event.detail.elt;
    }
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "modal-content") {
      return;
    }
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
