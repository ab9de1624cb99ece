// The browser's side of the cluster panel. Messages are described in messages.py.

const TIME_LIMIT_MS = 8000;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) {
    count /= 1024;
    unit += 1;
  }
  return `${count.toFixed(unit < 3 ? 0 : 1)} ${UNITS[unit]}`;
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Sends requests to the kernel and resolves each with its answer; calls `onSlow` when an answer takes long. */
function connect(model, onSlow) {
  const waiting = new Map();
  let last = 0;
  const receive = (message) => {
    const request = waiting.get(message?.id);
    if (!request) return;
    clearTimeout(request.timer);
    waiting.delete(message.id);
    message.ok ? request.resolve() : request.reject(new Error(message.error));
  };
  model.on("msg:custom", receive);
  return {
    ask(kind, fields = {}) {
      last += 1;
      const id = last;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, timer: setTimeout(onSlow, TIME_LIMIT_MS) });
        model.send({ id, kind, ...fields });
      });
    },
    end() {
      model.off("msg:custom", receive);
      for (const request of waiting.values()) clearTimeout(request.timer);
      waiting.clear();
    },
  };
}

function buildPanel() {
  const parts = {
    summary: make("span", { className: "summary" }),
    dashboard: make("a", { target: "_blank", rel: "noopener noreferrer", textContent: "Dashboard" }),
    slider: make("input", { type: "range", min: 1, step: 1 }),
    count: make("output"),
    close: make("button", { type: "button", textContent: "Close…" }),
    really: make("button", { type: "button", className: "danger", textContent: "Close cluster" }),
    keep: make("button", { type: "button", textContent: "Keep" }),
    body: make("tbody"),
    message: make("p", { className: "message", hidden: true }),
  };
  parts.message.setAttribute("role", "status");
  parts.slider.setAttribute("aria-label", "Number of workers");
  parts.confirm = make("span", { className: "confirm", hidden: true }, "Running tasks are lost.", parts.really, parts.keep);
  parts.controls = make("div", { className: "controls" }, make("label", {}, "Workers", parts.slider, parts.count), parts.close, parts.confirm);
  const head = make("tr", {}, make("th", { textContent: "Worker" }), make("th", { className: "memory", textContent: "Memory" }));
  head.append(make("th", { className: "number threads", textContent: "Threads" }), make("th", { className: "number", textContent: "Tasks" }));
  parts.rows = make("div", { className: "rows" }, make("table", {}, make("thead", {}, head), parts.body));
  const header = make("header", {}, make("h3", { textContent: "Dask cluster" }), parts.summary, parts.dashboard);
  parts.root = make("section", { className: "respawn-cluster" }, header, parts.controls, parts.rows, parts.message);
  parts.root.setAttribute("aria-label", "Dask cluster");
  // JupyterLab's notebook would take the arrow keys from the slider and Escape from the question. Its shortcuts
  // look at the focused element itself first, so the mark stands on each.
  for (const control of [parts.slider, parts.close, parts.really, parts.keep, parts.dashboard]) {
    control.setAttribute("data-lm-suppress-shortcuts", "true");
  }
  return parts;
}

function workerRow(worker) {
  const share = worker.limit ? Math.min(1, worker.memory / worker.limit) : 0;
  const fill = make("i");
  fill.style.width = `${(share * 100).toFixed(1)}%`;
  const bar = make("span", { className: share > 0.8 ? "bar full" : "bar" }, fill);
  const memory = worker.limit ? `${bytes(worker.memory)} of ${bytes(worker.limit)}` : bytes(worker.memory);
  return make(
    "tr", {},
    make("td", { textContent: worker.name, title: worker.name }),
    make("td", { className: "memory" }, memory, bar),
    make("td", { className: "number threads", textContent: worker.threads }),
    make("td", { className: "number", textContent: worker.tasks }),
  );
}

const howMany = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

function summary(state) {
  if (!state.open) return "closed; respawn.cluster() starts another";
  const here = state.workers.length;
  const memory = state.workers.reduce((sum, worker) => sum + worker.memory, 0);
  const limit = state.workers.reduce((sum, worker) => sum + worker.limit, 0);
  const share = here === state.wanted ? "" : `${here} of `;
  const count = `${share}${howMany(state.wanted, "worker")}`;
  return limit ? `${count} · ${bytes(memory)} of ${bytes(limit)}` : `${count} · ${bytes(memory)}`;
}

function render({ model, el }) {
  const parts = buildPanel();
  let dragging = false;

  const say = (text, isError = false) => {
    parts.message.textContent = text;
    parts.message.hidden = !text;
    parts.message.classList.toggle("error", isError);
  };
  const draw = () => {
    const state = model.get("state");
    parts.summary.textContent = summary(state);
    const link = state.dashboard ?? "";
    parts.dashboard.hidden = !/^https?:/.test(link);
    if (!parts.dashboard.hidden) parts.dashboard.href = link;
    parts.controls.hidden = parts.rows.hidden = !state.open;
    parts.slider.max = state.most;
    if (!dragging) {
      parts.slider.value = state.wanted;
      parts.count.textContent = state.wanted;
    }
    parts.body.replaceChildren(...state.workers.map(workerRow));
  };
  const kernel = connect(model, () => say("The kernel is busy; it answers when the running cell ends."));
  const ask = async (kind, fields) => {
    try {
      await kernel.ask(kind, fields);
      say("");
    } catch (error) {
      say(error.message, true);
      draw();
    }
  };
  const askToClose = (asking) => {
    parts.confirm.hidden = !asking;
    parts.close.hidden = asking;
    (asking ? parts.keep : parts.close).focus();
  };

  parts.slider.addEventListener("input", () => {
    dragging = true;
    parts.count.textContent = parts.slider.value;
  });
  // A drag that ends where it began makes no change event.
  parts.slider.addEventListener("pointerup", () => (dragging = false));
  parts.slider.addEventListener("blur", () => (dragging = false));
  parts.slider.addEventListener("change", async () => {
    dragging = true;
    await ask("scale", { workers: Number(parts.slider.value) });
    dragging = false;
    draw();
  });
  parts.close.addEventListener("click", () => askToClose(true));
  parts.keep.addEventListener("click", () => askToClose(false));
  parts.confirm.addEventListener("keydown", (event) => event.key === "Escape" && askToClose(false));
  parts.really.addEventListener("click", async () => {
    parts.really.disabled = parts.keep.disabled = true;
    await ask("close");
    parts.really.disabled = parts.keep.disabled = false;
    askToClose(false);
  });

  model.on("change:state", draw);
  draw();
  el.append(parts.root);
  if (model.get("state").open) ask("look");
  return () => {
    model.off("change:state", draw);
    kernel.end();
  };
}

export default { render };
