"use strict";
// A formula, with or without the signs that enclose it in a text.
(() => {
  const frame = respawnFrame;
  if (!window.katex) return;
  const text = frame.data().trim();
  const enclosed = [/^\$\$([^]*)\$\$$/, /^\\\[([^]*)\\\]$/, /^\$([^$]*)\$$/, /^\\\(([^]*)\\\)$/];
  const inner = enclosed.map((pattern) => pattern.exec(text)?.[1]).find((found) => found !== undefined);
  katex.render(inner ?? text, frame.output(), { displayMode: true, throwOnError: false, trust: false, maxSize: 100 });
})();
