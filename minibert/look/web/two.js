// Two models: attention and the lens of both, over the tokens that both have.

const SIGNS = ["\u2460", "\u2461"];

function showTwo(now) {
  const models = [0, 1], shared = sharedKeys(models.map((model) => ({ model })), {});
  const groups = models.map((m) =>
    tokenGroups(m, {}).filter((group) => shared.has(group.key)));
  const chosen = groups[now.model].findIndex((group) => group.tokens.includes(now.token));
  const at = chosen < 0 ? null : [chosen, null];
  const choose = (r) => setState({ token: groups[now.model][r].tokens[0], more: [] });
  const isMixed = data.models.some((model) => model.causal);
  const places = models.map((model) => ({ model,
    layer: Math.min(now.layer, data.models[model].layers - 1),
    head: Math.min(now.head, data.models[model].heads - 1) }));
  const matrices = places.map((place) => ({ ...headMatrix(place, {}, shared), at,
    veiled: (r, c) => isMixed && c > r }));
  const describe = ({ rows, columns, w }, r, c) =>
    `${rows[r]} reads ${columns[c]} ${fixed(w[r][c], 3)}`;
  const future = ({ w }) => sum(w.map((row, r) => sum(row.slice(r + 1)))) / w.length;
  return [
    div("row", models.map((m) => matrixFigure(headName(places[m]), matrices[m], describe, choose))),
    ...models.filter((m) => isMixed && !data.models[m].causal).map((m) =>
      paragraph(`${data.models[m].name} gives ${fixed(future(matrices[m]), 2)} of a row to later `
        + "tokens, in the mean over these tokens: what a GPT may not see.")),
    lensOfBoth(groups, at, choose),
    ...partOf("two").tables.slice(0, -1).map(({ caption, rows: [head, ...rows] }) =>
      div("box", makeTable(caption, head, rows)))];
}

function lensOfBoth(groups, at, choose) {
  const parts = partOf("lens").models;
  const columns = [0, 1].flatMap((m) => (parts[m].places ?? []).map((name, i) => [m, i, name]));
  if (!columns.length) return null;
  const best = (name, r, [m, i]) => slice(array(m, `lens.${name}`), i, groups[m][r].tokens[0])[0];
  const grid = (cell) => groups[0].map((_, r) => columns.map((column) => cell(r, column)));
  const names = SIGNS.map((sign, m) => `${sign} ${data.models[m].name}`).join(", ");
  return matrixFigure(`The likeliest word at each place: ${names}`, {
    rows: groups[0].map((group) => group.label), at, most: 1, left: "token", up: "place",
    columns: columns.map(([m, , name]) => `${name.replace("attention", "attn")} ${SIGNS[m]}`),
    w: grid((r, column) => best("p", r, column)), texts: grid((r, column) =>
      (best("p", r, column) > 0 ? parts[column[0]].words[best("ids", r, column)] : "")),
  }, describeCell, choose);
}

views.two = { places: ["model", "token", "layer", "head"], show: showTwo };
