// Two models: attention and the lens of both, over the tokens that both have.

views.push((() => {
  const choices = { special: false, words: false, lengths: false };
  const SIGNS = ["\u2460", "\u2461"];
  const models = range(Math.min(data.models.length, 2));
  let chooser, heads, notes, lens;

  function draw(live, part) {
    chooser = placeChooser();
    const reads = ({ rows, columns, w }, r, c) => (c === null ? rows[r]
      : `${rows[r]} reads ${columns[c]} ${fixed(w[r][c], 3)}`);
    heads = models.map((m) => matrixFigure(data.models[m].name, reads, choose));
    notes = make("p", {});
    const names = models.map((m) => `${SIGNS[m]} ${data.models[m].name}`).join(", ");
    lens = matrixFigure(`The likeliest word at each place: ${names}`, describeCell, choose);
    const tables = part.tables.map(({ caption, rows: [head, ...rows] }) =>
      make("div", { class: "box" }, makeTable(caption, head, rows)));
    live.append(chooser.element,
      make("div", { class: "row" }, ...heads.map((figure) => figure.element)), notes,
      lens.element, ...tables.slice(0, -1));
  }

  // Groups of tokens that both models have, for each model.
  const groupsOf = (shared) => models.map((m) =>
    tokenGroups(m, choices).filter((group) => shared.has(group.key)));
  const keys = () => sharedKeys(models.map((model) => ({ model })), choices);
  const choose = (r) => setState({ token: groupsOf(keys())[state.model][r].tokens[0], more: [] });

  function show(now) {
    chooser.update(now);
    const shared = keys(), groups = groupsOf(shared);
    const chosen = groups[now.model].findIndex((group) => group.tokens.includes(now.token));
    const at = chosen < 0 ? null : [chosen, null];
    const isMixed = data.models.some((model) => model.causal);
    const matrices = models.map((model) => {
      const { layers, heads: count } = data.models[model];
      const place = { model, layer: Math.min(now.layer, layers - 1),
        head: Math.min(now.head, count - 1) };
      heads[model].title.textContent = headName(place);
      return { ...headMatrix(place, choices, shared), at, left: "rows ask", up: "columns answer",
        veiled: (r, c) => isMixed && c > r };
    });
    matrices.forEach((matrix, m) => heads[m].show(matrix));
    notes.textContent = models.filter((m) => isMixed && !data.models[m].causal).map((m) =>
      `${data.models[m].name} gives ${fixed(future(matrices[m]), 2)} of a row to later tokens, `
      + "in the mean over these tokens: what a GPT may not see.").join(" ");
    drawLens(groups, at);
  }

  const future = ({ w }) => sum(w.map((row, r) => sum(row.slice(r + 1)))) / w.length;

  function drawLens(groups, at) {
    const parts = data.views.find((view) => view.name === "lens").models;
    const columns = models.flatMap((m) => (parts[m].places ?? []).map((name, i) => [m, i, name]));
    lens.element.hidden = !columns.length;
    if (lens.element.hidden) return;
    const best = (name, r, [m, i]) => slice(array(m, `lens.${name}`), i, groups[m][r].tokens[0])[0];
    const rows = range(groups[0].length);
    lens.show({ rows: groups[0].map((group) => group.label), at, most: 1, up: "place",
      columns: columns.map(([m, , name]) => `${name.replace("attention", "attn")} ${SIGNS[m]}`),
      w: rows.map((r) => columns.map((column) => best("p", r, column))),
      texts: rows.map((r) => columns.map((column) =>
        (best("p", r, column) > 0 ? parts[column[0]].words[best("ids", r, column)] : ""))) });
  }

  return { name: "two", draw, show };
})());
