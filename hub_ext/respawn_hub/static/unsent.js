"use strict";
// What a person typed into a form that did nothing, because they were signed out: it is filled in again.
// This tab alone holds it, until the next page that is not on the way back, and never what is secret.
(() => {
  const KEY = "respawn-unsent";
  const MAX_AGE = 3_600_000; // milliseconds
  const NEVER = ["password", "hidden", "file", "submit", "button"];
  const TICKS = ["checkbox", "radio"];
  const user = document.body.dataset.user;
  const held = take();

  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    keep({ user, action: address(event.target), at: Date.now(), fields: typed(event.target) });
  });

  if (held && document.querySelector("[data-unsent]")) keep({ ...held, back: true });
  else if (held && held.back && held.user === user && Date.now() - held.at < MAX_AGE) fill(held);

  function address(form) {
    return new URL(form.action).pathname;
  }

  function fieldsOf(form) {
    return [...form.elements].filter((one) => one.name && !NEVER.includes(one.type) && "value" in one);
  }

  function typed(form) {
    return fieldsOf(form).map((one) => ({ name: one.name, value: one.value, checked: TICKS.includes(one.type) ? one.checked : null }));
  }

  function fill({ action, fields }) {
    const form = [...document.forms].find((one) => one.method === "post" && address(one) === action);
    if (!form || !fields.length) return;
    const own = fieldsOf(form);
    for (const { name, value, checked } of fields) {
      const ticks = checked !== null;
      const field = own.find((one) => one.name === name && TICKS.includes(one.type) === ticks && (!ticks || one.value === value));
      if (!field) continue;
      if (ticks ? field.checked === checked : field.value === value) continue;
      if (ticks) field.checked = checked;
      else field.value = value;
      for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    }
    const box = document.createElement("p");
    box.className = "alert alert-info";
    box.setAttribute("role", "status");
    box.textContent = "What you typed stands here again, and was not sent yet. Secret values and files have to be given again.";
    form.prepend(box);
    box.scrollIntoView({ block: "center" });
  }

  // A browser may refuse to hold anything; then nothing is filled in, and all else works.
  function keep(content) {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(content));
    } catch {
      return;
    }
  }

  function take() {
    try {
      const content = JSON.parse(sessionStorage.getItem(KEY));
      sessionStorage.removeItem(KEY);
      return content;
    } catch {
      return null;
    }
  }
})();
