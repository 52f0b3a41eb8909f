// Map: word vectors, and the streams of all tokens layer by layer, in two dimensions.

// Points [{x, y, label, shape, tone, weight, isChosen}] within `extent`; a label that would cover
// an earlier one is left out. Sets canvas.points for nearestPoint.
function drawScatter(canvas, points, extent, width) {
  const height = Math.round(width * 0.72), pad = 26, pen = prepare(canvas, width, height);
  const scale = (value, [low, high], size) => pad + (value - low) / (high - low || 1) * size;
  const boxes = [];
  canvas.points = points.map((point) => [scale(point.x, extent[0], width - 2 * pad),
    height - scale(point.y, extent[1], height - 2 * pad)]);
  pen.strokeStyle = colour("--rule");
  pen.strokeRect(0.5, 0.5, width - 1, height - 1);
  points.forEach((point, i) => drawPoint(pen, ...canvas.points[i], point));
  const order = range(points.length).sort((a, b) => points[b].weight - points[a].weight);
  pen.textAlign = "left";
  for (const i of order) {
    const { label, isChosen, weight } = points[i], [x, y] = canvas.points[i];
    pen.font = `${isChosen ? "bold " : ""}12px system-ui, "DejaVu Sans", sans-serif`;
    const text = short(label), long = pen.measureText(text).width;
    const left = x + 7 + long > width ? x - 7 - long : x + 7;
    const box = [left, y - 7, left + long, y + 7];
    const covers = (b) => box[0] < b[2] && b[0] < box[2] && box[1] < b[3] && b[1] < box[3];
    if (boxes.some(covers)) continue;
    boxes.push(box);
    pen.fillStyle = colour(isChosen ? "--accent" : weight ? "--ink" : "--soft");
    pen.fillText(text, left, y + 4);
  }
}

// Circle, square, triangle, diamond: one for each topic, so that colour is never the only sign.
function drawPoint(pen, x, y, { shape, tone, isChosen }) {
  const r = isChosen ? 6 : 4, corners = [0, 4, 3, 4][shape], turn = [0, 45, -90, 0][shape];
  pen.beginPath();
  if (!corners) pen.arc(x, y, r, 0, 2 * Math.PI);
  for (const k of range(corners)) {
    const angle = (turn + 360 * k / corners) * Math.PI / 180;
    pen[k ? "lineTo" : "moveTo"](x + 1.25 * r * Math.cos(angle), y + 1.25 * r * Math.sin(angle));
  }
  pen.closePath();
  pen.fillStyle = colour(tone);
  pen.fill();
}

views.push((() => {
  const TONES = ["--run0", "--run1", "--run2", "--run3"];
  let part, chooser, note, words, streams, slider, cosines;

  function draw(live, itsPart) {
    part = itsPart;
    chooser = placeChooser(["model", "token"]);
    note = make("p", { class: "note" });
    const figure = (name) => {
      const title = make("h3", {}, name);
      const canvas = make("canvas", { role: "img", "aria-label": name });
      return { canvas, title, element: make("div", { class: "figure" }, title, canvas) };
    };
    words = figure("Word vectors");
    streams = figure("Streams of the tokens");
    slider = make("input", { type: "range", min: "0", "aria-label": "layer",
      input: () => setState({ layer: Number(slider.value) }) });
    streams.element.append(make("p", {}, make("label", {}, "layer ", slider)));
    streams.canvas.addEventListener("click", choose);
    cosines = make("div", { class: "box" });
    live.append(chooser.element, note,
      make("div", { class: "row" }, streams.element, words.element), cosines);
  }

  function choose(event) {
    const box = streams.canvas.getBoundingClientRect();
    const away = streams.canvas.points.map(([x, y]) =>
      Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top));
    const nearest = away.indexOf(Math.min(...away)), { tokens } = data.models[state.model];
    setState({ token: nearest % tokens.length, more: [] });
  }

  function show(now) {
    chooser.update(now);
    const mine = part.models[now.model], m = now.model, T = data.models[m].tokens.length;
    const width = Math.min(560, document.documentElement.clientWidth - 44);
    const percent = (share) => `${fixed(100 * share, 0)} % of the variance`;
    const topic = hasArray(m, "map.topics") ? array(m, "map.topics") : null;
    note.textContent = mine.note || (topic ? `Shapes are the oracle\u2019s likeliest topic: ${
      part.topics.map((name, k) => `${"\u25cf\u25a0\u25b2\u25c6"[k]} ${name}`).join(", ")}.` : "");
    note.hidden = !note.textContent;
    const vectors = array(m, "map.words"), all = array(m, "map.streams");
    const plain = { shape: 0, tone: "--soft", isChosen: false };
    const chosenWord = data.models[m].tokens[now.token];
    words.title.textContent = `Word vectors (${percent(mine.word_share)})`;
    drawScatter(words.canvas, mine.words.map((label, i) => ({ ...plain, label, weight: 0,
      ...(i < mine.own ? { weight: 1, tone: "--run0" } : {}),
      ...(label === chosenWord ? { isChosen: true, weight: 2 } : {}),
      x: slice(vectors, i)[0], y: slice(vectors, i)[1] })), extentOf(vectors), width);
    slider.max = String(all.shape[0] - 1);
    slider.value = String(now.layer);
    const place = now.layer === 0 ? "before layer 0" : `after layer ${now.layer - 1}`;
    streams.title.textContent = `Streams ${place} (${percent(mine.share)})`;
    drawScatter(streams.canvas, mine.tokens.map((token, i) => {
      const p = topic ? slice(topic, i) : [], best = p.length ? p.indexOf(Math.max(...p)) : 0;
      const isChosen = i % T === now.token, isSure = p[best] > 0.5;
      return { shape: isSure ? best : 0, tone: isSure ? TONES[best] : "--soft", isChosen,
        label: i < T ? token : `${token} \u2461`, weight: isChosen ? 2 : 1,
        x: slice(all, now.layer, i)[0], y: slice(all, now.layer, i)[1] };
    }), extentOf(all), width);
    const layers = range(all.shape[0]);
    cosines.hidden = !mine.pairs.length;
    if (cosines.hidden) return;
    cosines.replaceChildren(makeTable("Cosine of one word\u2019s stream in two contexts",
      ["word", "tokens", ...layers.map((i) => (i ? `after ${i - 1}` : "before 0"))],
      mine.pairs.map(([i, j], k) => [mine.tokens[i], `${i}, ${j < T ? j : `${j - T} \u2461`}`,
        ...layers.map((layer) => fixed(slice(array(m, "map.cosines"), k)[layer], 3))])));
  }

  // The same for all layers: nothing jumps.
  function extentOf({ values }) {
    return [0, 1].map((axis) => {
      const along = Array.from(values).filter((_, i) => i % 2 === axis);
      return [Math.min(...along), Math.max(...along)];
    });
  }

  return { name: "map", draw, show };
})());
