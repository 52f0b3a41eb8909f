// The model runs in the page: change a token, cut a head, move the temperature. The activations of
// the new forward replace Python's, so that Heads and Walk show them, too.

const lives = [];  // by model: {ids, tokens: those of the start, cut, temperature, run, apart}
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

// A change of a model's text or of the heads that are cut: `change` makes it.
function recompute(m, change) {
  const { ids, tokens } = data.models[m], one = lives[m];
  change(ids, tokens, one);
  one.run = runModel(m, ids, one.cut);
  replaceArrays(m, one.run.activations);
  banner.hidden = lives.every(({ cut, ids: first }, i) =>
    cut.size === 0 && String(first) === String(data.models[i].ids));
  setState({});
  sayLikeliest(m);
}

function replaceToken(m, t, field) {
  const { words } = partOf("live").models[m], id = words.indexOf(field.value.trim());
  field.setAttribute("aria-invalid", id < 0);
  if (id < 0) {
    return say(`\u201c${field.value}\u201d is no token of ${data.models[m].name}'s vocabulary`);
  }
  recompute(m, (ids, tokens) => { [ids[t], tokens[t]] = [id, words[id]]; });
}

const cutHead = (m, name) =>
  recompute(m, (ids, tokens, { cut }) => { if (!cut.delete(name)) cut.add(name); });

const reset = (m) => recompute(m, (ids, tokens, one) => {
  Object.assign(ids, one.ids);
  Object.assign(tokens, one.tokens);
  one.cut.clear();
  one.temperature = 1;
});

// The ten likeliest outputs: [word, probability now, at first, logit].
function likeliest(m) {
  const { words, outputs } = partOf("live").models[m], { run, temperature } = lives[m];
  const before = softmax(array(m, "target_logits").values);
  const now = softmax(run.logits.map((x) => x / temperature));
  return range(now.length).sort((a, b) => now[b] - now[a]).slice(0, 10).map((i) =>
    [(outputs ?? words)[i], fixed(now[i], 3), fixed(before[i], 3), fixed(run.logits[i])]);
}

const sayLikeliest = (m) => say(`${data.models[m].name}: ${likeliest(m)[0].slice(0, 2).join(" ")}`);

function livePanel(m) {
  const { name, tokens, special, layers, heads } = data.models[m], one = lives[m];
  const field = (token, t) => (special[t] ? make("span", { class: "token added" }, token)
    : make("input", { list: `words-${m}`, value: token, size: Math.max(token.length, 3),
      autocomplete: "off", spellcheck: "false", "aria-label": `token ${t} of ${name}`,
      change: (event) => replaceToken(m, t, event.target) }));
  const cutButton = (layer, head, at = `${layer}/${head}`) => button(`head ${head}`,
    () => cutHead(m, at), one.cut.has(at),
    { "aria-label": `cut layer ${layer} head ${head} of ${name}` });
  const results = make("div", {}), heatText = make("span", { class: "number" });
  const showResults = () => {
    heatText.textContent = fixed(one.temperature, 1);
    results.replaceChildren(makeTable("the likeliest outputs", ["", "now", "at first", "logit"],
      likeliest(m)));
  };
  const heat = make("input", { type: "range", min: "0.1", max: "2", step: "0.1",
    value: one.temperature, "aria-label": `temperature of ${name}`, input: () => {
      one.temperature = Number(heat.value);
      showResults();
      sayLikeliest(m);
    } });
  showResults();
  return div("figure", title(name), make("p", {}, tokens.map(field)),
    range(layers).map((layer) => make("p", {}, `cut in layer ${layer}: `,
      range(heads).map((head) => cutButton(layer, head)))),
    make("p", {}, make("label", {}, "temperature ", heat), heatText, " ",
      button("as at first", () => reset(m))), results,
    paragraph(`On the first text these logits are NumPy's to ${one.apart}.`, "intro"));
}

views.live = {
  draw(live, part) {
    document.querySelector("main").prepend(banner);
    part.models.forEach((found, m) => {
      if (!found) return;
      const { ids, tokens } = data.models[m], run = runModel(m, ids);
      const python = array(m, "target_logits").values;
      const apart = largest(run.logits.map((x, i) => Math.abs(x - python[i]))).toExponential(1);
      lives[m] = { ids: [...ids], tokens: [...tokens], cut: new Set(), temperature: 1, run, apart };
      live.after(make("datalist", { id: `words-${m}` },
        found.words.map((value) => make("option", { value }))));
    });
  },
  show: () => [div("row", Object.keys(lives).map((m) => livePanel(Number(m))))],
};
