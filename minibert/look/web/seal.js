// Seal: the page recomputes its own numbers from each other, and shows the largest deviation from
// what Python computed (in float32; here it is float64).

const LARGEST = 1e-4, EIGHT_BITS = 1 / 255;  // what passes; weights in 8 bits are that coarse

// One kind of check: the largest deviation in rows [place, computed, stored] of numbers.
function compare(name, rows, limit = LARGEST) {
  const found = { name, limit, count: 0, worst: 0, place: "" };
  for (const [place, computed, stored] of rows) {
    computed.forEach((x, i) => {
      const far = Math.abs(x - stored[i]);
      if (!(far <= found.worst)) Object.assign(found, { worst: far, place: `${place}, ${i}` });
    });
    found.count += computed.length;
  }
  return found;
}

function checkAttention(m, layer) {
  const { name, heads, tokens, causal } = data.models[m];
  const at = (hook) => array(m, `blocks.${layer}.attn.${hook}`);
  const [pattern, scores, values, mixed] = ["hook_pattern", "hook_qk", "hook_v", "hook_z"].map(at);
  const everyRow = (compute) => range(heads).flatMap((head) => tokens.map((token, q) => {
    const seen = causal ? q + 1 : tokens.length;
    return [`head ${head}, ${token}`, ...compute(head, q, seen, slice(pattern, head, q))];
  }));
  const softmaxes = everyRow((head, q, seen, a) =>
    [softmax(slice(scores, head, q).subarray(0, seen)), a]);
  const mixtures = everyRow((head, q, seen, a) => [
    turned(range(seen).map((k) => slice(values, k, head))).map((v) => dot(a.subarray(0, seen), v)),
    slice(mixed, q, head)]);
  const isCoarse = pattern.bits === 8;
  return [compare(`${name} layer ${layer}: softmax of the scores`, softmaxes,
    isCoarse ? EIGHT_BITS : LARGEST),
  compare(`${name} layer ${layer}: mixture of the values`, mixtures, isCoarse ? 1 : LARGEST)];
}

function checkStream(m, layer) {
  const { name, tokens, norm_first: normFirst, norm_eps: eps } = data.models[m];
  const rows = (hook) => rowsOf(array(m, `blocks.${layer}.${hook}`));
  const [before, attention, mid, mlp, after, normed] = ["hook_resid_pre", "hook_attn_out",
    "hook_resid_mid", "hook_mlp_out", "hook_resid_post", "ln1.hook_normalized"].map(rows);
  const [weight, bias] = ["weight", "bias"].map((part) =>
    array(m, `blocks.${layer}.ln1.${part}`).values);
  const { normalized } = layerNorm(normFirst ? before : mid, weight, bias, eps);
  const byToken = (kind, computed, stored) =>
    tokens.map((token, t) => [kind + token, computed[t], stored[t]]);
  return [compare(`${name} layer ${layer}: residual sums`, [
    ...byToken("attention, ", add(before, attention), mid),
    ...byToken("feed-forward, ", add(normFirst ? mid : normed, mlp), after)]),
  compare(`${name} layer ${layer}: layer norm`, byToken("", normalized, normed))];
}

function checkOutputs(m) {
  const { name, top, target } = data.models[m], { outputs, loss } = partOf("walk").models[m];
  const logits = array(m, "target_logits").values, p = softmax(logits);
  const checks = [
    compare(`${name}: probabilities`,
      [["output", top.map(([, , id]) => p[id]), top.map(([, stored]) => stored)]]),
    compare(`${name}: loss`, [["loss", [-Math.log(p[target.id])], [loss]]]),
    compare(`${name}: derivative of the loss`, [["logit",
      p.map((x, i) => x - Number(i === target.id)), array(m, "target_logits.grad").values]])];
  if (!hasArray(m, "target_hidden")) return checks;
  const hidden = array(m, "target_hidden").values, vectors = array(m, "output_vectors");
  return [...checks, compare(`${name}: logits`, [["output",
    outputs.map(({ bias }, i) => dot(hidden, slice(vectors, i)) + bias),
    outputs.map(({ id }) => logits[id])]])];
}

views.seal = { draw(live) {
  const unlessGone = (check, ...given) => unlessLeftOut(() => check(...given), () => []);
  const checks = data.models.flatMap(({ layers, target }, m) => [
    ...range(layers).flatMap((layer) =>
      [...unlessGone(checkAttention, m, layer), ...unlessGone(checkStream, m, layer)]),
    ...(target ? unlessGone(checkOutputs, m) : [])]);
  const broken = checks.filter((one) => !(one.worst <= one.limit)).length;
  const worst = Math.max(...checks.map((one) => one.worst));
  const text = broken ? `${broken} of ${checks.length} checks fail: see Seal.`
    : `${sum(checks.map((one) => one.count))} numbers of this page were recomputed from each other `
      + `as it opened: the largest deviation is ${worst.toExponential(1)}.`;
  document.querySelector("header").append(
    make("p", { id: "sealed", class: broken ? "note bad" : "note" }, text));
  live.append(div("box", makeTable("", ["what", "numbers", "largest deviation", "where"],
    checks.map(({ name, count, worst: far, limit, place }) => [name, `${count}`,
      far.toExponential(1), far <= limit ? place : `TOO LARGE: ${place}`]))));
} };
