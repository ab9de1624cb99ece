"use strict";
// In each frame of an output, before anything of the notebook's: its height for the page, the page's theme, and
// why something is not shown. A frame has no origin; it and the page exchange nothing but a number, a word, and
// whether JupyterLab would show more.
window.respawnFrame = (() => {
  const root = document.documentElement;
  const themes = [];
  const shown = new Set();

  function tell() {
    const lab = [...document.querySelectorAll(".respawn-why")].some((note) => note.textContent.includes("JupyterLab"));
    parent.postMessage({ respawnHeight: root.offsetHeight, respawnLab: lab }, "*");
  }

  function why(reason) {
    if (shown.has(reason) || shown.size > 5) return;
    shown.add(reason);
    const note = document.createElement("p");
    note.className = "respawn-why";
    note.setAttribute("role", "note");
    note.textContent = reason;
    (document.body ?? root).append(note);
  }

  addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
    if (blockedURI === "eval" || blockedURI === "wasm-eval") {
      why("Parts of this output do not work here: they compile code, which this page does not let outputs do.");
    } else if (/^(https?|wss?):/.test(blockedURI)) {
      const kind = { "img-src": "a picture", "connect-src": "data", "style-src-elem": "styles", "font-src": "a font" };
      const what = kind[effectiveDirective] ?? (effectiveDirective.startsWith("script") ? "a script" : "something");
      const host = new URL(blockedURI).host;
      why(`This output asks for ${what} from ${host}, and this page loads nothing from elsewhere. Open the notebook in JupyterLab to see all of it.`);
    }
  });
  // A library that is not there: without a word, what it draws would stay blank.
  addEventListener(
    "error",
    ({ target }) => {
      const file = target instanceof HTMLScriptElement && /\/frames\/vendor\/(.+)$/.exec(target.src)?.[1];
      if (file) why(`This output needs ${file}, which this service was installed without. Its administrator can add it.`);
    },
    true,
  );
  addEventListener("message", ({ source, data }) => {
    if (source !== parent || !data || !["light", "dark"].includes(data.respawnTheme)) return;
    if (root.dataset.theme === data.respawnTheme) return;
    root.dataset.theme = data.respawnTheme;
    for (const change of themes) change(data.respawnTheme);
  });
  addEventListener("load", tell);
  new ResizeObserver(tell).observe(root);
  tell();

  return {
    why,
    /** The notebook's data, which the document holds as JSON. */
    data: () => JSON.parse(document.querySelector('script[type="application/json"]').textContent),
    output: () => document.getElementById("output"),
    theme: () => root.dataset.theme ?? "light",
    onTheme: (change) => themes.push(change),
    failed: (name, error) => why(`${name} could not draw this: ${error?.message ?? error}`),
  };
})();
