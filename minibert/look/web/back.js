// Back: the derivative of the loss at each step, and one update of a weight by AdamW.

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

function showBack(now) {
  const part = partOf("walk").models[now.model], at = layerOf(now);
  const { name } = at.model;
  if (part.loss === null) return [paragraph(`${name} has no head: there is no loss.`, "note")];
  const step = (name) => part.steps.find((one) => one.name === name);
  return [
    stepFigure(1, "The loss", step("loss").back, lossBody(at, part), step("loss").backward),
    stepFigure(2, "From the output to one layer", "the chain rule, step by step",
      passBody(at, step), null),
    stepFigure(3, "Through the softmax", step("softmax").back, softmaxBody(at),
      step("softmax").backward),
    stepFigure(4, "One update of one weight", "AdamW (Loshchilov & Hutter 2019, algorithm 2)",
      updateBody(part, now), null)];
}

function lossBody({ m, model }, part) {
  const p = softmax(array(m, "target_logits").values), y = (id) => Number(id === model.target.id);
  return [makeTable(`loss ${fixed(part.loss, 5)}`, ["output", "p", "y", "p \u2212 y"],
    part.outputs.map(({ word, id }) =>
      [word, fixed(p[id], 5), `${y(id)}`, fixed(p[id] - y(id), 5)]))];
}

function passBody({ model, layer, token, own }, step) {
  const norms = own("grad_norms");
  const rows = PASS.map(([name, i, how, of]) => {
    const { file, line } = step(of).backward;
    return [name, scientific(norms[i]), how, `${file}:${line}`];
  });
  return [makeTable(`${model.tokens[token]} in layer ${layer}: length of the derivative`,
    ["of", "length", "by", "line"], rows)];
}

function softmaxBody(at) {
  if (!at.has("attn.hook_pattern.grad")) {
    return [paragraph("left out of this page: see the notes above", "note")];
  }
  const [a, da, stored] = ["hook_pattern", "hook_pattern.grad", "hook_attn_scores.grad"]
    .map(at.row), mean = dot(a, da);
  const rows = visible(at).map((k) => [at.model.tokens[k], a[k],
    ...[da[k], a[k] * (da[k] - mean), stored[k]].map((x) => scientific(x))]);
  return [makeTable(`\u03a3 a da = ${scientific(mean)}`,
    ["key", "a", "da", "a (da \u2212 \u03a3 a da)", "ds of the engine"], rows)];
}

function updateBody({ optimizer, weights }, { weight }) {
  if (!weights.length) return [paragraph("No weight has a gradient: nothing moves.", "note")];
  const chosen = Math.min(weight, weights.length - 1);
  const { lr, betas: [beta1, beta2], eps, step, norm: length, clip, scale, lines } = optimizer;
  const { w, g, m, v, decay, new: stored } = weights[chosen];
  const clipped = g * scale, smaller = w - lr * decay * w;
  const newM = beta1 * m + (1 - beta1) * clipped, newV = beta2 * v + (1 - beta2) * clipped ** 2;
  const mHat = newM / (1 - beta1 ** step), vHat = newV / (1 - beta2 ** step);
  const moved = smaller - lr * mHat / (Math.sqrt(vHat) + eps);
  const rows = [["weight w", w, ""], ["gradient g", g, ""],
    ["g, clipped", clipped, `norm of all gradients ${fixed(length, 3)}, largest ${clip}`],
    ["w, decayed", smaller, quoted(lines[0])], ["m", newM, quoted(lines[1])],
    ["v", newV, quoted(lines[2])], ["m / (1 \u2212 \u03b2\u2081^t)", mHat, `t = ${step}`],
    ["v / (1 \u2212 \u03b2\u2082^t)", vHat, `t = ${step}`], ["new w", moved, quoted(lines[3])],
    ["new w of the engine", stored, ""]].map(([name, x, note]) => [name, exact(x), note]);
  return [
    make("p", {}, chooser("weight", weights.map((one) => one.name), chosen,
      (i) => setState({ weight: i }))),
    paragraph(`${optimizer.note}: lr ${lr}, \u03b2 ${beta1} and ${beta2}, \u03b5 ${eps}, decay ${
      decay}`), makeTable("", ["", "number", ""], rows)];
}

views.back = { places: views.walk.places, show: showBack };
