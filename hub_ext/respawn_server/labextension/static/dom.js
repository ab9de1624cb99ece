// Elements without markup: text is always text, so nothing that a notebook or a service says becomes HTML.

/**
 * @param {string} tag
 * @param {Object} [attributes] set as attributes; functions become listeners, false and null are left out
 * @param {...(Node|string|null)} children
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An address as it is when it leads to a web page, else null: a notebook's own data may say `javascript:`. */
export function webAddress(url) {
  if (typeof url !== "string" || !URL.canParse(url)) return null;
  return ["http:", "https:"].includes(new URL(url).protocol) ? url : null;
}

/** A link to one of the service's pages; they open beside JupyterLab. */
export function pageLink(url, text, attributes = {}) {
  return element("a", { href: url, target: "_blank", rel: "noopener", ...attributes }, text);
}

const WORD = /^[a-z]+(?:'s)?[,:;.!?]?(?:\s|$)/;

/** A message as a sentence: those of the service begin and end as they would within one. Ids and names stay as written. */
export function sentence(message) {
  const begun = WORD.test(message) ? `${message.slice(0, 1).toUpperCase()}${message.slice(1)}` : message;
  return `${begun}${/[.!?]$/.test(message) ? "" : "."}`;
}

/** A number before its noun, in the form that it wants: "1 line", "2 cells are". */
export function howMany(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${noun(number, one, many)}`;
}

/** A noun in the form that a number wants, without the number. */
export function noun(number, one, many = `${one}s`) {
  return number === 1 ? one : many;
}

/** A region that says what went wrong, empty when nothing did. */
export function problemBox(message) {
  return element("p", { class: "respawn-problem", role: "alert", hidden: !message }, message ? sentence(message) : "");
}

/** A button inside of a dialog's body. */
export function button(label, click, attributes = {}) {
  return element("button", { type: "button", class: "jp-mod-styled jp-mod-reject respawn-button", click, ...attributes }, label);
}
