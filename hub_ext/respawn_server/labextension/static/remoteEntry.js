// The container that JupyterLab loads: a hand-written module-federation remote, so that nothing needs building.
// `init` gets the share scope with JupyterLab's own modules, `get` answers the plugin's.
(() => {
  const here = document.currentScript.src;
  const load = (file) => import(new URL(file, here).href);
  let scope = null;

  const modules = {
    "./extension": async () => {
      const [{ connect }, { makePlugin }] = await Promise.all([load("./lab.js"), load("./plugin.js")]);
      const plugin = makePlugin(await connect(scope));
      return () => ({ __esModule: true, default: [plugin] });
    },
    "./style": async () => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL("./style.css", here).href;
      document.head.append(link);
      return () => ({});
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.respawn = {
    init(shareScope) {
      scope = shareScope;
    },
    get(name) {
      if (!modules[name]) return Promise.reject(new Error(`respawn has no module ${name}`));
      return modules[name]();
    },
  };
})();
