// The model runs in the page: change a token, cut a head, move the temperature. The activations of
// the new forward replace Python's, so that Heads and Walk show them, too.

const panels = [];  // of each model that is live: {figure, show, isChanged}
const banner = make("p", { class: "note", hidden: "" }, "You changed a text or cut a head: Live, "
  + "Heads and the forward steps of Walk show the new numbers; all else is Python's, of the first "
  + "text.");

// The length of v W_O for each layer, head and key: (L, H, T).
function valueNorms(m, activations) {
  const { layers, heads, width } = data.models[m], D = width / heads;
  return range(layers).map((i) => {
    const output = rowsOf(array(m, `weights.stack.blocks.${i}.attention.output.weight`));
    const values = activations[`blocks.${i}.attn.hook_v`];
    return range(heads).map((h) => values.map((value) => norm(
      Float64Array.from(output, (row) => dot(value[h], row.subarray(h * D, (h + 1) * D))))));
  });
}

// Attention multiplied through the layers, half of each layer the residual connection: (T, T).
function rollout({ layers, tokens }, activations) {
  const identity = tokens.map((_, t) => tokens.map((_, u) => Number(t === u)));
  return range(layers).reduce((result, i) => {
    const pattern = activations[`blocks.${i}.attn.hook_pattern`], columns = turned(result);
    return identity.map((own, t) => {
      const row = own.map((one, u) =>
        0.5 * sum(pattern.map((head) => head[t][u])) / pattern.length + 0.5 * one);
      return columns.map((column) => dot(row, column));
    });
  }, identity);
}

// What Python computed is replaced by name: every view reads the new numbers.
function replaceArrays(m, activations) {
  const flat = (nested) => (typeof nested === "number" ? nested : Array.from(nested, flat).flat());
  const fresh = { ...activations, value_norms: valueNorms(m, activations),
    rollout: rollout(data.models[m], activations) };
  for (const [name, nested] of Object.entries(fresh)) {
    if (!hasArray(m, name)) continue;
    const { shape, axes } = array(m, name);
    decoded.set(`m${m}.${name}`, { shape, axes, values: Float32Array.from(flat(nested)) });
  }
  data.changes = (data.changes ?? 0) + 1;
}

function makePanel(m, { words, outputs }) {
  const model = data.models[m], first = { ids: [...model.ids], tokens: [...model.tokens] };
  const cut = new Set(), names = outputs ?? words, python = array(m, "target_logits").values;
  const controls = make("div", {}), table = make("div", {});
  const heat = make("input", { type: "range", min: "0.1", max: "2", step: "0.1", value: "1",
    "aria-label": `temperature of ${model.name}`, input: () => say(show()) });
  const heatText = make("span", { class: "number" });
  let run = runModel(m, model.ids);
  const apart = largest(run.logits.map((x, i) => Math.abs(x - python[i])));

  const field = (token, t) => (model.special[t] ? make("span", { class: "token added" }, token)
    : make("input", { list: `words-${m}`, value: token, size: Math.max(token.length, 3),
      autocomplete: "off", spellcheck: "false", "aria-label": `token ${t} of ${model.name}`,
      change: (event) => replaceToken(t, event.target) }));

  const headButton = (layer, head) => button(`head ${head}`, () => cutHead(`${layer}/${head}`),
    cut.has(`${layer}/${head}`),
    { "aria-label": `cut layer ${layer} head ${head} of ${model.name}` });

  function replaceToken(t, input) {
    const id = words.indexOf(input.value.trim());
    input.setAttribute("aria-invalid", id < 0);
    if (id < 0) return say(`\u201c${input.value}\u201d is no token of ${model.name}'s vocabulary`);
    model.ids[t] = id;
    model.tokens[t] = words[id];
    recompute();
  }

  function cutHead(name) {
    if (!cut.delete(name)) cut.add(name);
    recompute();
  }

  function reset() {
    Object.assign(model.ids, first.ids);
    Object.assign(model.tokens, first.tokens);
    cut.clear();
    heat.value = "1";
    recompute();
  }

  function recompute() {
    run = runModel(m, model.ids, cut);
    replaceArrays(m, run.activations);
    banner.hidden = !panels.some((panel) => panel.isChanged());
    drawControls();
    setState({});
    say(show());
  }

  function drawControls() {
    refill(controls, make("p", {}, model.tokens.map(field)), ...range(model.layers).map((layer) =>
      make("p", {}, `cut in layer ${layer}: `,
        range(model.heads).map((head) => headButton(layer, head)))));
  }

  function show() {
    const temperature = Number(heat.value), before = softmax(python);
    const now = softmax(run.logits.map((x) => x / temperature));
    const best = range(now.length).sort((a, b) => now[b] - now[a]).slice(0, 10);
    heatText.textContent = fixed(temperature, 1);
    refill(table, makeTable("the likeliest outputs", ["", "now", "at first", "logit"], best.map(
      (i) => [names[i], fixed(now[i], 3), fixed(before[i], 3), fixed(run.logits[i])])));
    return `${model.name}: ${names[best[0]]} ${fixed(now[best[0]])}`;
  }

  drawControls();
  const figure = div("figure", title(model.name), make("datalist", { id: `words-${m}` },
    words.map((value) => make("option", { value }))), controls,
  make("p", {}, make("label", {}, "temperature ", heat), heatText, " ",
    button("as at first", reset)), table,
  paragraph(`On the first text these logits are NumPy's to ${apart.toExponential(1)}.`, "intro"));
  const isChanged = () => cut.size > 0 || model.ids.some((id, t) => id !== first.ids[t]);
  return { figure, show, isChanged };
}

views.live = { draw(live, part) {
  document.querySelector("main").prepend(banner);
  part.models.forEach((one, m) => { if (one) panels.push(makePanel(m, one)); });
  live.append(div("row", panels.map((panel) => panel.figure)));
  panels.forEach((panel) => panel.show());
} };
