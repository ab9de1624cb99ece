// A debug notebook keeps the kernel that holds its state, also when a key comes before JupyterLab has connected it.

/**
 * Let cells of a debug notebook wait for the kernel that runs for it.
 *
 * JupyterLab starts a kernel for a cell that is run while the notebook has none, and when it then connects to the
 * one that was there, it shuts that one down (`SessionContext._changeKernel`, JupyterLab 4.6): the state is gone.
 *
 * @param isDebug tells whether the panel shows a debug notebook
 */
export function keepItsKernel(panel, isDebug) {
  const context = panel.sessionContext;
  const start = context.startKernel.bind(context);
  context.startKernel = async () => {
    if (!isDebug(panel) || context.kernelPreference.shouldReuse === false) return start();
    const { sessionManager } = context;
    // Only before it is ready: `initialize` itself calls this in the moment in which it found no session, and would
    // wait for itself if one were found here.
    if (!sessionManager.isReady) await sessionManager.ready;
    if (!running(sessionManager, context.path)) return start();
    await context.initialize();
    return context.hasNoKernel ? start() : false;
  };
}

function running(sessionManager, path) {
  for (const session of sessionManager.running()) if (session.path === path && session.kernel) return true;
  return false;
}
