"use strict";
// Widgets as they were when the run ended: the manager draws them by itself, and there is no kernel behind them.
addEventListener("DOMContentLoaded", () => respawnFrame.output().classList.add("light"));
