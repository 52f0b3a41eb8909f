// The elements that views are made of.

// An element with attributes (functions become listeners) and children; null is left out.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

const div = (kind, ...children) => make("div", { class: kind }, ...children);
const paragraph = (text, kind = null) => make("p", { class: kind }, text);
const title = (text) => make("h3", {}, text);

// A button; isOn says whether it is pressed, null that it stays as it is.
const button = (text, press, isOn = null, more = {}) =>
  make("button", { type: "button", "aria-pressed": isOn, click: press, ...more }, text);

// A list to choose one of some texts from; choose(i) gets its place.
function chooser(label, texts, chosen, choose) {
  const list = make("select", { change: () => choose(list.selectedIndex) },
    texts.map((text, value) => make("option", { value }, text)));
  list.selectedIndex = chosen;
  return make("label", {}, `${label} `, list);
}

// A table; columns of numbers are set flush right.
function makeTable(caption, head, rows) {
  const written = rows.map((row) => row.map((x) => (typeof x === "number" ? fixed(x, 4) : x)));
  const isNumber = (cell) => /^([-+\u2212]?[\d.]|$)/.test(cell);
  const kinds = head.map((_, i) =>
    (rows.length > 0 && written.every((row) => isNumber(row[i])) ? "number" : null));
  const line = (cells, tag) =>
    make("tr", {}, cells.map((cell, i) => make(tag, { class: kinds[i] }, cell)));
  return make("table", {}, make("caption", {}, caption), line(head, "th"),
    written.map((row) => line(row, "td")));
}

// Bars from one share of the width to another: [label, number, from, to, class], ...
const bars = (rows, kind = "") => div(`bars ${kind}`, rows.flatMap(([label, x, from, to, of]) => {
  const bar = make("i", { class: of ?? null });
  bar.style.marginLeft = `${100 * from}%`;
  bar.style.width = `${100 * (to - from)}%`;
  return [make("bdi", {}, label), make("span", { class: "number" }, x), bar];
}));

// Notes what has the focus and what is scrolled in a place; the function that it returns does the
// same to the elements that have replaced those.
function remember(place) {
  const parts = () => [...place.querySelectorAll("[tabindex], button, select, input, .box")];
  const before = parts(), focused = before.indexOf(document.activeElement);
  const scrolled = before.map((one) => one.scrollLeft);
  return () => {
    parts().forEach((one, i) => { if (scrolled[i]) one.scrollLeft = scrolled[i]; });
    parts()[focused]?.focus({ preventScroll: true });
  };
}

// The line at the bottom of the page, which screen readers read aloud.
function say(text) {
  document.getElementById("say").textContent = text;
}
