// Map: word vectors, and the streams of all tokens layer by layer, in two dimensions.

let mapParts;  // elements that stay, so that the slider can be dragged

function drawMap(live) {
  const named = (name, list, choose) => {
    const tell = (i) => say(partOf("map").models[state.model][list][i]);
    const head = title(name), canvas = scatterCanvas(name, tell, choose);
    return { head, canvas, figure: div("figure", head, canvas) };
  };
  const streams = named("Streams of the tokens", "tokens",
    (i) => setState({ token: i % data.models[state.model].tokens.length, more: [] }));
  const words = named("Word vectors", "words"), cosines = div("box");
  const note = paragraph("", "note"), slider = make("input", { type: "range", min: 0,
    "aria-label": "layer", input: () => setState({ layer: Number(slider.value) }) });
  streams.figure.append(make("p", {}, make("label", {}, "layer ", slider)));
  live.append(note, div("row", streams.figure, words.figure), cosines);
  mapParts = { streams, words, note, slider, cosines };
}

function showMap({ model: m, layer, token }) {
  const { streams, words, note, slider, cosines } = mapParts, part = partOf("map").models[m];
  const { tokens } = data.models[m];
  const width = Math.min(560, document.documentElement.clientWidth - 44);
  const topics = hasArray(m, "map.topics") ? rowsOf(array(m, "map.topics")) : null;
  const percent = (share) => `${fixed(100 * share, 0)} % of the variance`;
  note.textContent = part.note || (topics ? `Shapes are the oracle\u2019s likeliest topic: ${
    partOf("map").topics.map((name, k) => `${MARKS[k]} ${name}`).join(", ")}.` : "");
  note.hidden = !note.textContent;

  const vectors = array(m, "map.words"), all = array(m, "map.streams");
  words.head.textContent = `Word vectors (${percent(part.word_share)})`;
  drawScatter(words.canvas, rowsOf(vectors).map(([x, y], i) => {
    const isChosen = part.words[i] === tokens[token], isOwn = i < part.own;
    return { x, y, label: part.words[i], shape: 0, ink: isOwn ? "run0" : "soft", isChosen,
      weight: isChosen ? 2 : Number(isOwn) };
  }), extentOf(vectors), width);

  slider.max = all.shape[0] - 1;
  slider.value = layer;
  streams.head.textContent = `Streams ${layer === 0 ? "before layer 0" : `after layer ${layer - 1}`
  } (${percent(part.share)})`;
  drawScatter(streams.canvas, rowsOf(all, layer).map(([x, y], i) => {
    const shape = topics && largest(topics[i]) > 0.5 ? topics[i].indexOf(largest(topics[i])) : -1;
    const isChosen = i % tokens.length === token;
    return { x, y, label: part.tokens[i] + (i < tokens.length ? "" : " \u2461"), isChosen,
      weight: isChosen ? 2 : 1, shape: Math.max(shape, 0),
      ink: shape < 0 ? "soft" : `run${shape}` };
  }), extentOf(all), width);
  refill(cosines, ...(part.pairs.length ? [cosineTable(m, part, tokens.length)] : []));
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

views.map = { places: ["model", "token"], draw: drawMap, show: showMap };
