// Causes: the change of the explained logit when a part or a word is taken away.

views.push((() => {
  let part, chooser, note, figures, correlations;

  function draw(live, itsPart) {
    part = itsPart;
    chooser = placeChooser(["model", "token"]);
    note = make("div", {});
    const layerHead = (r, _, c) => setState({ layer: r, ...(c === null ? {} : { head: c }) });
    figures = {
      zero: matrixFigure("Change when a part is replaced by zeros", describeCell, layerHead),
      mean: matrixFigure("Change when a head is replaced by its mean", describeCell, layerHead),
      patch: matrixFigure("Share of the difference that an activation of the second text brings",
        ({ places, then, ...matrix }, r, c) => {
          const found = c === null ? null : then[[...places[c], r].join("/")];
          return describeCell(matrix, r, c) + (found ? `; then ${found}` : "");
        }),
      influence: matrixFigure("Influence of each word on each token\u2019s likeliest output"),
      answers: matrixFigure("Which word mattered?",
        ({ rows, columns, exact }, r, c) =>
          (c === null ? rows[r] : `${columns[c]}, ${rows[r]}: ${fixed(exact[r][c], 4)}`)),
    };
    correlations = make("div", { class: "box" });
    const row = (...elements) => make("div", { class: "row" }, ...elements);
    live.append(chooser.element, note, row(figures.zero.element, figures.mean.element),
      row(figures.patch.element, figures.answers.element, correlations), figures.influence.element);
  }

  // The numbers of an array as rows; for a picture, the largest size among them.
  const rowsIn = (m, name, ...index) => {
    const found = array(m, name), rows = found.shape[index.length];
    return range(rows).map((r) => Array.from(slice(found, ...index, r)));
  };
  const largest = (rows) => Math.max(...rows.flat().map((x) => Math.abs(x) || 0), 1e-12);
  const turned = (rows) => rows[0].map((_, c) => rows.map((row) => row[c]));

  function show(now) {
    chooser.update(now);
    const mine = part.models[now.model], model = data.models[now.model], m = now.model;
    const shown = {};
    for (const [name, figure] of Object.entries(figures)) {
      shown[name] = hasArray(m, `causes.${name}`);
      figure.element.hidden = !shown[name];
    }
    correlations.hidden = !shown.answers;
    note.replaceChildren(...sentences(mine, model).map((text) => make("p", {}, text)));
    const heads = range(model.heads).map((h) => `head ${h}`);
    const most = shown.zero ? largest(rowsIn(m, "causes.zero")) : 1;
    for (const name of ["zero", "mean"].filter((one) => shown[one])) {
      figures[name].show({ w: rowsIn(m, `causes.${name}`), signed: true, most, left: "layer",
        up: "part", rows: range(model.layers).map((i) => `layer ${i}`),
        columns: name === "mean" ? heads : [...heads, "attention", "MLP"] });
    }
    const tokens = { rows: model.tokens, at: [now.token, null] };
    if (shown.patch) drawPatched(m, tokens, mine.patched);
    if (shown.influence) {
      const w = rowsIn(m, "causes.influence");
      figures.influence.show({ ...tokens, w, most: largest(w), columns: model.tokens,
        masked: (r, c) => w[r][c] === 0, left: "output at", up: "word" });
    }
    if (shown.answers) drawAnswers(mine, m, tokens, model);
  }

  function sentences(mine, { name, target, special, causal }) {
    if (mine.note) return [mine.note];
    const less = target.instead === null ? "" : ` less that of \u201c${target.instead_word}\u201d`;
    const against = mine.against ? ` For the second text, ${mine.against.tokens.join(" ")}, it is ${
      fixed(mine.against.value, 3)}; patching takes one activation from there.` : "";
    const future = mine.future ? [`${mine.future} influences of later words are exactly 0.0${
      causal ? " (hatched): the mask hides the future." : ": this model reads both sides."}`] : [];
    return [`${name}: the logit of \u201c${target.word}\u201d${less} is ${fixed(mine.value, 3)}.${
      against}`, ...mine.notes, ...future];
  }

  function drawPatched(m, tokens, then) {
    const [sites, layers] = array(m, "causes.patch").shape;
    const columns = range(layers).flatMap((i) => range(sites).map((site) => [site, i]));
    figures.patch.show({ ...tokens, signed: true, most: 1, then, places: columns,
      columns: columns.map(([site, i]) => `${part.sites[site]} ${i}`),
      w: turned(columns.map((place) => Array.from(slice(array(m, "causes.patch"), ...place)))) });
  }

  // Each answer on a scale of its own: a square that is full is its strongest word.
  function drawAnswers(mine, m, tokens, model) {
    const answers = rowsIn(m, "causes.answers"), exact = turned(answers);
    const w = turned(answers.map((row) => row.map((x) => x / largest([row]))));
    figures.answers.show({ ...tokens, w, exact, columns: mine.answers, signed: true, most: 1,
      masked: (r, c) => Number.isNaN(exact[r][c]), up: "measure" });
    correlations.replaceChildren(makeTable("Spearman\u2019s rank correlation of their sizes",
      ["", ...mine.answers], mine.answers.map((name, i) => [name, ...mine.correlations[i]])));
  }

  return { name: "causes", draw, show };
})());
