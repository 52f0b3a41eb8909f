// The forward of a BERT (RoBERTa, DistilBERT) or a GPT-2, from the weights in the page: the
// formulas of nn/ and models/ in double precision. A matrix is an array of rows; activations have
// TransformerLens's names.

const add = (a, b) => a.map((row, t) => Float64Array.from(row, (x, i) => x + b[t][i]));

// y = x W^T + b: (T, in) -> (T, out), with W (out, in).
const linear = (x, weight, bias) =>
  x.map((row) => Float64Array.from(weight, (w, i) => dot(row, w) + (bias ? bias[i] : 0)));

// (x - mean) / sqrt(variance + eps) gamma + beta, row by row: {normalized, scale}.
function layerNorm(x, gamma, beta, eps) {
  const found = x.map((row) => ({ row, ...moments(row) }));
  const scale = found.map(({ variance }) => [Math.sqrt(variance + eps)]);
  const normalized = found.map(({ row, mean }, t) =>
    Float64Array.from(row, (a, i) => (a - mean) / scale[t][0] * gamma[i] + beta[i]));
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
  tanh: Math.tanh,
};
ACTIVATIONS.gelu_pytorch_tanh = ACTIVATIONS.gelu_new;

// All activations of model m on these ids: {name: nested arrays}, and `logits` at the target's
// position (for an answer: of all positions). `cut` holds heads, "layer/head", whose mixture is set
// to zero before W_O. look/live.py says what stands in data.models[m].live.
function runModel(m, ids, cut = new Set()) {
  const { heads: H, layers, norm_first: normFirst, norm_eps: eps, causal, types, width, live }
    = data.models[m];
  const activate = ACTIVATIONS[live.activation], D = width / H, activations = {};
  const values = (name) => array(m, `weights.${name}`).values;
  const table = (name) => rowsOf(array(m, `weights.${name}`));
  const apply = (name, x) => linear(x, table(`${name}.weight`),
    hasArray(m, `weights.${name}.bias`) ? values(`${name}.bias`) : null);
  const keep = (place, found) => {
    for (const [name, x] of Object.entries(found)) activations[`${place}hook_${name}`] = x;
  };
  const norm = (name, x, place) => {
    const found = layerNorm(x, values(`${name}.weight`), values(`${name}.bias`), eps);
    if (place) keep(`${place}.`, found);
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
    const pattern = scores.map((head) => head.map(softmax));
    const z = x.map((_, t) => range(H).map((h) => Float64Array.from(range(D), (d) =>
      (cut.has(`${block}/${h}`) ? 0 : pattern[h][t].reduce((s, p, u) => s + p * v[u][h][d], 0)))));
    keep(`blocks.${block}.attn.`, { q, k, v, qk, attn_scores: scores, pattern, z });
    return apply(`${at}.attention.output`, z.map((row) => Float64Array.from(row.flatMap(
      (head) => [...head]))));
  }

  function feedForward(x, at, block) {
    const pre = apply(`${at}.feed_forward.expand`, x), post = pre.map((row) => row.map(activate));
    keep(`blocks.${block}.mlp.`, { pre, post });
    return apply(`${at}.feed_forward.output`, post);
  }

  function transformerBlock(x, i) {
    const at = `stack.blocks.${i}`, place = `blocks.${i}`;
    const ln1 = (y) => norm(`${at}.attention_norm`, y, `${place}.ln1`);
    const ln2 = (y) => norm(`${at}.feed_forward_norm`, y, `${place}.ln2`);
    const attnOut = attention(normFirst ? ln1(x) : x, at, i);
    const mid = add(x, attnOut), read = normFirst ? mid : ln1(mid);
    const mlpOut = feedForward(normFirst ? ln2(mid) : read, at, i), post = add(read, mlpOut);
    keep(`${place}.`, { resid_pre: x, attn_out: attnOut, resid_mid: mid, mlp_out: mlpOut,
      resid_post: post });
    if (normFirst) return post;
    keep(`${place}.`, { normalized_resid_post: ln2(post) });
    return activations[`${place}.hook_normalized_resid_post`];
  }

  const pick = (name, rows) => rows.map((row) => table(`embeddings.${name}.weight`)[row]);
  let next = live.first_position;  // RoBERTa's padding, the id before it, does not count
  const positions = ids.map((id) => (id === live.first_position - 1 ? id : next++));
  const embed = pick("word_embeddings", ids), position = pick("position_embeddings", positions);
  keep("", { embed, pos_embed: position });
  let x = add(embed, position);
  if (hasArray(m, "weights.embeddings.token_type_embeddings.weight")) {
    keep("", { token_type_embed: pick("token_type_embeddings", types) });
    x = add(x, activations.hook_token_type_embed);
  }
  if (!causal) x = norm("embeddings.norm", x, "embed.ln");
  for (const i of range(layers)) x = transformerBlock(x, i);
  if (normFirst) x = norm("stack.final_norm", x, "ln_final");
  return { activations, logits: logitsOf(x) };

  // The head: from the vector at the target's position to its logits.
  function logitsOf(x) {
    const { kind, position: t } = data.models[m].target, { weight, bias, hidden } = live;
    const output = (rows) => linear(rows, table(weight), bias && values(bias));
    if (kind === "answer") return output(x).map((row) => row[0]);
    const at = hidden ? apply(hidden, [x[t]]).map((row) =>
      row.map(ACTIVATIONS[live.hidden_activation])) : [x[t]];
    return output(kind === "word" ? norm("mlm_head.norm", at) : at)[0];
  }
}
