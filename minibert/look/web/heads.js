// Heads: a small picture of each head, one of them large, and what the chosen tokens read there.

views.push((() => {
  const choices = { special: false, words: false, lengths: false };
  let other = null;  // the place that the present one is compared with
  let part, buttons, thumbs, figures, lists;

  const pick = ({ model, layer, head }) => ({ model, layer, head });
  const sentence = ({ model, layer, head }) => part.sentences[model][layer]?.[head]
    ?? "attention multiplied through all layers; half of each layer is the residual connection";

  function press(name) {
    if (name === "compare") other = other ? null : pick(state);
    else choices[name] = !choices[name];
    show(state);
  }

  function draw(live, itsPart) {
    part = itsPart;
    buttons = {
      special: toggle("hide special tokens (s)", () => press("special")),
      words: toggle("whole words (w)", () => press("words")),
      lengths: toggle("times the vector\u2019s length (v)", () => press("lengths")),
      compare: toggle("compare with this head (b)", () => press("compare")),
    };
    thumbs = make("div", { class: "row" }, ...data.models.map(drawThumbs));
    figures = range(3).map(drawFigure);
    lists = make("div", {});
    live.append(thumbs, make("p", {}, ...Object.values(buttons)),
      make("div", { class: "row" }, ...figures.map((figure) => figure.element), lists));
  }

  function drawThumbs(model, m) {
    const grid = make("div", { class: "thumbs", role: "group",
      "aria-label": `${model.name}: one picture for each head` });
    grid.style.gridTemplateColumns = `max-content repeat(${model.heads}, max-content)`;
    const add = (place) => grid.append(make("button", { type: "button", "aria-pressed": "false",
      "data-place": `${m}/${place.layer}/${place.head}`, click: () => setState(place),
      "aria-label": `${headName(place)}: ${sentence(place)}` }, make("canvas", {})));
    for (const layer of range(model.layers)) {
      grid.append(make("span", {}, `layer ${layer}`));
      range(model.heads).forEach((head) => add({ model: m, layer, head }));
    }
    grid.append(make("span", {}, "rollout"));
    add({ model: m, layer: model.layers, head: 0 });
    return make("div", {}, make("h3", {}, model.name), make("div", { class: "box" }, grid));
  }

  // The large pictures: the chosen head, the one that it is compared with, and their difference.
  function drawFigure(i) {
    const figure = { matrix: null, name: "" };
    figure.title = make("h3", {}, "");
    figure.canvas = matrixCanvas("attention weights", () => figure.matrix,
      (r, c) => describe(figure, r, c), (r, isMore) => lock(figure.matrix, r, isMore));
    figure.element = make("div", { class: "figure", "data-figure": String(i) }, figure.title,
      make("div", { class: "box" }, figure.canvas));
    return figure;
  }

  function describe({ matrix, name }, r, c) {
    if (c === null) return `${name}: ${matrix.rows[r]}`;
    if (matrix.masked(r, c)) return `${name}: ${matrix.rows[r]} cannot see ${matrix.columns[c]}`;
    const verb = matrix.signed ? "reads more from" : choices.lengths ? "receives from" : "reads";
    return `${name}: ${matrix.rows[r]} ${verb} ${matrix.columns[c]} ${fixed(matrix.w[r][c], 3)}`;
  }

  function lock(matrix, r, isMore) {
    const tokens = matrix.groups[r].tokens;
    setState(isMore ? { more: [...state.more, ...tokens] } : { token: tokens[0], more: [] });
  }

  function show(now) {
    const places = [pick(now), ...(other ? [other] : [])];
    const shared = other && other.model !== now.model ? sharedKeys(places, choices) : null;
    const matrices = places.map((place) => headMatrix(place, choices, shared));
    const names = places.map(headName);
    if (other) {
      matrices.push(differenceMatrix(matrices[0], matrices[1]));
      names.push(`${names[0]} less ${names[1]}`);
    }
    const chosen = new Set([now.token, ...now.more]);
    const rows = range(matrices[0].rows.length)
      .filter((r) => matrices[0].groups[r].tokens.some((i) => chosen.has(i)));
    figures.forEach((figure, i) => {
      figure.element.hidden = !matrices[i];
      if (!matrices[i]) return;
      Object.assign(figure, { matrix: matrices[i], name: names[i] });
      Object.assign(figure.matrix, { at: rows.length ? [rows[0], null] : null,
        locked: new Set(rows), room: other ? 330 : 520 });
      figure.title.textContent = names[i];
      drawMatrix(figure.canvas, figure.matrix);
    });
    lists.replaceChildren(...places.map((place, i) => drawList(place, matrices[i], rows)));
    showThumbs(now);
    for (const [name, button] of Object.entries(buttons)) {
      const isOn = name === "compare" ? other !== null : choices[name];
      button.setAttribute("aria-pressed", String(isOn));
    }
  }

  function showThumbs(now) {
    const look = JSON.stringify([choices, theme]), isNew = look !== thumbs.look;
    thumbs.look = look;
    for (const button of thumbs.querySelectorAll("button")) {
      const [model, layer, head] = button.dataset.place.split("/").map(Number);
      if (isNew) drawSmall(button.firstChild, headMatrix({ model, layer, head }, choices));
      const isChosen = model === now.model && layer === now.layer && head === now.head;
      button.setAttribute("aria-pressed", String(isChosen));
      button.tabIndex = isChosen ? 0 : -1;  // one stop for Tab; arrows and h choose another
    }
  }

  function effectOf(place) {
    if (isRollout(place) || !hasArray(place.model, "causes.zero")) return "";
    const change = slice(array(place.model, "causes.zero"), place.layer)[place.head];
    return make("p", {}, `Without it the explained number changes by ${fixed(change, 3)}.`);
  }

  // What the chosen rows read together, the largest first; the small ones and the hidden ones are
  // summed up.
  function drawList(place, matrix, rows) {
    const figure = make("div", { class: "figure" });
    if (!rows.length) return figure;
    const shares = matrix.columns.map((label, c) => [label, sum(rows.map((r) => matrix.w[r][c]))]);
    const large = shares.filter(([, x]) => x >= 0.02 * matrix.most)
      .sort((a, b) => b[1] - a[1]).slice(0, 12);
    const total = (pairs) => sum(pairs.map(([, x]) => x));
    const others = total(shares) - total(large);
    const hidden = sum(rows.map((r) => matrix.whole[r])) - total(shares);
    const bars = make("div", { class: "bars" });
    for (const [label, x] of others > 0.0005 ? [...large, ["others", others]] : large) {
      const bar = make("i", {});
      bar.style.width = `${100 * Math.min(x / matrix.most / rows.length, 1)}%`;
      bars.append(make("bdi", {}, label), make("span", { class: "number" }, fixed(x, 3)), bar);
    }
    const readers = rows.map((r) => matrix.rows[r]).join(" + ");
    figure.append(make("h3", {}, `${headName(place)}: ${sentence(place)}`), effectOf(place),
      make("p", {}, make("b", {}, readers), " reads"), bars);
    if (hidden > 0.0005) {
      figure.append(make("p", { class: "intro" },
        `${fixed(hidden, 3)} goes to tokens that are hidden here; rows are not rescaled.`));
    }
    return figure;
  }

  const key = (text, name) => [text, () => press(name)];
  return { name: "heads", draw, show, keys: {
    s: key("hide special tokens", "special"), w: key("whole words", "words"),
    v: key("times the vector\u2019s length", "lengths"), b: key("compare", "compare") } };
})());
