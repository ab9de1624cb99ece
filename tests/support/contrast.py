"""How well the texts of a page can be read, as WCAG counts it."""

MIN_CONTRAST = """selector => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length < 4 || found[3] > 0.99) return found;
    }
    return [255, 255, 255];
  };
  const over = ([r, g, b, share = 1], back) =>
    [r, g, b].map((part, place) => part * share + back[place] * (1 - share));
  const ratio = (element) => {
    const back = behind(element);
    const pair = [light(over(parts(getComputedStyle(element).color), back)), light(back)];
    pair.sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  };
  return Math.min(...[...document.querySelectorAll(selector)].map(ratio));
}"""
"""Given a selector, the least contrast of what it selects against what lies behind it."""
