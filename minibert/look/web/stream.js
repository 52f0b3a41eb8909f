// Stream: how long the vectors are that each layer adds to a token, and a GPT's logit as a sum.

function showStream({ model: m, token }) {
  const model = data.models[m], layers = range(model.layers);
  const norms = array(m, "stream.norms"), cosines = array(m, "stream.cosines");
  const byToken = (named, more) => ({ rows: model.tokens, at: [token, null], left: "token",
    up: "layer", columns: named.map(([name]) => name), ...more,
    w: model.tokens.map((_, t) => named.map(([, numbers]) => numbers[t])) });
  const lengths = layers.flatMap((i) => [[`stream ${i}`, slice(norms, 0, i)],
    [`attention ${i}`, slice(norms, 1, i)], [`MLP ${i}`, slice(norms, 3, i)]]);
  lengths.push(["stream out", slice(norms, 4, model.layers - 1)]);
  const angles = layers.flatMap((i) =>
    [[`attention ${i}`, slice(cosines, 0, i)], [`MLP ${i}`, slice(cosines, 1, i)]]);
  const rows = layers.map((i) => [String(i), ...[slice(norms, 0, i), slice(norms, 1, i),
    slice(cosines, 0, i), slice(norms, 3, i), slice(cosines, 1, i), slice(norms, 4, i)]
    .map((numbers) => fixed(numbers[token]))]);
  return [
    div("row", matrixFigure("Lengths of the stream and of what is added",
      byToken(lengths, { most: largest(norms.values) })),
    matrixFigure("Cosine of what is added with the stream",
      byToken(angles, { most: 1, signed: true }))),
    div("row", div("box", makeTable(`${model.name}: token ${token}, ${model.tokens[token]}`,
      ["layer", "stream", "attention adds", "cosine", "MLP adds", "cosine", "stream after"],
      rows)), logitSum(m))];
}

// Each bar begins where the one above it ends; the last one is their sum.
function logitSum(m) {
  const parts = partOf("stream").parts[m], { target, name } = data.models[m], ends = [0];
  if (!parts.length) return null;
  for (const [, x] of parts) ends.push(ends.at(-1) + x);
  const low = Math.min(...ends), width = Math.max(...ends) - low || 1;
  const bar = (label, from, to, kind) => [label, fixed(to - from),
    (Math.min(from, to) - low) / width, (Math.max(from, to) - low) / width, kind];
  return make("div", {}, title(`${name}: the logit of ${explained(target)}, `
    + `after token ${target.position}`), bars([
    ...parts.map(([label, x], i) => bar(label, ends[i], ends[i + 1], x < 0 ? "minus" : "plus")),
    bar("sum", 0, ends.at(-1), "total")], "fall"));
}

// The output whose logit is explained, and the one that it is compared with.
const explained = ({ word, instead, instead_word: other }) =>
  `\u201c${word}\u201d${instead === null ? "" : ` less that of \u201c${other}\u201d`}`;

views.stream = { places: ["model", "token"], show: showStream };
