// The forward of a BERT or a GPT-2, from the weights in the page: the formulas of nn/ and models/
// in double precision. A matrix is an array of rows; activations have TransformerLens's names.

const rowsOf = (found) => range(found.shape[0]).map((r) => slice(found, r));
const add = (a, b) => a.map((row, t) => row.map((x, i) => x + b[t][i]));

// y = x W^T + b: (T, in) -> (T, out), with W (out, in).
const linear = (x, weight, bias) =>
  x.map((row) => Float64Array.from(weight, (w, i) => dot(row, w) + (bias ? bias[i] : 0)));

// (x - mean) / sqrt(variance + eps) gamma + beta, row by row: {normalized, scale}.
function layerNorm(x, gamma, beta, eps) {
  const scale = [];
  const normalized = x.map((row) => {
    const mean = sum(row) / row.length, centred = row.map((value) => value - mean);
    const deviation = Math.sqrt(dot(centred, centred) / row.length + eps);
    scale.push([deviation]);
    return centred.map((value, i) => value / deviation * gamma[i] + beta[i]);
  });
  return { normalized, scale };
}

// The error function to 1.5e-7 (Abramowitz & Stegun 1964, formula 7.1.26).
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const terms = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
  const polynomial = terms.reduce((total, c) => (total + c) * t, 0);
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}

const ACTIVATIONS = {
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_new: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(x, 0),
};
ACTIVATIONS.gelu_pytorch_tanh = ACTIVATIONS.gelu_new;

// All activations of model m on these ids: {name: nested arrays}, and `logits` at the target's
// position (for an answer: of all positions). `cut` holds heads, "layer/head", whose mixture is set
// to zero before W_O. look/live.py says what stands in data.models[m].live.
function runModel(m, ids, cut = new Set()) {
  const { heads: H, layers, norm_first: normFirst, causal, target, types } = data.models[m];
  const { activation, eps, classifier } = data.models[m].live;
  const activate = ACTIVATIONS[activation];
  const D = data.models[m].width / H, all = {};
  const values = (name) => array(m, `weights.${name}`).values;
  const table = (name) => rowsOf(array(m, `weights.${name}`));
  const apply = (name, x) => linear(x, table(`${name}.weight`),
    hasArray(m, `weights.${name}.bias`) ? values(`${name}.bias`) : null);
  const norm = (name, x, hook) => {
    const found = layerNorm(x, values(`${name}.weight`), values(`${name}.bias`), eps);
    if (hook) Object.assign(all, { [`${hook}.hook_scale`]: found.scale,
      [`${hook}.hook_normalized`]: found.normalized });
    return found.normalized;
  };

  // softmax(q k^T / sqrt(D)) v for each head, side by side through W_O.
  function attention(x, at, block) {
    const qkv = apply(`${at}.attention.qkv`, x);
    const heads = (part) => qkv.map((row) => range(H).map((h) =>
      row.subarray((part * H + h) * D, (part * H + h + 1) * D)));
    const [q, k, v] = range(3).map(heads);  // (T, H, D)
    const qk = range(H).map((h) => q.map((row) => Float64Array.from(k, (key) =>
      dot(row[h], key[h]) / Math.sqrt(D))));  // (H, T, T)
    const scores = qk.map((head) => head.map((row, t) =>
      row.map((s, u) => (causal && u > t ? -1e30 : s))));
    const pattern = scores.map((head) => head.map((row) => softmax(row)));
    const z = x.map((_, t) => range(H).map((h) => Float64Array.from(range(D), (d) =>
      (cut.has(`${block}/${h}`) ? 0 : pattern[h][t].reduce((s, p, u) => s + p * v[u][h][d], 0)))));
    const name = `blocks.${block}.attn`;
    Object.assign(all, { [`${name}.hook_q`]: q, [`${name}.hook_k`]: k, [`${name}.hook_v`]: v,
      [`${name}.hook_qk`]: qk, [`${name}.hook_attn_scores`]: scores,
      [`${name}.hook_pattern`]: pattern, [`${name}.hook_z`]: z });
    const joined = z.map((row) => Float64Array.from(row.flatMap((head) => Array.from(head))));
    return apply(`${at}.attention.output`, joined);
  }

  function feedForward(x, at, block) {
    const before = apply(`${at}.feed_forward.expand`, x);
    const after = before.map((row) => row.map(activate));
    Object.assign(all, { [`blocks.${block}.mlp.hook_pre`]: before,
      [`blocks.${block}.mlp.hook_post`]: after });
    return apply(`${at}.feed_forward.output`, after);
  }

  function transformerBlock(x, i) {
    const at = `stack.blocks.${i}`, name = `blocks.${i}`;
    const ln1 = (y) => norm(`${at}.attention_norm`, y, `${name}.ln1`);
    const ln2 = (y) => norm(`${at}.feed_forward_norm`, y, `${name}.ln2`);
    const attnOut = attention(normFirst ? ln1(x) : x, at, i);
    const mid = add(x, attnOut), read = normFirst ? mid : ln1(mid);
    const mlpOut = feedForward(normFirst ? ln2(mid) : read, at, i);
    const post = add(read, mlpOut), out = normFirst ? post : ln2(post);
    Object.assign(all, { [`${name}.hook_resid_pre`]: x, [`${name}.hook_attn_out`]: attnOut,
      [`${name}.hook_resid_mid`]: mid, [`${name}.hook_mlp_out`]: mlpOut,
      [`${name}.hook_resid_post`]: post });
    if (!normFirst) all[`${name}.hook_normalized_resid_post`] = out;
    return out;
  }

  const pick = (name, rows) => rows.map((row) => table(`embeddings.${name}.weight`)[row]);
  const word = pick("word_embeddings", ids);
  const position = pick("position_embeddings", range(ids.length));
  Object.assign(all, { hook_embed: word, hook_pos_embed: position });
  let x = add(word.map((row) => Float64Array.from(row)), position);
  if (!causal) {
    all.hook_token_type_embed = pick("token_type_embeddings", types);
    x = norm("embeddings.norm", add(x, all.hook_token_type_embed), "embed.ln");
  }
  for (const i of range(layers)) x = transformerBlock(x, i);
  if (normFirst) x = norm("stack.final_norm", x, "ln_final");

  // The head: from the vector at the target's position to its logits.
  let at = [x[target.position]], logits;
  if (target.kind === "answer") [logits] = [x.map((row) => apply(classifier, [row])[0][0])];
  else if (target.kind === "word" || target.kind === "next word") {
    if (target.kind === "word") {
      at = norm("mlm_head.norm", apply("mlm_head.dense", at).map((row) => row.map(activate)));
    }
    const bias = target.kind === "word" ? values("mlm_head.bias") : null;
    [logits] = linear(at, table(classifier), bias);
  } else {
    if (target.kind === "class" && !causal) {
      at = apply("pooler.dense", at).map((row) => row.map(Math.tanh));
    }
    [logits] = apply(classifier, at);
  }
  return { activations: all, logits: Float64Array.from(logits) };
}
