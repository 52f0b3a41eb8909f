// Causes: the change of the explained logit when a part or a word is taken away.

// The largest size among the numbers of some rows, for their scale.
const largestSize = (rows) => Math.max(...rows.flatMap((row) =>
  Array.from(row, (x) => Math.abs(x) || 0)), 1e-12);

function showCauses({ model: m, token }) {
  const part = partOf("causes").models[m], model = data.models[m];
  const tokens = { rows: model.tokens, at: [token, null], left: "token" };
  const found = (name, draw) =>
    (hasArray(m, `causes.${name}`) ? draw(rowsOf(array(m, `causes.${name}`))) : null);
  return [
    ...causesSentences(part, model).map((text) => paragraph(text)),
    div("row", found("zero", (w) => removedFigure("part is replaced by zeros", m, w)),
      found("mean", (w) => removedFigure("head is replaced by its mean", m, w))),
    div("row", found("patch", () => patchFigure(m, tokens, part.patched)),
      found("answers", (rows) => answerFigures(part, tokens, rows))),
    found("influence", (w) => matrixFigure("Influence of each word on each token\u2019s likeliest "
      + "output", { ...tokens, w, most: largestSize(w), columns: model.tokens,
      masked: (r, c) => w[r][c] === 0, left: "output at", up: "word" }))];
}

function causesSentences(part, { name, target, causal }) {
  if (part.note) return [part.note];
  const against = part.against ? ` For the second text, ${part.against.tokens.join(" ")}, it is ${
    fixed(part.against.value, 3)}; patching takes one activation from there.` : "";
  const future = part.future ? [`${part.future} influences of later words are exactly 0.0${
    causal ? " (hatched): the mask hides the future." : ": this model reads both sides."}`] : [];
  return [`${name}: the logit of ${explained(target)} is ${fixed(part.value, 3)}.${against}`,
    ...part.notes, ...future];
}

function removedFigure(name, m, w) {
  const { layers, heads } = data.models[m];
  const columns = [...range(heads).map((head) => `head ${head}`), "attention", "MLP"];
  return matrixFigure(`Change when a ${name}`, { w, signed: true, left: "layer", up: "part",
    most: largestSize(rowsOf(array(m, "causes.zero"))), columns: columns.slice(0, w[0].length),
    rows: range(layers).map((layer) => `layer ${layer}`) }, describeCell,
  (layer, _, head) => setState(head === null ? { layer } : { layer, head }));
}

function patchFigure(m, tokens, then) {
  const found = array(m, "causes.patch"), [sites, layers] = found.shape;
  const places = range(layers).flatMap((layer) => range(sites).map((site) => [site, layer]));
  const describe = (matrix, r, c) => {
    const words = then[[...places[c], r].join("/")];
    return describeCell(matrix, r, c) + (words ? `; then ${words}` : "");
  };
  return matrixFigure("Share of the difference that an activation of the second text brings", {
    ...tokens, up: "layer", signed: true, most: 1,
    columns: places.map(([site, layer]) => `${partOf("causes").sites[site]} ${layer}`),
    w: turned(places.map((place) => slice(found, ...place))) }, describe);
}

// Each answer on a scale of its own: a square that is full is its strongest word.
function answerFigures({ answers, correlations }, tokens, rows) {
  const w = turned(rows.map((row) => row.map((x) => x / largestSize([row]))));
  return [
    matrixFigure("Which word mattered?", { ...tokens, w, columns: answers, signed: true, most: 1,
      masked: (r, c) => Number.isNaN(rows[c][r]), up: "measure" },
    (_, r, c) => `${answers[c]}, ${tokens.rows[r]}: ${fixed(rows[c][r], 4)}`),
    div("box", makeTable("Spearman\u2019s rank correlation of their sizes", ["", ...answers],
      answers.map((name, i) => [name, ...correlations[i]])))];
}

views.causes = { places: ["model", "token"], show: showCauses };
