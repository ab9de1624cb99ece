// The files that a job carries beside its notebook: which were found, which others a person wants, and which not.

import { element, sentence } from "./dom.js";

const listed = (text) => text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean);
const many = (count) => `${count} ${count === 1 ? "file" : "files"}`;

/** @returns {{node, value, show, tell}} `show` takes what a preview found, null where nothing is known */
export function carriedFiles() {
  const heading = element("summary", {}, "Files beside the notebook");
  const told = element("p", { class: "respawn-hint" });
  const files = element("ul", { class: "respawn-files", "aria-label": "Files that the job carries" });
  const outside = element("ul", { class: "respawn-files", "aria-label": "What its runs will not have" });
  const wrong = element("small", { id: "respawn-carry-wrong", class: "respawn-wrong", role: "alert" });
  const more = typed("carry-more", "Carry these too", "from the notebook\u2019s directory: data/*.csv, lib");
  const without = typed("carry-without", "Leave these out", "patterns, with commas between them");
  const place = element("input", { type: "checkbox", name: "carry-in-place" });
  const node = element(
    "details",
    { class: "respawn-carried" },
    heading,
    told,
    files,
    outside,
    element("div", { class: "respawn-pair" }, more.node, without.node),
    wrong,
    element("label", { class: "respawn-tick" }, place, element("span", {}, "Carry none: runs work where the notebook lies, with what is there then")),
  );
  const items = (list, texts) => {
    list.replaceChildren(...texts.map((text) => element("li", {}, text)));
    list.hidden = texts.length === 0;
  };
  return {
    node,
    value: () => ({ more: place.checked ? [] : listed(more.input.value), without: place.checked ? [] : listed(without.input.value), in_place: place.checked }),
    show: (found) => {
      const [carried, left] = [found?.files || [], found?.outside || []];
      for (const one of [more, without]) one.input.disabled = place.checked;
      if (!found) {
        heading.textContent = "Files beside the notebook";
        told.textContent = "What the job would carry is not known until this is corrected.";
        for (const list of [files, outside]) items(list, []);
        return;
      }
      const also = left.length ? `, ${left.length} to look at` : "";
      heading.textContent = `Files beside the notebook: ${carried.length ? `the job carries ${many(carried.length)}` : "the job carries none"}${also}`;
      told.textContent = carried.length
        ? "Runs work in a directory of their own with these, as they are now:"
        : "Runs work where the notebook lies.";
      items(files, carried.map(({ path, size }) => `${path} (${bytes(size)})`));
      items(outside, left.map((text) => `Not carried: ${sentence(text)}`));
    },
    tell: (message) => {
      wrong.textContent = message ? sentence(message) : "";
      if (message) node.open = true;
    },
  };
}

function typed(name, label, hint) {
  const id = `respawn-field-${name}`;
  const input = element("input", { class: "jp-mod-styled", autocomplete: "off", spellcheck: "false", name, "aria-describedby": `${id}-hint respawn-carry-wrong` });
  const node = element("label", { class: "respawn-field" }, element("span", {}, label), input, element("small", { id: `${id}-hint`, class: "respawn-hint" }, hint));
  return { node, input };
}

function bytes(size) {
  if (size < 1024) return `${size} B`;
  return size < 1024 * 1024 ? `${(size / 1024).toFixed(1)} KiB` : `${(size / 1024 / 1024).toFixed(1)} MiB`;
}
