// The data of the page (look/data.py says what is in it), and small tools for all views.

const data = JSON.parse(document.getElementById("data").textContent);
const views = [];  // each file of a view adds itself: see main.js

// An array of a model by name: {shape, axes, values: Float32Array, bits}. Errors: LeftOut, the page
// would have been too large.
class LeftOut extends Error {}
const decoded = new Map();
const hasArray = (model, name) => `m${model}.${name}` in data.arrays;
function array(model, name) {
  const key = `m${model}.${name}`;
  if (!hasArray(model, name)) throw new LeftOut(`${key} was left out: see the notes above`);
  if (!decoded.has(key)) {
    const { shape, axes, ...coded } = data.arrays[key];
    decoded.set(key, { shape, axes, values: numbersOf(coded), bits: "u8" in coded ? 8 : 32 });
  }
  return decoded.get(key);
}

// base64 of little-endian float32 ("f32"), float16 ("f16") or of weights in 8 bits ("u8").
function numbersOf(entry) {
  const text = atob(entry.f32 ?? entry.u8 ?? entry.f16), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  if (entry.u8 !== undefined) return Float32Array.from(bytes, (byte) => byte / 255);
  if (entry.f16 !== undefined) return Float32Array.from(new Uint16Array(bytes.buffer), half);
  return new Float32Array(bytes.buffer);  // little-endian, as all browsers' machines are
}

// IEEE 754 half precision: sign, 5 bits of exponent, 10 of fraction.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

// The numbers of one row: slice(array(0, "blocks.0.hook_resid_pre"), 3) is token 3's vector.
function slice(found, ...index) {
  const size = found.shape.slice(index.length).reduce((product, length) => product * length, 1);
  const start = index.reduce((place, i, axis) => place * found.shape[axis] + i, 0) * size;
  return found.values.subarray(start, start + size);
}

// An element: its attributes (functions become listeners), then texts and elements within it.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A button that is on or off.
function toggle(text, press) {
  return make("button", { type: "button", "aria-pressed": "false", click: press }, text);
}

// A table: rows of texts, numbers already written; columns of numbers are set flush right.
function makeTable(caption, head, rows) {
  const isNumber = (cell) => /^([-+\u2212]?[\d.]|$)/.test(cell);
  const classOf = head.map((_, i) =>
    (rows.length > 0 && rows.every((row) => isNumber(row[i])) ? "number" : null));
  const cells = (row, tag) => row.map((cell, i) => make(tag, { class: classOf[i] }, cell));
  return make("table", {}, make("caption", {}, caption), make("tr", {}, ...cells(head, "th")),
    ...rows.map((row) => make("tr", {}, ...cells(row, "td"))));
}

function say(text) {
  document.getElementById("say").textContent = text;
}
