// Map: word vectors, and the streams of all tokens layer by layer, in two dimensions.

function showMap({ model: m, layer, token }) {
  const part = partOf("map").models[m], { tokens } = data.models[m];
  const topics = hasArray(m, "map.topics") ? rowsOf(array(m, "map.topics")) : null;
  const note = part.note || (topics ? `Shapes are the oracle\u2019s likeliest topic: ${
    partOf("map").topics.map((name, k) => `${MARKS[k]} ${name}`).join(", ")}.` : "");
  const all = array(m, "map.streams"), vectors = array(m, "map.words"), head = title("");
  const streams = scatterCanvas("Streams of the tokens", (i) => say(part.tokens[i]),
    (i) => setState({ token: i % tokens.length, more: [] }));
  const words = scatterCanvas("Word vectors", (i) => say(part.words[i]));
  const percent = (share) => `${fixed(100 * share, 0)} % of the variance`;
  const width = Math.min(560, document.documentElement.clientWidth - 44);

  function drawStreams(at) {
    head.textContent = `Streams ${at === 0 ? "before layer 0" : `after layer ${at - 1}`} (${
      percent(part.share)})`;
    drawScatter(streams, rowsOf(all, at).map(([x, y], i) => {
      const p = topics ? largest(topics[i]) : 0, topic = p > 0.5 ? topics[i].indexOf(p) : null;
      const isChosen = i % tokens.length === token;
      return { x, y, label: part.tokens[i] + (i < tokens.length ? "" : " \u2461"), isChosen,
        shape: topic ?? 0, ink: topic === null ? "soft" : `run${topic}`, weight: isChosen ? 2 : 1 };
    }), extentOf(all), width);
  }

  const slider = make("input", { type: "range", min: 0, max: all.shape[0] - 1, value: layer,
    "aria-label": "layer", input: () => drawStreams(Number(slider.value)),
    change: () => setState({ layer: Number(slider.value) }) });
  drawStreams(layer);
  drawScatter(words, rowsOf(vectors).map(([x, y], i) => {
    const isChosen = part.words[i] === tokens[token], isOwn = i < part.own;
    return { x, y, label: part.words[i], shape: 0, ink: isOwn ? "run0" : "soft", isChosen,
      weight: isChosen ? 2 : Number(isOwn) };
  }), extentOf(vectors), width);
  return [note ? paragraph(note, "note") : null,
    div("row", div("figure", head, streams, make("p", {}, make("label", {}, "layer ", slider))),
      div("figure", title(`Word vectors (${percent(part.word_share)})`), words)),
    part.pairs.length ? div("box", cosineTable(m, part, tokens.length)) : null];
}

function cosineTable(m, { pairs, tokens }, T) {
  const rows = rowsOf(array(m, "map.cosines"));
  const layers = Array.from(rows[0], (_, i) => (i ? `after ${i - 1}` : "before 0"));
  return makeTable("Cosine of one word\u2019s stream in two contexts",
    ["word", "tokens", ...layers], pairs.map(([i, j], k) => [tokens[i],
      `${i}, ${j < T ? j : `${j - T} \u2461`}`, ...Array.from(rows[k], (x) => fixed(x, 3))]));
}

// The same for all layers: nothing jumps.
const extentOf = ({ values }) => [0, 1].map((axis) => {
  const along = values.filter((_, i) => i % 2 === axis);
  return [-largest(along.map((x) => -x)), largest(along)];
});

views.map = { places: ["model", "token"], show: showMap };
