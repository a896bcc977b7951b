// What unfold's Alpine expressions name and cannot reach by themselves: Alpine's build for a policy without
// eval knows no globals, and reads one expression at a time, no statements and no functions.
"use strict";

(() => {
  const SIDEBAR = "sidebarDesktopOpen";

  // The page as a whole: which tab is shown, and whether there is a sidebar.
  function page(primaryTab) {
    return {
      activeTab: primaryTab === undefined ? "" : window.getCurrentTab() || primaryTab,
      sidebarMobileOpen: false,
      sidebarDesktopOpen: (localStorage.getItem(SIDEBAR) ?? "1") === "1",
      // Forms are sent to the page's own address; of the window they read nothing else.
      window: {
        location: {
          get pathname() {
            return location.pathname;
          },
          get search() {
            return location.search;
          },
        },
      },
      init() {
        this.$watch(SIDEBAR, (open) => localStorage.setItem(SIDEBAR, open ? "1" : "0"));
      },
    };
  }

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("page", page);
    for (const name of ["theme", "searchForm", "searchDropdown", "searchCommand"]) {
      window.Alpine.data(name, window[name]);
    }
  });
})();
