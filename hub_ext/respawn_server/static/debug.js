// Follows the opening of a debug notebook: one JSON message per line, see openings.py for their types.

const { run, baseUrl, xsrf, labWaits, restored } = document.body.dataset;
const byId = (id) => document.getElementById(id);

function labUrl(path) {
  return `${baseUrl}lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function showStep({ step, done, detail }) {
  const item = document.querySelector(`[data-step="${step}"]`);
  if (!item) return;
  item.className = done ? "done" : "running";
  item.querySelector(".detail").textContent = detail;
}

function showProblem(message, path) {
  for (const item of document.querySelectorAll("#steps .running")) item.className = "failed";
  byId("message").textContent = message;
  byId("problem").querySelector("h2").textContent = path ? "Its variables are not there" : "This run cannot be opened";
  byId("problem").hidden = false;
  byId("again").hidden = false;
  if (path) {
    byId("open").textContent = "Open the notebook without them";
    byId("open").href = labUrl(path);
    byId("open").hidden = false;
  }
}

function askConsent({ job, authors, cell }) {
  byId("consent-job").textContent = job;
  byId("consent-authors").textContent = authors.join(", ");
  byId("consent-cell").textContent = cell;
  byId("consent").hidden = byId("confirm").hidden = false;
  byId("confirm").focus();
}

function handle(message) {
  switch (message.type) {
    case "step":
      showStep(message);
      return false;
    case "written":
      if (labWaits !== "true") return false;
      // JupyterLab loads while the kernel comes up; its plugin (opening.js) waits for the rest of the messages.
      window.location.replace(`${labUrl(message.path)}?respawn=${encodeURIComponent(run)}`);
      return true;
    case "open":
      byId("open").href = labUrl(message.path);
      byId("open").hidden = false;
      window.location.replace(labUrl(message.path));
      return true;
    case "confirm":
      askConsent(message);
      return true;
    case "failed":
      showProblem(message.message, message.path);
      return true;
    default:
      return false;
  }
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

async function follow(confirm) {
  const response = await fetch(`${baseUrl}respawn/api/debug/${encodeURIComponent(run)}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-XSRFToken": xsrf },
    body: JSON.stringify({ confirm, restored: restored === "true" }),
    credentials: "same-origin",
  });
  if (!response.ok) {
    throw new Error(`Your Jupyter server answered ${response.status} ${response.statusText}.`);
  }
  for await (const line of lines(response)) {
    if (handle(JSON.parse(line))) return;
  }
  throw new Error("Your Jupyter server stopped answering.");
}

function start() {
  for (const id of ["consent", "confirm"]) byId(id).hidden = true;
  byId("problem").hidden = byId("again").hidden = byId("open").hidden = true;
  for (const item of document.querySelectorAll("#steps li")) {
    item.className = "";
    item.querySelector(".detail").textContent = "";
  }
  follow(agreed).catch((error) => showProblem(error.message, null));
}

let agreed = false;
byId("confirm").addEventListener("click", () => {
  agreed = true;
  start();
});
byId("again").addEventListener("click", start);
start();
