"use strict";
// Formulas of a text, which the service has marked.
addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".math")) {
    if (!window.katex) return;
    const text = element.textContent.replace(/^(\$\$|\\\()/, "").replace(/(\$\$|\\\))$/, "");
    const displayMode = element.tagName === "DIV";
    katex.render(text, element, { displayMode, throwOnError: false, trust: false, maxSize: 100 });
  }
});
