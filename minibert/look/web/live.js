// The model runs in the page: change a token, cut a head, move the temperature. The activations of
// the new forward replace Python's, so that Heads and Walk show them, too.

views.push((() => {
  const panels = [];  // of each model that is live: {figure, show, isChanged}
  let banner = null;

  const flat = (nested) => (ArrayBuffer.isView(nested) || typeof nested[0] === "number"
    ? Array.from(nested) : nested.flatMap(flat));

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
  function rollout(m, activations) {
    const { layers, heads } = data.models[m], T = data.models[m].tokens.length;
    const identity = range(T).map((t) => range(T).map((u) => Number(t === u)));
    return range(layers).reduce((result, i) => {
      const pattern = activations[`blocks.${i}.attn.hook_pattern`];
      return range(T).map((t) => {
        const row = range(T).map((u) =>
          0.5 * sum(pattern.map((head) => head[t][u])) / heads + 0.5 * identity[t][u]);
        return range(T).map((u) => dot(row, result.map((other) => other[u])));
      });
    }, identity);
  }

  // What Python computed is replaced by name: every view reads the new numbers.
  function replaceArrays(m, activations) {
    const fresh = { ...activations, value_norms: valueNorms(m, activations),
      rollout: rollout(m, activations) };
    for (const [name, nested] of Object.entries(fresh)) {
      if (!hasArray(m, name)) continue;
      const { shape, axes } = array(m, name);
      decoded.set(`m${m}.${name}`, { shape, axes, values: Float32Array.from(flat(nested)) });
    }
  }

  function makePanel(m, part) {
    const model = data.models[m], original = { ids: [...model.ids], tokens: [...model.tokens] };
    const ids = [...model.ids], cut = new Set(), names = part.outputs ?? part.words;
    const idOf = new Map([...part.words.entries()].reverse().map(([i, word]) => [word, i]));
    const python = array(m, "live_logits").values;
    const figure = make("div", { class: "figure" }), table = make("div", {});
    const heat = make("input", { type: "range", min: "0.1", max: "2", step: "0.1", value: "1",
      "aria-label": `temperature of ${model.name}`, input: () => say(show()) });
    const heatText = make("span", { class: "number" });
    let run = runModel(m, ids);
    const apart = Math.max(...run.logits.map((x, i) => Math.abs(x - python[i])));

    const inputs = ids.map((id, t) => (model.special[t] ? null : make("input", {
      list: `words-${m}`, value: original.tokens[t], size: Math.max(original.tokens[t].length, 3),
      autocomplete: "off", spellcheck: "false", "aria-label": `token ${t} of ${model.name}`,
      change: (event) => replaceToken(t, event.target) })));
    const buttons = range(model.layers).map((layer) => range(model.heads).map((head) => {
      const button = toggle(`head ${head}`, () => cutHead(layer, head, button));
      button.setAttribute("aria-label", `cut layer ${layer} head ${head} of ${model.name}`);
      return button;
    }));

    function replaceToken(t, input) {
      const id = idOf.get(input.value.trim());
      input.setAttribute("aria-invalid", String(id === undefined));
      if (id === undefined) {
        return say(`\u201c${input.value}\u201d is no token of ${model.name}'s vocabulary`);
      }
      ids[t] = id;
      model.ids[t] = id;
      model.tokens[t] = part.words[id];
      recompute();
    }

    function cutHead(layer, head, button) {
      const name = `${layer}/${head}`;
      if (!cut.delete(name)) cut.add(name);
      button.setAttribute("aria-pressed", String(cut.has(name)));
      recompute();
    }

    function recompute() {
      run = runModel(m, ids, cut);
      replaceArrays(m, run.activations);
      banner.hidden = !panels.some((panel) => panel.isChanged());
      setState({});
      say(show());
    }

    function reset() {
      original.ids.forEach((id, t) => {
        Object.assign(ids, { [t]: id });
        Object.assign(model.ids, { [t]: id });
        model.tokens[t] = original.tokens[t];
        if (!inputs[t]) return;
        inputs[t].value = original.tokens[t];
        inputs[t].setAttribute("aria-invalid", "false");
      });
      cut.clear();
      buttons.flat().forEach((button) => button.setAttribute("aria-pressed", "false"));
      heat.value = "1";
      recompute();
    }

    function show() {
      const temperature = Number(heat.value);
      heatText.textContent = fixed(temperature, 1);
      const before = softmax(Array.from(python));
      const now = softmax(Array.from(run.logits, (x) => x / temperature));
      const best = range(now.length).sort((a, b) => now[b] - now[a]).slice(0, 10);
      table.replaceChildren(makeTable("the likeliest outputs", ["", "now", "at first", "logit"],
        best.map((i) =>
          [names[i], fixed(now[i], 3), fixed(before[i], 3), fixed(run.logits[i], 2)])));
      return `${model.name}: ${names[best[0]]} ${fixed(now[best[0]], 2)}`;
    }

    figure.append(make("h3", {}, model.name),
      make("datalist", { id: `words-${m}` },
        ...part.words.map((value) => make("option", { value }))),
      make("p", {}, ...ids.map((_, t) => inputs[t]
        ?? make("span", { class: "token added" }, original.tokens[t]))),
      ...buttons.map((row, i) => make("p", {}, `cut in layer ${i}: `, ...row)),
      make("p", {}, make("label", {}, "temperature ", heat), heatText, " ",
        make("button", { type: "button", click: reset }, "as at first")), table,
      make("p", { class: "intro" }, `On the first text these logits are NumPy's to ${
        apart.toExponential(1)}.`));
    const isChanged = () => cut.size > 0 || ids.some((id, t) => id !== original.ids[t]);
    return { figure, show, isChanged };
  }

  function draw(live, part) {
    banner = make("p", { class: "note", hidden: "" }, "You changed a text or cut a head: Live, "
      + "Heads and the forward steps of Walk show the new numbers; all else is Python's, of the "
      + "first text.");
    document.querySelector("main").prepend(banner);
    part.models.forEach((one, m) => { if (one) panels.push(makePanel(m, one)); });
    live.append(make("div", { class: "row" }, ...panels.map((panel) => panel.figure)));
    panels.forEach((panel) => panel.show());
  }

  return { name: "live", draw, show: () => {} };
})());
