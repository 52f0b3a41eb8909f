// Film: the attention of one text and the map of word vectors, at the step that is chosen.

// {element, show(step)}; goTo(step) chooses another step for the whole page.
function makeFilm(run, goTo) {
  const { film, name } = run, frames = film.steps.length;
  const [layers, heads] = film.attention.shape.slice(1);
  const attention = { shape: film.attention.shape, values: numbersOf(film.attention) };
  const places = { shape: film.map.shape, values: numbersOf(film.map) };
  let now = 0, chosen = [0, 0], timer = null, named = null;

  const head = title(name), thumbs = make("div", {}), large = make("div", {});
  const slider = make("input", { type: "range", min: 0, max: frames - 1, value: 0,
    "aria-label": `${name}: frame of the film`, input: () => goTo(film.steps[slider.value]) });
  const play = button("play", () => (timer === null ? start() : stop()), false);
  play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const map = scatterCanvas(`${name}: words`, (i) => say(film.words[i]));
  const element = div("figure", head, make("p", {}, play, slider), div("charts",
    make("div", {}, paragraph("Attention on one held-out text. Rows are queries, columns keys; "
      + "choose a head.", "intro"), thumbs, large),
    make("div", {}, paragraph("The most frequent words: their vectors on the main axes of the last "
      + "frame. The mouse names the points.", "intro"), div("box", map))));

  function start() {
    if (now === frames - 1) goTo(film.steps[0]);
    timer = setInterval(() => (now < frames - 1 ? goTo(film.steps[now + 1]) : stop()), 350);
    play.setAttribute("aria-pressed", "true");
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.setAttribute("aria-pressed", "false");
  }

  const matrixOf = (layer, h) => ({ most: 1, rows: film.tokens, columns: film.tokens,
    masked: (q, k) => film.causal && k > q, w: rowsOf(attention, now, layer, h), room: 400 });

  const thumb = (layer, h) => ({ canvas: smallMatrix(matrixOf(layer, h)),
    "aria-label": `layer ${layer} head ${h}`, isChosen: layer === chosen[0] && h === chosen[1],
    choose: () => { chosen = [layer, h]; draw(); } });

  function draw() {
    const step = grouped(film.steps[now]), attended = `attention of layer ${chosen.join(" head ")}`;
    head.textContent = `${name}: film, step ${step}`;
    slider.value = now;
    slider.setAttribute("aria-valuetext", `step ${step}`);
    const restore = remember(element);
    thumbs.replaceChildren(thumbGrid(`${name}: one picture for each head`, heads, range(layers).map(
      (layer) => [`layer ${layer}`, range(heads).map((h) => thumb(layer, h))])));
    large.replaceChildren(matrixFigure(attended, matrixOf(...chosen), describeCell, () => {}));
    restore();
    named ??= drawWords(frames - 1);  // as in the last frame: no name comes or goes
    drawWords(now);
    map.setAttribute("aria-label", `${film.words.length} words at step ${step}`);
  }

  const drawWords = (when) => drawScatter(map, rowsOf(places, when).map(([x, y], i) => ({ x, y,
    label: film.words[i], ink: "soft", shape: 0, weight: 1 / (1 + i) })), [[-1, 1], [-1, 1]],
  between(300, element.clientWidth - 20, 520), named);

  function show(step) {
    now = Math.max(0, film.steps.findLastIndex((one) => one <= step));
    draw();
  }
  return { element, show };
}
