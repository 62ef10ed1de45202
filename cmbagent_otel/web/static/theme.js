// Before the first paint: the theme that the reader chose, else the system's. Not a module, so that it is not late.
"use strict";
(() => {
  const root = document.documentElement;
  const chosen = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try {
    kept = localStorage.getItem("cmbagent-otel.theme");
  } catch {
    // storage may be forbidden: then each page follows the system
  }
  const theme = chosen || kept;
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  root.dataset.script = "on";
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.hidden = false;
    button.addEventListener("click", () => {
      const dark = root.dataset.theme
        ? root.dataset.theme === "dark"
        : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try {
        localStorage.setItem("cmbagent-otel.theme", root.dataset.theme);
      } catch {
        // as above
      }
    });
  });
})();
