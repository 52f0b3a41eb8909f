// The text that a GPT wrote, step by step, or the lattice of a beam search.

views.push((() => {
  const NS = "http://www.w3.org/2000/svg";
  let steps = [], at = 0, detail = null, buttons = [], part = null;

  function makeSvg(tag, attributes, ...children) {
    const element = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // ---- one token after the other ----

  function drawSteps(live) {
    steps = part.steps;
    const { temperature, top_k: k, top_p: p, seed } = part.settings;
    buttons = steps.map((step, i) => make("button", { type: "button", class: "written",
      click: () => choose(i) }, step.token));
    detail = make("div", { class: "figure" });
    live.append(
      make("p", { class: "made" }, `temperature ${temperature}, top-k ${k || "all"}, top-p ${p}, `
        + `seed ${seed}`),
      make("p", {}, ...data.models.find((model) => model.causal).tokens.map((token) =>
        make("span", { class: "token added" }, token)), ...buttons), detail);
    choose(0, false);
  }

  function choose(i, isSaid = true) {
    at = Math.max(0, Math.min(i, steps.length - 1));
    const step = steps[at];
    buttons.forEach((button, t) => button.setAttribute("aria-pressed", String(t === at)));
    const rows = step.candidates.map((one) => [one.token, fixed(one.p, 3), fixed(one.tempered, 3),
      one.cut ? `cut by ${one.cut}` : fixed(one.kept, 3),
      one.id === step.id ? "\u2190 written" : ""]);
    const drawn = step.u === null ? "Nothing was drawn: the likeliest token was taken."
      : `The number drawn, ${step.u.toFixed(6)}, falls to \u201c${step.token}\u201d.`;
    detail.replaceChildren(
      make("h3", {}, `step ${at + 1}: ${step.token}`), make("p", {}, drawn),
      ...(step.u === null ? [] : [make("div", { class: "box" }, cumulatedBar(step))]),
      makeTable("candidates", ["", "model's p", "after temperature", "drawn from", ""], rows),
      ...(step.replayed === step.token ? [] : [make("p", { class: "note bad" },
        `Drawn again, the number leads to \u201c${step.replayed}\u201d.`)]),
      ...step.roads.map((road) => make("p", { class: "intro" }, "not taken: ",
        make("b", {}, road.tokens[0]), ` (${fixed(road.p, 3)}) `, road.tokens.slice(1).join(" "))));
    if (isSaid) say(`step ${at + 1}: ${step.token}, ${drawn}`);
  }

  // What was left, cumulated in the vocabulary's order, and the number as a tick.
  function cumulatedBar(step) {
    const width = 640, height = 62;
    const parts = step.candidates.filter((one) => one.kept > 0);
    const svg = makeSvg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": parts.map((one) =>
        `${one.token} from ${fixed(one.from, 3)} to ${fixed(one.to, 3)}`).join(", ") },
    makeSvg("rect", { class: "rest", x: 0, y: 20, width, height: 24 }));
    for (const one of parts) {
      const x = one.from * width, share = (one.to - one.from) * width;
      const isWritten = one.id === step.id;
      svg.append(makeSvg("rect", { class: isWritten ? "part chosen" : "part", x, y: 20,
        width: Math.max(share, 0.5), height: 24 }));
      const label = short(one.token, Math.floor(share / 8));
      if (share > 16) {
        svg.append(makeSvg("text", { class: isWritten ? "label chosen" : "label",
          x: x + share / 2, y: 37, "text-anchor": "middle" }, label));
      }
    }
    const x = step.u * width;
    svg.append(makeSvg("path", { class: "tick", d: `M${x - 5} 10 L${x + 5} 10 L${x} 19 Z` }),
      makeSvg("text", { class: "scale", x: 0, y: 58 }, "0"),
      makeSvg("text", { class: "scale", x: width, y: 58, "text-anchor": "end" }, "1"));
    return svg;
  }

  // ---- beams ----

  function drawBeams(live) {
    const { columns, finished, settings } = part, wide = 104, high = 34, left = 8;
    const K = Math.max(settings.num_beams, 1);
    const place = (step, row) => [left + step * wide, 22 + row * high];
    const svg = makeSvg("svg", { width: left + columns.length * wide + 8, height: K * high + 12,
      role: "img", "aria-label": `${K} beams over ${columns.length} tokens` });
    const isAlive = columns.map((column, s) => column.map((_, row) => s === columns.length - 1
      || columns[s + 1].some((node) => node.parent === row)));
    columns.forEach((column, s) => column.forEach((node, row) => {
      const [x, y] = place(s, row);
      if (s > 0) {
        const [px, py] = place(s - 1, node.parent);
        svg.append(makeSvg("path", { class: "edge", d: `M${px + 66} ${py} L${x - 4} ${y}` }));
      }
      svg.append(makeSvg("text", { class: isAlive[s][row] ? "node" : "node dropped", x, y: y + 4 },
        makeSvg("title", {}, `${node.token}, log p ${fixed(node.log_p, 3)}`),
        short(node.token, 9)));
    }));
    live.append(make("p", { class: "made" }, `${K} beams, length penalty ${
      settings.length_penalty}; grey: no text goes on from there`),
    make("div", { class: "box" }, svg),
    makeTable("finished texts", ["", "log p", "score"], finished.map((one) =>
      [one.tokens.join(" "), fixed(one.log_p, 3), fixed(one.score, 3)])));
  }

  function draw(live, view) {
    ({ part } = view);
    if (part.kind === "beams") drawBeams(live);
    else drawSteps(live);
  }

  return { name: "tree", draw, show: () => {}, keys: {
    " ": ["next step", () => steps.length && choose(at + 1)],
    "<": ["previous step", () => steps.length && choose(at - 1)] } };
})());
