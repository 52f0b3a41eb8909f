// Vectors as pictures, and the parts that the views Walk and Back share.

const SHOWN = 128;  // numbers of a vector that are drawn

// One bar for each number, up for positive and down for negative; `most` is the number that fills
// half of the height, the same for all vectors that are compared.
function strip(values, most) {
  const shown = Array.from(values.slice(0, SHOWN)), width = shown.length > 64 ? 3 : 4, half = 13;
  const canvas = make("canvas", { role: "img",
    "aria-label": `${values.length} numbers, length ${fixed(norm(values), 3)}` });
  const pen = prepare(canvas, shown.length * width, 2 * half + 1);
  pen.fillStyle = colour("rule");
  pen.fillRect(0, half, shown.length * width, 1);
  shown.forEach((x, i) => {
    const height = Math.min(Math.abs(x) / most, 1) * half;
    pen.fillStyle = theme.isPrinted ? "#000" : colour(x < 0 ? "minus" : "plus");
    pen.fillRect(i * width, x < 0 ? half + 1 : half - height, width - 1, height);
  });
  return canvas;
}

// A table of named vectors on one scale, with their lengths: [[name, values], ...].
function vectorTable(caption, named) {
  const most = Math.max(...named.flatMap(([, values]) => Array.from(values, Math.abs)), 1e-12);
  const rows = named.map(([name, values]) => [name, strip(values, most), fixed(norm(values), 3)]);
  const width = Math.max(...named.map(([, values]) => values.length));
  const note = width > SHOWN ? ` (the first ${SHOWN} of ${width} numbers)` : "";
  return makeTable(caption + note, ["", "", "length"], rows);
}

// The line of source that computed something; opened, the whole function with that line marked.
function quoted({ file, line, first, text }) {
  const lines = data.sources[`${file}:${first}`].split("\n");
  return make("details", { class: "line" },
    make("summary", {}, make("code", { class: "where" }, `${file}:${line}`),
      make("code", {}, text)),
    make("pre", {}, lines.map((one, i) =>
      make(first + i === line ? "mark" : "span", {}, `${one}\n`))));
}

// A step: its number and title, formula, what is computed, and the line.
const stepFigure = (number, name, formula, body, source, isCovered = false) =>
  make("div", { class: "step", tabindex: "-1" }, title(`${number}  ${name}`),
    paragraph(formula, "formula"), div(`box result${isCovered ? " covered" : ""}`, body),
    source ? quoted(source) : null);

// The layer and head of a state, those of the last layer for the rollout, and the arrays there.
function layerOf({ model: m, layer: wanted, head, token }) {
  const model = data.models[m], layer = Math.min(wanted, model.layers - 1);
  const all = (name) => array(m, `blocks.${layer}.${name}`);
  return { model, m, layer, head, token,
    has: (name) => hasArray(m, `blocks.${layer}.${name}`),
    own: (name) => slice(all(name), token),  // of the token
    ofHead: (name, t = token) => slice(all(`attn.${name}`), t, head),
    row: (name) => slice(all(`attn.${name}`), head, token) };  // of scores and weights
}
