// Lens: the words that the stream would predict after each part of each layer.

views.push((() => {
  let part, chooser, notes, words, watched, distance;

  function draw(live, itsPart) {
    part = itsPart;
    chooser = placeChooser(["model", "token"]);
    notes = make("p", { class: "note" });
    words = matrixFigure("The likeliest word at each place", describeWords);
    const named = ({ rows, columns, texts, w }, r, c) => (c === null ? rows[r]
      : `${rows[r]}, ${columns[c]}: rank ${texts[r][c]}, p ${fixed(w[r][c], 4)}`);
    watched = matrixFigure("Words that lead somewhere", named, () => {});
    distance = matrixFigure("KL divergence from the oracle, in nats");
    live.append(chooser.element, notes, words.element,
      make("div", { class: "row" }, watched.element, distance.element));
  }

  function describeWords({ rows, columns, all }, r, c) {
    if (c === null) return rows[r];
    const list = all(r, c).map(([word, p]) => `${word} ${fixed(p, 3)}`).join(", ");
    return `${rows[r]}, ${columns[c]}: ${list}`;
  }

  function show(now) {
    chooser.update(now);
    const mine = part.models[now.model], model = data.models[now.model], m = now.model;
    notes.textContent = mine.note;
    notes.hidden = !mine.note;
    for (const figure of [words, watched, distance]) figure.element.hidden = !mine.places;
    if (!mine.places) return;
    const places = range(mine.places.length), tokens = range(model.tokens.length);
    const word = (id) => mine.words[id];
    const all = (t, i) => Array.from(slice(array(m, "lens.ids"), i, t),
      (id, k) => [word(id), slice(array(m, "lens.p"), i, t)[k]]).filter(([, p]) => p > 0);
    const grid = (cell) => tokens.map((t) => places.map((i) => cell(t, i)));
    const shared = { columns: mine.places, up: "place", most: 1 };
    const top = (t, i) => all(t, i)[0] ?? ["", 0];
    words.show({ ...shared, all, rows: model.tokens, at: [now.token, null],
      w: grid((t, i) => top(t, i)[1]), texts: grid((t, i) => top(t, i)[0]),
      marked: (t, i) => t === model.target.position && top(t, i)[0] === model.target.word });
    drawWatched(now, mine, shared);
    distance.element.hidden = !hasArray(m, "lens.kl");
    if (distance.element.hidden) return;
    const kl = array(m, "lens.kl");
    distance.show({ ...shared, columns: mine.places.slice(0, -1), rows: model.tokens,
      at: [now.token, null], most: Math.max(...kl.values),
      masked: (t) => model.special[t] && !model.causal,
      w: tokens.map((t) => range(kl.shape[0]).map((i) => slice(kl, i)[t])) });
  }

  // The words that lead somewhere, for the chosen token: probability, and rank among all words.
  function drawWatched(now, mine, shared) {
    const m = now.model, places = range(mine.places.length);
    const ids = [...new Set(slice(array(m, "lens.watched"), now.token))];
    const cells = (name) => ids.map((_, k) =>
      places.map((i) => slice(array(m, name), i, now.token)[k]));
    watched.title.textContent = `Words that lead somewhere at token ${now.token}, ${
      data.models[m].tokens[now.token]}: probability and rank`;
    watched.show({ ...shared, left: "word", rows: ids.map((id) => mine.words[id]), wide: 56,
      w: cells("lens.watched_p"), texts: cells("lens.ranks").map((row) => row.map(String)) });
  }

  return { name: "lens", draw, show };
})());
