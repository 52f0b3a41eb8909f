// The data of the page: look/data.py says what is in it.

const data = JSON.parse(document.getElementById("data").textContent);
const views = {};  // by name: each file of a view adds its own, as main.js says

// What Python gave a view.
const partOf = (name) => data.views.find((view) => view.name === name);

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

// What run() returns, or instead(error) where it needs an array that was left out.
function unlessLeftOut(run, instead) {
  try {
    return run();
  } catch (error) {
    if (error instanceof LeftOut) return instead(error);
    throw error;
  }
}

// base64 of little-endian float32 ("f32"), float16 ("f16") or of weights in 8 bits ("u8").
function numbersOf({ f32, f16, u8 }) {
  const text = atob(f32 ?? f16 ?? u8), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  if (u8 !== undefined) return Float32Array.from(bytes, (byte) => byte / 255);
  return new (f16 === undefined ? Float32Array : Float16Array)(bytes.buffer);
}

// The numbers of one row: slice(array(0, "blocks.0.hook_resid_pre"), 3) is token 3's vector.
function slice({ shape, values }, ...index) {
  const size = shape.slice(index.length).reduce((product, length) => product * length, 1);
  const start = index.reduce((place, i, axis) => place * shape[axis] + i, 0) * size;
  return values.subarray(start, start + size);
}

// The rows of a matrix, or of the part of an array that an index leaves.
const rowsOf = (found, ...index) =>
  Array.from({ length: found.shape[index.length] }, (_, i) => slice(found, ...index, i));
