// Links that set a password: copied by whoever invites, opened by whoever is invited.
"use strict";

(() => {
  async function copied(text, field) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS browsers have no other way.
      field.select();
      document.execCommand("copy");
    }
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      await copied(field.value, field);
      button.textContent = button.dataset.copied;
    });
  }

  // What is behind the # goes to no server by itself, nor into any log; and not into the browser's history.
  const form = document.getElementById("link-form");
  if (form && window.location.hash.length > 1) {
    form.querySelector("[name=link]").value = window.location.hash.slice(1);
    window.history.replaceState(null, "", window.location.pathname);
    form.submit();
  }
})();
