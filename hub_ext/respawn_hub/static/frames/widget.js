"use strict";
// Widgets as they were when the run ended: the manager draws them by itself, and there is no kernel behind them.
addEventListener("load", () => {
  document.getElementById("output").classList.add("light");
  if (!document.querySelector(".jupyter-widgets, .widget-subarea") && !window.respawnWidgets) {
    setTimeout(() => {
      if (!document.querySelector(".jupyter-widgets")) respawnFrame.missing("the widgets' manager");
    }, 10000);
  }
});
