// Training: what the curves say, one chart for each figure of the log, samples and film; the same
// step is marked in all of them.

views.run = (() => {
  let charts, samples, films, last, step, isKept = false;
  const runs = () => partOf("run").runs;
  const label = (run) => (runs().length > 1 ? `${run.name}: ` : "");

  function draw(live) {
    last = step = Math.max(...runs().map((run) => run.steps_done));
    samples = make("div", {});
    films = runs().filter((run) => run.film).map((run) => makeFilm(run, keep));
    const keysOf = (run) => run.charts.map((chart) => chart.key);  // the loss comes first
    const keys = new Set([...runs().map((run) => keysOf(run)[0]), ...runs().flatMap(keysOf)]);
    charts = [...keys].map(makeChart);
    live.append(div("runs", runs().map(verdictOf)),
      paragraph("The same step is marked everywhere below: move the mouse over a chart (a click "
        + "keeps the step), or use the arrow keys.", "intro"),
      div("charts", charts.map((chart) => chart.element)), samples,
      ...films.map((film) => film.element));
    addEventListener("resize", drawStep);
  }

  function verdictOf({ name, verdict }) {
    const marks = { good: "\u2713 ", warning: "! ", fact: "" };
    return div("figure", title(name), make("ul", { class: "verdict" },
      verdict.map(([kind, text]) => make("li", { class: kind }, marks[kind] + text))));
  }

  // The chart of one figure of the log; the mouse previews a step, a click keeps it.
  function makeChart(key) {
    const curves = runs().flatMap((run, i) => run.charts.filter((chart) => chart.key === key)
      .map((chart) => ({ run, i, chart, found: chart.array && rowsOf(array(i, chart.array)),
        isAlone: runs().length === 1 })));
    const { title: name, unit } = curves[0].chart, readout = paragraph("", "readout");
    const at = (event) => (placeIn(event)[0] - chart.place.left)
      / (chart.place.end - chart.place.left) * last;
    const preview = (event) => {
      if (isKept) return;
      step = within(at(event));
      drawStep();
    };
    const click = (event) => {
      if (!isKept) return keep(at(event));
      isKept = false;
      preview(event);
    };
    const canvas = make("canvas",
      { role: "img", "aria-label": `${name} by step`, mousemove: preview, click });
    const chart = { curves, canvas, readout, last, element: div("figure",
      title(unit ? `${name}, ${unit}` : name), canvas, readout) };
    return chart;
  }

  const within = (wanted) => Math.round(between(0, wanted, last));

  function keep(wanted) {
    isKept = true;
    setState({ view: "run", step: within(wanted) });
  }

  function move(bins) {
    keep(step + bins * Math.ceil(last / 200));
    say(charts[0].readout.textContent);
  }

  // What a curve holds at the chosen step.
  function read({ run, chart, found }) {
    const bin = run.last.findIndex((one) => one >= step);
    const dot = chart.dots.findLast((one) => one[0] <= step), parts = [];
    if (found && bin >= 0) {
      const [low, mean, high] = found.map((row) => readable(row[bin]));
      parts.push(low === high ? mean : `${mean} (${low} to ${high})`);
    }
    if (dot) parts.push(`held out ${readable(dot[1])} at step ${grouped(dot[0])}`);
    return label(run) + (parts.join(", ") || "\u2013");
  }

  function drawStep() {
    for (const chart of charts) {
      drawCurves(chart, step);
      chart.readout.textContent = `Step ${grouped(step)}: ${chart.curves.map(read).join("; ")}`;
    }
    samples.replaceChildren(...runs().flatMap((run) => {
      const found = run.samples.findLast((one) => one.step <= step);
      return found ? [title(`${label(run)}sample at step ${grouped(found.step)}`),
        ...found.lines.map((line) => make("p", {}, make("bdi", {}, line)))] : [];
    }));
    films.forEach((film) => film.show(step));
  }

  function show(now) {
    step = within(now.step ?? step);
    drawStep();
  }

  return { draw, show, keys: {
    ArrowLeft: ["step before", () => move(-1)], ArrowRight: ["step after", () => move(1)],
    ",": ["ten times as far", () => move(-10)], ".": ["ten times as far", () => move(10)],
    Escape: ["follow the mouse again", () => { isKept = false; }] } };
})();
