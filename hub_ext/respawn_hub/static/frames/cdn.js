"use strict";
// Markup of notebooks loads its libraries from the web, by elements that its scripts make. Where this service has
// the library, the element gets its file instead; what it has not, the frame's policy refuses.
(() => {
  const addresses = JSON.parse(document.currentScript.dataset.addresses).map(([text, file]) => [new RegExp(`^(?:${text})$`), file]);
  const prototype = HTMLScriptElement.prototype;
  const source = Object.getOwnPropertyDescriptor(prototype, "src");

  function own(address) {
    for (const [pattern, file] of addresses) {
      const found = pattern.exec(address);
      if (found) return file.replace("$1", found[1] ?? "");
    }
    return address;
  }

  Object.defineProperty(prototype, "src", {
    ...source,
    set(address) {
      source.set.call(this, own(String(address)));
    },
  });
  // The sums that a page demands are those of the web's files.
  Object.defineProperty(prototype, "integrity", { get: () => "", set: () => {} });
  const set = prototype.setAttribute;
  prototype.setAttribute = function (name, value) {
    if (name.toLowerCase() === "integrity") return;
    set.call(this, name, name.toLowerCase() === "src" ? own(String(value)) : value);
  };

  // Vega compiles its charts unless it is asked to interpret them.
  let embed;
  Object.defineProperty(window, "vegaEmbed", {
    configurable: true,
    get: () => embed,
    set(given) {
      embed = Object.assign((element, spec, options) => given(element, spec, { ...options, ast: true }), given);
    },
  });
})();
