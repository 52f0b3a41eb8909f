// Film: the attention of one text and the map of word vectors, at the step that is chosen.

// {element, show(step)}; goTo(step) chooses another step for the whole page.
function makeFilm(run, goTo) {
  const film = run.film, frames = film.steps.length;
  const [layers, heads, T] = film.attention.shape.slice(1);
  const attention = { shape: film.attention.shape, values: numbersOf(film.attention) };
  const places = { shape: film.map.shape, values: numbersOf(film.map) };
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let frame = 0, chosen = [0, 0], timer = null;

  const title = make("h3", {});
  const slider = make("input", { type: "range", min: 0, max: frames - 1, value: 0,
    "aria-label": `${run.name}: frame of the film`, input: () => goTo(film.steps[slider.value]) });
  const play = toggle("play", () => (timer === null ? start() : stop()));
  const large = make("canvas", { role: "img" }), map = make("canvas", { role: "img" });
  const thumbs = make("div", { class: "thumbs" });
  thumbs.style.gridTemplateColumns = `max-content repeat(${heads}, max-content)`;
  for (const layer of range(layers)) {
    thumbs.append(make("span", {}, `layer ${layer}`));
    for (const head of range(heads)) {
      thumbs.append(make("button", { type: "button", "aria-label": `layer ${layer} head ${head}`,
        click: () => { chosen = [layer, head]; draw(); } }, make("canvas", {})));
    }
  }
  const element = make("div", { class: "figure" }, title,
    make("p", {}, still ? null : play, slider),
    make("div", { class: "charts" },
      make("div", {}, make("p", { class: "intro" }, "Attention on one held-out text. A row asks, a "
        + "column answers; choose a head."), make("div", { class: "box" }, thumbs),
      make("div", { class: "box" }, large)),
      make("div", {}, make("p", { class: "intro" }, "The most frequent words: their vectors on the "
        + "main axes of the last frame. The mouse names the points."),
      make("div", { class: "box" }, map))));

  function start() {
    if (frame === frames - 1) goTo(film.steps[0]);
    timer = setInterval(() => (frame < frames - 1 ? goTo(film.steps[frame + 1]) : stop()), 350);
    play.setAttribute("aria-pressed", "true");
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-pressed", "false");
  }

  const matrixOf = (layer, head) => ({ most: 1, rows: film.tokens, columns: film.tokens,
    masked: (q, k) => film.causal && k > q,
    w: range(T).map((q) => slice(attention, frame, layer, head, q)) });

  function draw() {
    title.textContent = `${run.name}: film, step ${film.steps[frame].toLocaleString("en")}`;
    slider.value = frame;
    slider.setAttribute("aria-valuetext", `step ${film.steps[frame]}`);
    for (const [i, button] of [...thumbs.querySelectorAll("button")].entries()) {
      const [layer, head] = [Math.floor(i / heads), i % heads];
      drawSmall(button.firstChild, matrixOf(layer, head), Math.max(2, Math.floor(72 / T)));
      button.setAttribute("aria-pressed", layer === chosen[0] && head === chosen[1]);
    }
    drawMatrix(large, { ...matrixOf(...chosen), room: 400 });
    large.setAttribute("aria-label", `attention of layer ${chosen[0]} head ${chosen[1]}`);
    drawMap();
  }

  const mapSize = () => Math.min(520, Math.max(300, element.clientWidth - 20));
  function placeOf(word, when) {
    const half = mapSize() / 2, [x, y] = slice(places, when, word);
    return [half + x * (half - 34), half - y * (half - 14)];
  }

  // The words with a name: the more frequent of those that would overlap in the last frame.
  function namedWords(pen) {
    const boxes = [];
    return range(film.words.length).filter((word) => {
      const [x, y] = placeOf(word, frames - 1);
      const { width } = pen.measureText(short(film.words[word]));
      const box = { left: x - width / 2, right: x + width / 2, y };
      const isFree = boxes.every((other) => Math.abs(other.y - y) > 11 || other.left > box.right
        || box.left > other.right);
      if (isFree) boxes.push(box);
      return isFree;
    });
  }

  function drawMap() {
    const size = mapSize(), pen = prepare(map, size, size);
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
    pen.textAlign = "center";
    pen.strokeStyle = colour("--rule");
    pen.strokeRect(0.5, 0.5, size - 1, size - 1);
    const named = new Set(namedWords(pen));
    pen.fillStyle = colour("--soft");
    for (const word of range(film.words.length)) {
      const [x, y] = placeOf(word, frame);
      if (!named.has(word)) pen.fillRect(x - 1.5, y - 1.5, 3, 3);
    }
    pen.fillStyle = colour("--ink");
    pen.strokeStyle = colour("--paper");
    pen.lineWidth = 3;
    for (const word of named) {
      const [x, y] = placeOf(word, frame), text = short(film.words[word]);
      pen.strokeText(text, x, y + 4);
      pen.fillText(text, x, y + 4);
    }
    map.setAttribute("aria-label", `${film.words.length} words at step ${film.steps[frame]}`);
  }

  map.addEventListener("mousemove", ({ clientX, clientY }) => {
    const box = map.getBoundingClientRect();
    const far = (word) => Math.hypot(...placeOf(word, frame).map((at, axis) => (
      at - (axis ? clientY - box.top : clientX - box.left))));
    const nearest = range(film.words.length).reduce((a, b) => (far(b) < far(a) ? b : a));
    if (far(nearest) < 20) say(film.words[nearest]);
  });

  function show(step) {
    frame = Math.max(0, film.steps.findLastIndex((one) => one <= step));
    draw();
  }
  return { element, show };
}
