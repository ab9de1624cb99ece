// A cell brought into view, and kept there until JupyterLab has drawn what is above it.

const SETTLE_MS = 10_000;
const SCROLL_MS = 1000;
const STEP_MS = 120;
const STEADY = 4;
const TOUCHES = ["wheel", "keydown", "pointerdown", "touchstart"];

/**
 * Keep a cell in view that was scrolled to, until it has stayed there for a moment or the person does something.
 *
 * JupyterLab measures cells as it draws them, which moves all below, and a scroll of its own ends ours.
 *
 * @param panel shows the notebook
 * @param find gives the cell; nothing where there is none
 * @param again called when it was scrolled to once more
 */
export async function keepInView(panel, find, again) {
  const touched = touches(panel.node);
  const until = performance.now() + SETTLE_MS;
  for (let steady = 0; steady < STEADY && performance.now() < until; steady += 1) {
    await pause(STEP_MS);
    const cell = find();
    if (panel.isDisposed || !panel.isVisible || touched.seen || !cell) break;
    if (inView(panel.content, cell)) continue;
    await scrollTo(panel, cell);
    again();
    steady = -1;
  }
  touched.forget();
}

/** Scroll to a cell; JupyterLab may end that for a scroll of its own, or never say that it is done. */
export async function scrollTo(panel, cell) {
  const index = panel.content.widgets.indexOf(cell);
  await Promise.race([panel.content.scrollToItem(index, "center").catch(() => {}), pause(SCROLL_MS)]);
}

/** Wait until a panel is seen: a notebook behind another one's tab has no height, and cannot be scrolled. */
export function shown(panel) {
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
