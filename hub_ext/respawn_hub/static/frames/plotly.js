"use strict";
// A chart of Plotly, from the JSON that its figure displays.
(() => {
  const frame = respawnFrame;
  if (!window.Plotly) return;
  const { data, layout = {}, frames, config = {} } = frame.data();
  const chart = frame.output();
  const own = { paper: layout.paper_bgcolor, plot: layout.plot_bgcolor, font: layout.font?.color };
  const DARK = { paper: "rgba(0,0,0,0)", plot: "rgba(127,127,127,.12)", font: "#dee2e6" };

  // Colours that the figure itself sets stay; those of its template are of a light page.
  const colours = (theme) => ({
    paper_bgcolor: own.paper ?? (theme === "dark" ? DARK.paper : undefined),
    plot_bgcolor: own.plot ?? (theme === "dark" ? DARK.plot : undefined),
    font: { ...layout.font, color: own.font ?? (theme === "dark" ? DARK.font : undefined) },
  });
  const whole = (theme) => ({ autosize: true, ...layout, height: layout.height ?? 450, ...colours(theme) });
  const settings = { responsive: true, displaylogo: false, ...config, showSendToCloud: false, plotlyServerURL: "" };

  Plotly.newPlot(chart, { data, layout: whole(frame.theme()), frames, config: settings }).catch((error) => frame.failed("Plotly", error));
  frame.onTheme((theme) => Plotly.react(chart, data, whole(theme), settings).catch((error) => frame.failed("Plotly", error)));
})();
