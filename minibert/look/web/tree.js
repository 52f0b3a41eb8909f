// The text that a GPT wrote, step by step, or the lattice of a beam search.

function chooseWritten(i) {
  const { steps } = partOf("tree").part;
  if (!steps) return;
  const written = between(0, i, steps.length - 1);
  setState({ written });
  say(`step ${written + 1}: ${steps[written].token}, ${drawnSentence(steps[written])}`);
}

const drawnSentence = ({ u, token }) => (u === null
  ? "Nothing was drawn: the likeliest token was taken."
  : `The number drawn, ${u.toFixed(6)}, falls to \u201c${token}\u201d.`);

function showSteps({ steps, settings: { temperature, top_k: k, top_p: p, seed } }, written) {
  const step = steps[written], { tokens } = data.models.find((model) => model.causal);
  const rows = step.candidates.map((one) => [one.token, fixed(one.p, 3), fixed(one.tempered, 3),
    one.cut ? `cut by ${one.cut}` : fixed(one.kept, 3),
    one.id === step.id ? "\u2190 written" : ""]);
  return [
    paragraph(`temperature ${temperature}, top-k ${k || "all"}, top-p ${p}, seed ${seed}`, "made"),
    make("p", {}, tokens.map((token) => make("span", { class: "token added" }, token)),
      steps.map(({ token }, i) =>
        button(token, () => chooseWritten(i), i === written, { class: "written" }))),
    div("figure", title(`step ${written + 1}: ${step.token}`), paragraph(drawnSentence(step)),
      step.u === null ? null : div("box", cumulatedBar(step)),
      div("box", makeTable("candidates",
        ["", "model's p", "after temperature", "drawn from", ""], rows)),
      step.replayed === step.token ? null
        : paragraph(`Drawn again, the number leads to \u201c${step.replayed}\u201d.`, "note bad"),
      step.roads.map((road) => make("p", { class: "intro" }, "not taken: ",
        make("b", {}, road.tokens[0]), ` (${fixed(road.p, 3)}) `,
        road.tokens.slice(1).join(" "))))];
}

// What was left, cumulated in the vocabulary's order, and the number as a tick above it.
function cumulatedBar({ candidates, id, u }) {
  const kept = candidates.filter((one) => one.kept > 0), tick = make("i", { class: "tick" });
  tick.style.left = `${100 * u}%`;
  return make("div", { class: "cumulated", role: "img", "aria-label": kept.map(
    ({ token, from, to }) => `${token} from ${fixed(from, 3)} to ${fixed(to, 3)}`).join(", ") },
  tick, kept.map(({ token, id: own, from, to }) => {
    const part = make("span", { class: own === id ? "chosen" : null }, token);
    part.style.left = `${100 * from}%`;
    part.style.width = `${100 * (to - from)}%`;
    return part;
  }));
}

// Each column is a step; a line leads from a beam to the one that it goes on in.
function showBeams({ columns, finished, settings }) {
  const K = Math.max(settings.num_beams, 1), canvas = make("canvas", { role: "img",
    "aria-label": `${K} beams over ${columns.length} tokens` });
  const pen = prepare(canvas, columns.length * 104 + 16, K * 40 + 12);
  const isAlive = (s, row) => s === columns.length - 1
    || columns[s + 1].some((node) => node.parent === row);
  columns.forEach((column, s) => column.forEach(({ token, log_p: p, parent }, row) => {
    const [x, y] = [8 + s * 104, 22 + row * 40], ink = colour(isAlive(s, row) ? "ink" : "soft");
    if (s) drawLine(pen, colour("soft"), [[x - 38, 22 + parent * 40], [x - 4, y]]);
    pen.font = sans(12);
    write(pen, short(token, 9), x, y + 4, ink);
    pen.font = sans(10);
    write(pen, fixed(p), x, y + 17, colour("soft"));
  }));
  return [
    paragraph(`${K} beams, length penalty ${settings.length_penalty}; grey: no text goes on from `
      + "there; beneath each token log p of the text so far", "made"), div("box", canvas),
    div("box", makeTable("finished texts", ["", "log p", "score"], finished.map((one) =>
      [one.tokens.join(" "), fixed(one.log_p, 3), fixed(one.score, 3)])))];
}

views.tree = {
  show({ written }) {
    const { part } = partOf("tree");
    return part.kind === "beams" ? showBeams(part) : showSteps(part, written);
  },
  keys: { " ": ["next step", () => chooseWritten(state.written + 1)],
    "<": ["previous step", () => chooseWritten(state.written - 1)] } };
