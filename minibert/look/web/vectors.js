// Vectors as pictures, and the parts that the views Walk and Back share.

const SHOWN = 128;  // numbers of a vector that are drawn
const cosine = (a, b) => dot(a, b) / Math.max(norm(a) * norm(b), 1e-12);

// One bar for each number, up for positive and down for negative; `most` is the number that fills
// half of the height, the same for all vectors that are compared.
function strip(values, most) {
  const shown = Array.from(values.slice(0, SHOWN)), width = shown.length > 64 ? 3 : 4, half = 13;
  const canvas = make("canvas", { role: "img",
    "aria-label": `${values.length} numbers, length ${fixed(norm(values), 3)}` });
  const pen = prepare(canvas, shown.length * width, 2 * half + 1);
  pen.fillStyle = colour("--rule");
  pen.fillRect(0, half, shown.length * width, 1);
  shown.forEach((x, i) => {
    const height = Math.min(Math.abs(x) / most, 1) * half;
    pen.fillStyle = theme.isPrinted ? "#000" : colour(x < 0 ? "--minus" : "--plus");
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
function quoted(source) {
  const text = data.sources[`${source.file}:${source.first}`], code = make("pre", {});
  text.split("\n").forEach((line, i) => {
    code.append(make(source.first + i === source.line ? "mark" : "span", {}, `${line}\n`));
  });
  return make("details", { class: "line" }, make("summary", {}, make("code", { class: "where" },
    `${source.file}:${source.line}`), make("code", {}, source.text)), code);
}

// A step: its number and title, formula, what is computed, and the line.
function stepFigure(number, title, formula, body, source) {
  const box = make("div", { class: "box result" }, ...body);
  return make("div", { class: "step", tabindex: "-1" }, make("h3", {}, `${number}  ${title}`),
    make("p", { class: "formula" }, formula), box, ...(source ? [quoted(source)] : []));
}

// Lists to choose the model, token, layer and head from, or some of them; update(state) sets them.
function placeChooser(names = ["model", "token", "layer", "head"]) {
  const lists = {};
  const add = (name) => {
    lists[name] = make("select", {
      change: () => setState({ [name]: Number(lists[name].value), more: [] }) });
    return make("label", {}, `${name} `, lists[name]);
  };
  const element = make("p", {}, ...names.map(add));
  const fill = (list, texts, chosen) => {
    list.replaceChildren(...texts.map((text, i) => make("option", { value: String(i) }, text)));
    list.value = String(chosen);
  };
  const update = (now) => {
    const model = data.models[now.model];
    const texts = { model: data.models.map((one) => one.name),
      token: model.tokens.map((token, i) => `${i} ${token}`),
      layer: range(model.layers).map(String), head: range(model.heads).map(String) };
    for (const name of names) fill(lists[name], texts[name], now[name]);
    lists.model.parentElement.hidden = data.models.length < 2;
  };
  return { element, update };
}

// What add_walk gave the two views.
const walkPart = () => data.views.find((view) => view.name === "walk");

// The layer and head of a state, those of the last layer for the rollout, and the arrays there.
function layerOf(now) {
  const model = data.models[now.model], layer = Math.min(now.layer, model.layers - 1);
  const all = (name) => array(now.model, `blocks.${layer}.${name}`);
  return { model, m: now.model, layer, head: now.head, token: now.token, all,
    has: (name) => hasArray(now.model, `blocks.${layer}.${name}`),
    own: (name) => slice(all(name), now.token),  // of the token
    ofHead: (name, token = now.token) => slice(all(`attn.${name}`), token, now.head),
    row: (name) => slice(all(`attn.${name}`), now.head, now.token) };  // of scores and weights
}
