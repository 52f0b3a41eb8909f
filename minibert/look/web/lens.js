// Lens: the words that the stream would predict after each part of each layer.

function showLens({ model: m, token }) {
  const { note, places, words } = partOf("lens").models[m], model = data.models[m];
  const notes = note ? [paragraph(note, "note")] : [];
  if (!places) return notes;
  const ids = array(m, "lens.ids"), p = array(m, "lens.p");  // (place, token, k)
  const all = (t, i) => Array.from(slice(ids, i, t), (id, k) => [words[id], slice(p, i, t)[k]])
    .filter(([, share]) => share > 0);
  const top = (t, i) => all(t, i)[0] ?? ["", 0];
  const grid = (cell) => model.tokens.map((_, t) => places.map((_, i) => cell(t, i)));
  const shared = { rows: model.tokens, columns: places, left: "token", up: "place", most: 1,
    at: [token, null] };
  const figures = [watchedFigure(m, token, { ...shared, left: "word", at: null })];
  if (hasArray(m, "lens.kl")) {
    const kl = array(m, "lens.kl");  // (place, token)
    figures.push(matrixFigure("KL divergence from the oracle, in nats", { ...shared,
      columns: places.slice(0, -1), most: largest(kl.values), w: turned(rowsOf(kl)),
      masked: (t) => model.special[t] && !model.causal }));
  }
  return [...notes, matrixFigure("The likeliest word at each place", { ...shared,
    w: grid((t, i) => top(t, i)[1]), texts: grid((t, i) => top(t, i)[0]),
    marked: (t, i) => t === model.target.position && top(t, i)[0] === model.target.word },
  ({ rows, columns }, t, i) => `${rows[t]}, ${columns[i]}: ${
    all(t, i).map(([word, share]) => `${word} ${fixed(share, 3)}`).join(", ")}`),
  div("row", figures)];
}

// The words that lead somewhere, for the chosen token: probability, and rank among all words.
function watchedFigure(m, token, shared) {
  const { places, words } = partOf("lens").models[m];
  const ids = [...new Set(slice(array(m, "lens.watched"), token))];
  const cells = (name) => ids.map((_, k) =>
    places.map((_, i) => slice(array(m, name), i, token)[k]));
  return matrixFigure(`Words that lead somewhere at token ${token}, ${data.models[m].tokens[token]
  }: probability and rank`, { ...shared, rows: ids.map((id) => words[id]), wide: 56,
    w: cells("lens.watched_p"), texts: cells("lens.ranks").map((row) => row.map(String)) },
  ({ rows, columns, texts, w }, r, c) =>
    `${rows[r]}, ${columns[c]}: rank ${texts[r][c]}, p ${fixed(w[r][c], 4)}`, () => {});
}

views.lens = { places: ["model", "token"], show: showLens };
