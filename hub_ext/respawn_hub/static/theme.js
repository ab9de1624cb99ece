"use strict";
// Light or dark: what the person chose on the hub's pages (the same key), else what the system prefers.
// Runs before the page is drawn, so that it never flashes in the other theme.
(() => {
  const KEY = "jupyterhub-bs-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem(KEY);
  const show = () => {
    const theme = ["light", "dark"].includes(chosen()) ? chosen() : system.matches ? "dark" : "light";
    document.documentElement.dataset.bsTheme = theme;
    return theme;
  };
  show();
  system.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme-toggle").addEventListener("click", () => {
      localStorage.setItem(KEY, show() === "dark" ? "light" : "dark");
      show();
    });
  });
})();
