// A cell brought into view as soon as it can be, and kept there until JupyterLab has drawn what is above it.

const SETTLE_MS = 10_000;
const SCROLL_MS = 1000;
const STEP_MS = 100;
const STEADY = 5;
const TOUCHES = ["wheel", "keydown", "pointerdown", "touchstart"];

/**
 * Scroll to a cell, and keep it in view until it has stayed there for a moment or the person does something.
 *
 * A notebook behind another one's tab has no height, and cannot be scrolled. JupyterLab draws the cells of a notebook
 * one after the other in its idle time, so that one far down may come after many seconds: `scrollToItem` waits for
 * ten. It measures cells as it draws them, which moves all below, and a scroll of its own ends ours.
 *
 * @param panel shows the notebook
 * @param find gives the cell; nothing where there is none
 * @param focus called when the cell has come into view
 */
export async function bringIntoView(panel, find, focus) {
  do await shown(panel);
  while (!(await settled(panel, find, focus)));
}

/** Do it while the notebook is seen; false where it was hidden before that was done. */
async function settled(panel, find, focus) {
  const touched = touches(panel.node);
  let until = Infinity;
  for (let steady = 0; steady < STEADY && !touched.seen && performance.now() < until; ) {
    const cell = find();
    if (panel.isDisposed || !cell) break;
    if (!panel.isVisible) {
      touched.forget();
      return false;
    }
    if (inView(panel.content, cell)) {
      steady += 1;
      if (steady === 1) focus();
    } else if (cell.node.isConnected || panel.content.viewModel?.windowingActive) {
      steady = 0;
      until = Math.min(until, performance.now() + SETTLE_MS);
      await scrollTo(panel, cell);
      continue;
    }
    await pause(STEP_MS);
  }
  touched.forget();
  return true;
}

/** Scroll to a cell; JupyterLab may end that for a scroll of its own, or never say that it is done. */
async function scrollTo(panel, cell) {
  const index = panel.content.widgets.indexOf(cell);
  await Promise.race([panel.content.scrollToItem(index, "center").catch(() => {}), pause(SCROLL_MS)]);
  await new Promise((resolve) => requestAnimationFrame(resolve));
}

/** Wait until a panel is seen. */
function shown(panel) {
  return new Promise((resolve) => {
    const end = () => {
      observer.disconnect();
      panel.disposed.disconnect(end);
      resolve();
    };
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) end();
    });
    panel.disposed.connect(end);
    observer.observe(panel.content.node);
  });
}

/** Note whether a person does something in a node. */
function touches(node) {
  const touched = {
    seen: false,
    forget: () => TOUCHES.forEach((name) => node.removeEventListener(name, note, true)),
  };
  const note = () => {
    touched.seen = true;
  };
  for (const name of TOUCHES) node.addEventListener(name, note, { capture: true, passive: true });
  return touched;
}

/** Whether half of a cell, or of what there is to see of the notebook, is in view. */
function inView(notebook, cell) {
  const box = notebook.node.getBoundingClientRect();
  const rect = cell.node.getBoundingClientRect();
  const seen = Math.min(rect.bottom, box.bottom) - Math.max(rect.top, box.top);
  return rect.height > 0 && seen >= Math.min(rect.height, box.height) / 2;
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
