// What each step of the walk shows: every number is computed here from its operands; the seal
// compares the results with those of Python.

// The keys that a token sees.
const visible = ({ model, token }) => range(model.causal ? token + 1 : model.tokens.length);

// A branch's output joins the residual stream.
function sumOf(branch, x, added, total) {
  return [vectorTable("", [["x", x], [branch, added], ["sum", total]]),
    paragraph(`cosine of the two: ${fixed(cosine(x, added), 3)}`)];
}

// By the step's name: its elements, from the arrays of a place (layerOf).
const stepBodies = {
  pieces: ({ model }) => [makeTable("", ["position", "token", "id", "segment"],
    model.tokens.map((token, i) => [`${i}`, token, `${model.ids[i]}`, `${model.types[i]}`]))],

  embed: ({ m, token }) => {
    const rows = [["word", "hook_embed"], ["segment", "hook_token_type_embed"],
      ["position", "hook_pos_embed"]].filter(([, name]) => hasArray(m, name))
      .map(([label, name]) => [label, slice(array(m, name), token)]);
    const total = rows[0][1].map((_, i) => sum(rows.map(([, values]) => values[i])));
    return [vectorTable("rows of the embedding tables, and their sum", [...rows, ["x", total]])];
  },

  norm: ({ model, own }) => {
    const x = own(model.norm_first ? "hook_resid_pre" : "hook_resid_mid");
    const { mean, variance } = moments(x);
    return [paragraph(`mean ${fixed(mean, 4)}, variance ${fixed(variance, 4)}, `
      + `\u221avariance ${fixed(Math.sqrt(variance), 4)}`),
    vectorTable("before and after", [["x", x], ["normed", own("ln1.hook_normalized")]])];
  },

  qkv: ({ model, own, ofHead }) => [vectorTable("what enters, and what this head makes of it", [
    ["x", own(model.norm_first ? "ln1.hook_normalized" : "hook_resid_pre")],
    ...["q", "k", "v"].map((name) => [name, ofHead(`hook_${name}`)])])],

  scores: (at) => {
    const { model, row, ofHead } = at, scores = row("hook_qk"), seen = visible(at);
    const best = seen.reduce((a, b) => (scores[b] > scores[a] ? b : a));
    const q = ofHead("hook_q"), k = ofHead("hook_k", best);
    const products = q.map((x, i) => x * k[i]);
    const order = range(q.length).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
    const large = order.slice(0, 8), rest = sum(order.slice(8).map((i) => products[i]));
    const rows = large.map((i) => [`${i}`, q[i], k[i], products[i]]);
    if (order.length > 8) rows.push([`${order.length - 8} others`, "", "", rest]);
    rows.push(["sum", "", "", sum(products)]);
    rows.push([`/ \u221a${q.length}`, "", "", sum(products) / Math.sqrt(q.length)]);
    const title = `q of ${model.tokens[at.token]}, k of ${model.tokens[best]}: the largest score`;
    return [makeTable(title, ["dimension", "q", "k", "q \u00b7 k"], rows)];
  },

  mask: ({ model, token }) => [paragraph(model.causal
    ? `${model.tokens[token]} is token ${token}: it sees ${token + 1} tokens, itself the last, `
      + `and not the ${model.tokens.length - token - 1} after it.`
    : `Nothing is masked: all ${model.tokens.length} tokens are seen, those after it, too.`)],

  softmax: (at) => {
    const scores = at.row("hook_qk"), seen = visible(at);
    const most = largest(seen.map((k) => scores[k]));
    const powers = seen.map((k) => Math.exp(scores[k] - most)), total = sum(powers);
    const rows = seen.map((k, i) => [at.model.tokens[k], scores[k], scores[k] - most, powers[i],
      powers[i] / total]);
    rows.push(["sum", "", "", total, 1]);
    return [makeTable(`maximum ${fixed(most, 4)}`,
      ["key", "s", "s \u2212 max", "exp", "a = exp / sum"], rows)];
  },

  mixture: (at) => {
    const weights = at.row("hook_pattern"), seen = visible(at);
    const parts = seen.map((k) => [k, weights[k] * norm(at.ofHead("hook_v", k))])
      .sort((a, b) => b[1] - a[1]).slice(0, 6);
    const rows = parts.map(([k, length]) => [`${fixed(weights[k], 3)} v of ${at.model.tokens[k]}`,
      at.ofHead("hook_v", k).map((x) => x * weights[k])]);
    const title = seen.length > 6 ? `the 6 longest of ${seen.length} parts` : "all parts";
    return [vectorTable(`${title}, and the sum of all`, [...rows, ["z", at.ofHead("hook_z")]])];
  },

  output: ({ model, own }) => {
    const lengths = own("result_norms");
    const rows = range(model.heads).map((h) => [`head ${h}`, fixed(lengths[h], 3)]);
    return [makeTable("length of what each head adds", ["", "length"], rows),
      vectorTable("the sum of all heads and the bias", [["out", own("hook_attn_out")]])];
  },

  residual: ({ own }) => sumOf("attention",
    own("hook_resid_pre"), own("hook_attn_out"), own("hook_resid_mid")),

  neurons: ({ own }) => {
    const [numbers, pre, post] = ["numbers", "pre", "post"].map((name) => own(`neurons.${name}`));
    return [makeTable(`the ${numbers.length} strongest`, ["neuron", "before", "after"],
      range(numbers.length).map((i) => [`${numbers[i]}`, pre[i], post[i]]))];
  },

  mlp: ({ model, own }) => sumOf("feed-forward",
    own(model.norm_first ? "hook_resid_mid" : "ln1.hook_normalized"), own("hook_mlp_out"),
    own("hook_resid_post")),

  logits: ({ m, model }) => {
    const { outputs } = partOf("walk").models[m], logits = array(m, "target_logits").values;
    const first = `at token ${model.target.position}, whatever token is chosen above`;
    if (!hasArray(m, "target_hidden")) {
      return [makeTable(first, ["output", "logit"],
        outputs.map(({ word, id }) => [word, logits[id]]))];
    }
    const hidden = array(m, "target_hidden").values, vectors = array(m, "output_vectors");
    const products = outputs.map((_, i) => dot(hidden, slice(vectors, i)));
    return [makeTable(first, ["output", "h \u00b7 vector", "bias", "logit"],
      outputs.map(({ word, bias }, i) => [word, products[i], bias, products[i] + bias]))];
  },

  loss: ({ m, model }) => {
    const logits = array(m, "target_logits").values, p = softmax(logits), { id } = model.target;
    const rows = partOf("walk").models[m].outputs
      .map((one) => [one.word, logits[one.id], fixed(p[one.id], 5)]);
    return [makeTable(`the likeliest of ${logits.length}`, ["output", "logit", "p"], rows),
      paragraph(`loss = \u2212ln ${fixed(p[id], 5)} = ${fixed(-Math.log(p[id]), 5)}`)];
  },
};
