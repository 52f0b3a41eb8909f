// Seal: the page recomputes its own numbers from each other, and shows the largest deviation from
// what Python computed (in float32; here it is float64).

views.push((() => {
  const LARGEST = 1e-4, EIGHT_BITS = 1 / 255;  // what passes; weights in 8 bits are that coarse
  let checks = [];

  // One kind of check; add(computed, stored, place) compares two lists of numbers.
  function check(name, limit = LARGEST) {
    const found = { name, limit, count: 0, worst: 0, place: "" };
    checks.push(found);
    return (computed, stored, place) => {
      for (let i = 0; i < computed.length; i += 1) {
        const far = Math.abs(computed[i] - stored[i]);
        if (!(far <= found.worst)) Object.assign(found, { worst: far, place: `${place}, ${i}` });
      }
      found.count += computed.length;
    };
  }

  function checkAttention(m, layer, model) {
    const at = (name) => array(m, `blocks.${layer}.attn.${name}`);
    const pattern = at("hook_pattern"), limit = pattern.bits === 8 ? EIGHT_BITS : LARGEST;
    const softmaxes = check(`${model.name} layer ${layer}: softmax of the scores`, limit);
    const mixtures = check(`${model.name} layer ${layer}: mixture of the values`,
      pattern.bits === 8 ? 1 : LARGEST);
    const [scores, values, mixed] = ["hook_qk", "hook_v", "hook_z"].map(at);
    for (const head of range(model.heads)) {
      for (const q of range(model.tokens.length)) {
        const place = `head ${head}, ${model.tokens[q]}`, a = slice(pattern, head, q);
        const seen = model.causal ? q + 1 : model.tokens.length;
        softmaxes(softmax(slice(scores, head, q).subarray(0, seen)), a, place);
        const z = new Float64Array(values.shape[2]);
        for (let k = 0; k < seen; k += 1) {
          slice(values, k, head).forEach((x, i) => { z[i] += a[k] * x; });
        }
        mixtures(z, slice(mixed, q, head), place);
      }
    }
  }

  function checkStream(m, layer, model) {
    const at = (name) => array(m, `blocks.${layer}.${name}`).values;
    const add = (a, b) => a.map((x, i) => x + b[i]);
    const sums = check(`${model.name} layer ${layer}: residual sums`);
    const between = model.norm_first ? at("hook_resid_mid") : at("ln1.hook_normalized");
    sums(add(at("hook_resid_pre"), at("hook_attn_out")), at("hook_resid_mid"), "attention");
    sums(add(between, at("hook_mlp_out")), at("hook_resid_post"), "feed-forward");
    const norms = check(`${model.name} layer ${layer}: layer norm`);
    const [weight, bias] = ["weight", "bias"].map((name) => at(`ln1.${name}`));
    const input = model.norm_first ? "hook_resid_pre" : "hook_resid_mid";
    const before = array(m, `blocks.${layer}.${input}`);
    const after = array(m, `blocks.${layer}.ln1.hook_normalized`);
    for (const token of range(model.tokens.length)) {
      const x = slice(before, token), mean = sum(x) / x.length;
      const spread = Math.sqrt(sum(x.map((a) => (a - mean) ** 2)) / x.length + model.norm_eps);
      const normed = Float64Array.from(x, (a, i) => (a - mean) / spread * weight[i] + bias[i]);
      norms(normed, slice(after, token), model.tokens[token]);
    }
  }

  function checkOutputs(m, model) {
    const part = walkPart().models[m], logits = array(m, "target_logits").values;
    const p = softmax(logits);
    check(`${model.name}: probabilities`)(model.top.map(([, , id]) => p[id]),
      model.top.map(([, stored]) => stored), "output");
    check(`${model.name}: loss`)([-Math.log(p[model.target.id])], [part.loss], "loss");
    const derivative = p.map((x, i) => x - (i === model.target.id ? 1 : 0));
    check(`${model.name}: derivative of the loss`)(derivative,
      array(m, "target_logits.grad").values, "logit");
    if (!hasArray(m, "target_hidden")) return;
    const hidden = array(m, "target_hidden").values, vectors = array(m, "output_vectors");
    check(`${model.name}: logits`)(
      part.outputs.map(({ bias }, i) => dot(hidden, slice(vectors, i)) + bias),
      part.outputs.map(({ id }) => logits[id]), "output");
  }

  // Layers whose arrays were left out are not checked.
  function attempt(run, ...given) {
    try { run(...given); } catch (error) { if (!(error instanceof LeftOut)) throw error; }
  }

  function draw(live) {
    data.models.forEach((model, m) => {
      for (const layer of range(model.layers)) {
        attempt(checkAttention, m, layer, model);
        attempt(checkStream, m, layer, model);
      }
      if (model.target) attempt(checkOutputs, m, model);
    });
    checks = checks.filter((one) => one.count > 0);
    const broken = checks.filter((one) => !(one.worst <= one.limit));
    const count = sum(checks.map((one) => one.count));
    const worst = Math.max(...checks.map((one) => one.worst));
    const text = broken.length
      ? `${broken.length} of ${checks.length} checks fail: see Seal.`
      : `${count} numbers of this page were recomputed from each other as it opened: the largest `
        + `deviation is ${worst.toExponential(1)}.`;
    document.querySelector("header").append(
      make("p", { id: "sealed", class: broken.length ? "note bad" : "note" }, text));
    const rows = checks.map(({ name, count: n, worst: far, limit, place }) => [name, `${n}`,
      far.toExponential(1), far <= limit ? place : `TOO LARGE: ${place}`]);
    live.append(make("div", { class: "box" },
      makeTable("", ["what", "numbers", "largest deviation", "where"], rows)));
  }

  return { name: "seal", draw, show: () => {}, keys: {} };
})());
