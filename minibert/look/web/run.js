// Training: what the curves say, one chart for each figure of the log, samples and film; the same
// step is marked in all of them.

views.push((() => {
  let part, figures, samples, films, last, step, isKept = false;
  const label = (run) => (part.runs.length > 1 ? `${run.name}: ` : "");

  function draw(live, itsPart) {
    part = itsPart;
    last = step = Math.max(...part.runs.map((run) => run.steps_done));
    samples = make("div", {});
    films = part.runs.filter((run) => run.film).map((run) => makeFilm(run, keep));
    const keysOf = (run) => run.charts.map((chart) => chart.key);  // the loss comes first
    const keys = [...part.runs.map((run) => keysOf(run)[0]), ...part.runs.flatMap(keysOf)];
    figures = [...new Set(keys)].map(makeFigure);
    const charts = make("div", { class: "charts" }, ...figures.map((figure) => figure.element));
    live.append(make("div", { class: "runs" }, ...part.runs.map(verdictOf)),
      make("p", { class: "intro" }, "The same step is marked everywhere below: move the mouse "
        + "over a chart (a click keeps the step), or use the arrow keys."),
      charts, samples, ...films.map((film) => film.element));
    addEventListener("resize", drawAll);
  }

  function verdictOf(run) {
    const marks = { good: "\u2713 ", warning: "! ", fact: "" };
    return make("div", { class: "figure" }, make("h3", {}, run.name),
      make("ul", { class: "verdict" }, ...run.verdict.map(([kind, text]) => (
        make("li", { class: kind }, marks[kind] + text)))));
  }

  // The chart of one figure of the log; the mouse previews a step, a click keeps it.
  function makeFigure(key) {
    const curves = part.runs.flatMap((run, i) => run.charts.filter((chart) => chart.key === key)
      .map((chart) => ({ run, i, chart, found: chart.array && array(i, chart.array),
        isAlone: part.runs.length === 1 })));
    const { title, unit } = curves[0].chart, readout = make("p", { class: "readout" });
    const canvas = make("canvas", { role: "img", "aria-label": `${title} by step` });
    const figure = { curves, canvas, readout, last, element: make("div", { class: "figure" },
      make("h3", {}, unit ? `${title}, ${unit}` : title), canvas, readout) };
    const at = ({ clientX }) => (clientX - canvas.getBoundingClientRect().left - figure.place.left)
      / (figure.place.end - figure.place.left) * last;
    const preview = (event) => {
      if (isKept) return;
      step = within(at(event));
      drawAll();
    };
    canvas.addEventListener("mousemove", preview);
    canvas.addEventListener("click", (event) => {
      if (!isKept) return keep(at(event));
      isKept = false;
      preview(event);
    });
    return figure;
  }

  const within = (wanted) => Math.round(Math.min(Math.max(wanted, 0), last));

  function keep(wanted) {
    isKept = true;
    setState({ view: "run", step: within(wanted) });
  }

  function move(bins) {
    keep(step + bins * Math.ceil(last / 200));
    say(figures[0].readout.textContent);
  }

  // What a curve holds at the chosen step.
  function read({ run, chart, found }) {
    const bin = run.last.findIndex((one) => one >= step);
    const dot = chart.dots.findLast((one) => one[0] <= step), parts = [];
    if (found && bin >= 0) {
      const [low, mean, high] = range(3).map((bound) => readable(slice(found, bound)[bin]));
      parts.push(low === high ? mean : `${mean} (${low} to ${high})`);
    }
    if (dot) parts.push(`held out ${readable(dot[1])} at step ${grouped(dot[0])}`);
    return label(run) + (parts.join(", ") || "\u2013");
  }

  function show(state) {
    step = within(state.step ?? step);
    drawAll();
  }

  function drawAll() {
    for (const figure of figures) {
      drawCurves(figure, step);
      figure.readout.textContent = `Step ${grouped(step)}: ${figure.curves.map(read).join("; ")}`;
    }
    samples.replaceChildren(...part.runs.flatMap((run) => {
      const found = run.samples.findLast((one) => one.step <= step);
      return found ? [make("h3", {}, `${label(run)}sample at step ${grouped(found.step)}`),
        ...found.lines.map((line) => make("p", {}, make("bdi", {}, line)))] : [];
    }));
    films.forEach((film) => film.show(step));
  }

  return { name: "run", draw, show, keys: {
    ArrowLeft: ["step before", () => move(-1)], ArrowRight: ["step after", () => move(1)],
    ",": ["ten times as far", () => move(-10)], ".": ["ten times as far", () => move(10)],
    Escape: ["follow the mouse again", () => { isKept = false; }] } };
})());
