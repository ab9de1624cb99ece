// Asks for a copy of a run's executed notebook, and goes to it.

const { run, baseUrl, xsrf } = document.body.dataset;
const byId = (id) => document.getElementById(id);

async function copy() {
  const response = await fetch(`${baseUrl}respawn/api/open/${encodeURIComponent(run)}`, {
    method: "POST",
    headers: { "X-XSRFToken": xsrf },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message ?? `the server answered ${response.status}`);
  window.location.replace(`${baseUrl}lab/tree/${answer.path.split("/").map(encodeURIComponent).join("/")}`);
}

function open() {
  byId("problem").hidden = byId("again").hidden = true;
  byId("doing").hidden = false;
  copy().catch((error) => {
    byId("message").textContent = error.message;
    byId("doing").hidden = true;
    byId("problem").hidden = byId("again").hidden = false;
  });
}

byId("again").addEventListener("click", open);
open();
