// JupyterLab's own modules, taken from its share scope: tokens are only equal when the modules are the same.

const NEEDED = {
  apputils: "@jupyterlab/apputils",
  coreutils: "@jupyterlab/coreutils",
  mainmenu: "@jupyterlab/mainmenu",
  notebook: "@jupyterlab/notebook",
  services: "@jupyterlab/services",
  widgets: "@lumino/widgets",
};

async function fromScope(scope, name) {
  const versions = Object.entries(scope[name] || {});
  // An extension may bring a copy of its own; the application's is the one that its plugins are made of.
  const [, found] = versions.find(([, { from }]) => from === "CORE_FEDERATION") || versions[0] || [];
  if (!found) throw new Error(`respawn: this JupyterLab does not share ${name}`);
  const factory = await found.get();
  return factory();
}

/** @returns the modules of `NEEDED`, by their short names */
export async function connect(scope) {
  const entries = Object.entries(NEEDED).map(async ([key, name]) => [key, await fromScope(scope, name)]);
  return Object.fromEntries(await Promise.all(entries));
}
