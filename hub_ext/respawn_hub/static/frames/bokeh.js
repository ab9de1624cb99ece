"use strict";
// Bokeh's own script, which follows in the document, finds the library; where it is missing, it would wait for ever.
if (window.Bokeh) window.Bokeh.set_log_level("error");
else addEventListener("DOMContentLoaded", () => respawnFrame.missing("Bokeh"));
addEventListener("DOMContentLoaded", () => {
  for (const root of document.querySelectorAll("[data-root-id]")) root.classList.add("light");
});
