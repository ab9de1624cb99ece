"use strict";
// A chart of Vega or Vega-Lite. Its expressions are interpreted (`ast`), since nothing here may be compiled.
(() => {
  const frame = respawnFrame;
  if (!window.vegaEmbed) return;
  const spec = frame.data();
  let drawn = Promise.resolve();

  async function draw(theme) {
    const config = spec.config?.background ?? spec.background ? {} : { background: "transparent" };
    const options = { ast: true, actions: false, renderer: "svg", config, theme: theme === "dark" ? "dark" : undefined };
    await vegaEmbed(frame.output(), spec, options);
  }

  const redraw = (theme) => {
    drawn = drawn.then(() => draw(theme)).catch((error) => frame.failed("Vega", error));
  };
  redraw(frame.theme());
  frame.onTheme(redraw);
})();
