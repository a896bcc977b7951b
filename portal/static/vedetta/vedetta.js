// Keyboard and screen reader in dialogs: focus goes into them, and back to the button that opened them.
"use strict";

(() => {
  let opener = null;

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target?.id === "modal-content") {
      opener = event.detail.elt;
    }
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "modal-content") {
      return;
    }
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
    const last = stops.at(-1);
    const edge = event.shiftKey ? stops[0] : last;
    if (document.activeElement === edge || !dialog.contains(document.activeElement)) {
      (event.shiftKey ? last : stops[0])?.focus();
      event.preventDefault();
    }
  }
})();
