"use strict";
// The next fires of a schedule that is being written, as the service computes them; and the usual times.
(() => {
  for (const form of document.querySelectorAll("form.schedule-form")) follow(form);

  function follow(form) {
    const { cron, tz } = form.elements;
    const fires = form.querySelector(".fires");
    if (!tz.value) tz.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    let timer;
    let latest = 0;

    function say(text, wrong) {
      fires.classList.toggle("text-danger-emphasis", wrong);
      fires.textContent = text;
    }

    async function preview() {
      const mine = ++latest;
      if (!cron.value.trim() || !tz.value.trim()) return say("", false);
      const query = new URLSearchParams({ cron: cron.value.trim(), tz: tz.value.trim(), count: "4" });
      try {
        const answer = await respawn.fetch(`${respawn.prefix}api/v1/schedules/preview?${query}`);
        const found = await answer.json();
        if (mine !== latest) return; // a newer question is on its way
        if (!answer.ok) return say(found.message, true);
        say(`Next, ${tz.value.trim()}: `, false);
        const list = document.createElement("ol");
        list.className = "mb-0 ps-3";
        for (const when of found) {
          const item = document.createElement("li");
          item.textContent = inZone(when, tz.value.trim());
          list.append(item);
        }
        fires.append(list);
      } catch {
        if (mine === latest) say("The service does not answer; the schedule can still be sent.", true);
      }
    }

    form.addEventListener("input", (event) => {
      if (event.target !== cron && event.target !== tz) return;
      clearTimeout(timer);
      timer = setTimeout(preview, 250);
    });
    form.addEventListener("click", (event) => {
      const usual = event.target.dataset.cron;
      if (!usual) return;
      cron.value = usual;
      cron.focus();
      preview();
    });
    // What the service refused stands at its field already.
    if (![cron, tz].some((field) => field.classList.contains("is-invalid"))) preview();
  }

  function inZone(when, zone) {
    const { day, clock, weekday } = respawn.stamp(new Date(when), zone);
    return `${weekday} ${day} ${clock}`;
  }
})();
