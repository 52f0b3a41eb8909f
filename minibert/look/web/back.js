// Back: the derivative of the loss at each step, and one update of a weight by AdamW.

views.push((() => {
  // In the order of travel: what it is, its place among the norms of add_gradients, how it is
  // computed, and the step whose derivative that is.
  const PASS = [
    ["x after the layer", 4, "what arrives from above", "mlp"],
    ["feed-forward out", 3, "a sum passes its gradient on", "residual"],
    ["x between", 2, "from the sum, and through the feed-forward layer", "mlp"],
    ["attention out", 1, "a sum passes its gradient on", "residual"],
    ["z", 8, "W\u1d40 dout", "output"], ["v", 7, "\u03a3 a dz, over the queries", "mixture"],
    ["q", 5, "\u03a3 ds k / \u221aD, over the keys", "scores"],
    ["k", 6, "\u03a3 ds q / \u221aD, over the queries", "scores"],
    ["x before the layer", 0, "from the sum, and W\u1d40 (dq, dk, dv)", "qkv"]];
  let places, live, weights, chosen = 0;

  function draw(element) {
    places = placeChooser();
    live = make("div", { class: "steps" });
    weights = chooser("weight", (i) => { chosen = i; show(state); });
    element.append(places.element, live);
  }

  const chooser = (label, choose) => {
    const list = make("select", { change: () => choose(Number(list.value)) });
    return { list, element: make("label", {}, `${label} `, list) };
  };

  function show(now) {
    places.update(now);
    const part = walkPart().models[now.model];
    if (part.loss === null) {
      const name = data.models[now.model].name;
      live.replaceChildren(make("p", { class: "note" }, `${name} has no head: there is no loss.`));
      return;
    }
    const step = (name) => part.steps.find((one) => one.name === name);
    const at = layerOf(now);
    const figures = [
      ["The loss", step("loss").back, lossBody(at, part), step("loss").backward],
      ["From the output to one layer", "the chain rule, step by step", passBody(at, step), null],
      ["Through the softmax", step("softmax").back, softmaxBody(at), step("softmax").backward],
      ["One update of one weight", "AdamW (Loshchilov & Hutter 2019, algorithm 2)",
        updateBody(part), null]];
    live.replaceChildren(...figures.map(([title, formula, body, source], i) =>
      stepFigure(i + 1, title, formula, body, source)));
  }

  function lossBody({ m, model }, part) {
    const p = softmax(array(m, "target_logits").values);
    const y = (id) => (id === model.target.id ? 1 : 0);
    return [makeTable(`loss ${fixed(part.loss, 5)}`, ["output", "p", "y", "p \u2212 y"],
      part.outputs.map(({ word, id }) => [word, fixed(p[id], 5), `${y(id)}`,
        fixed(p[id] - y(id), 5)]))];
  }

  function passBody(at, step) {
    const norms = at.own("grad_norms");
    const rows = PASS.map(([name, i, how, of]) => {
      const { file, line } = step(of).backward;
      return [name, norms[i].toExponential(3), how, `${file}:${line}`];
    });
    const title = `${at.model.tokens[at.token]} in layer ${at.layer}: length of the derivative`;
    return [makeTable(title, ["of", "length", "by", "line"], rows)];
  }

  function softmaxBody(at) {
    if (!at.has("attn.hook_pattern.grad")) {
      return [make("p", { class: "note" }, "left out of this page: see the notes above")];
    }
    const [a, da, stored] = ["hook_pattern", "hook_pattern.grad", "hook_attn_scores.grad"]
      .map(at.row);
    const mean = dot(a, da);
    const rows = visible(at).map((k) => [at.model.tokens[k], fixed(a[k], 4),
      da[k].toExponential(3), (a[k] * (da[k] - mean)).toExponential(3),
      stored[k].toExponential(3)]);
    return [makeTable(`\u03a3 a da = ${mean.toExponential(3)}`,
      ["key", "a", "da", "a (da \u2212 \u03a3 a da)", "ds of the engine"], rows)];
  }

  function updateBody({ optimizer, weights: all }) {
    chosen = Math.min(chosen, all.length - 1);
    weights.list.replaceChildren(...all.map((one, i) =>
      make("option", { value: String(i) }, one.name)));
    weights.list.value = String(chosen);
    const { lr, betas: [beta1, beta2], eps, step, norm: length, clip, scale } = optimizer;
    const { w, g, m, v, decay, new: stored } = all[chosen];
    const clipped = g * scale, smaller = w - lr * decay * w;
    const newM = beta1 * m + (1 - beta1) * clipped, newV = beta2 * v + (1 - beta2) * clipped ** 2;
    const mHat = newM / (1 - beta1 ** step), vHat = newV / (1 - beta2 ** step);
    const moved = smaller - lr * mHat / (Math.sqrt(vHat) + eps);
    const rows = [["weight w", exact(w), ""], ["gradient g", exact(g), ""],
      ["g, clipped", exact(clipped), `norm of all gradients ${fixed(length, 3)}, largest ${clip}`],
      ["w, decayed", exact(smaller), optimizer.lines[0]], ["m", exact(newM), optimizer.lines[1]],
      ["v", exact(newV), optimizer.lines[2]],
      ["m / (1 \u2212 \u03b2\u2081^t)", exact(mHat), `t = ${step}`],
      ["v / (1 \u2212 \u03b2\u2082^t)", exact(vHat), `t = ${step}`],
      ["new w", exact(moved), optimizer.lines[3]],
      ["new w of the engine", exact(stored), ""]];
    const line = (note) => (note.file ? quoted(note) : note);
    return [make("p", {}, weights.element), make("p", {}, `${optimizer.note}: lr ${lr}, `
      + `\u03b2 ${beta1} and ${beta2}, \u03b5 ${eps}, decay ${decay}`),
    makeTable("", ["", "number", ""], rows.map(([name, x, note]) => [name, x, line(note)]))];
  }

  return { name: "back", draw, show, keys: {} };
})());
