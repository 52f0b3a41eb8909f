// Training: what the curves say, one chart for each figure of the log, samples and film; the same
// step is marked in all of them. state.step is the step that is kept; without it the mouse leads.

let charts, samples, films;
let lastStep, marked;  // of all runs; the step that is marked

const ofRun = ({ name }) => (partOf("run").runs.length > 1 ? `${name}: ` : "");
const keepStep = (step) =>
  setState({ view: "run", step: Math.round(between(0, step, lastStep)) });

function drawRun(live, { runs }) {
  lastStep = marked = Math.max(...runs.map((run) => run.steps_done));
  samples = make("div", {});
  films = runs.filter((run) => run.film).map((run) => makeFilm(run, keepStep));
  const keysOf = (run) => run.charts.map((chart) => chart.key);  // the loss comes first
  charts = [...new Set([...runs.map((run) => keysOf(run)[0]), ...runs.flatMap(keysOf)])]
    .map((key) => makeChart(key, runs));
  live.append(div("runs", runs.map(verdictOf)),
    paragraph("The same step is marked everywhere below: move the mouse over a chart (a click "
      + "keeps the step), or use the arrow keys.", "intro"),
    div("charts", charts.map((chart) => chart.element)), samples,
    ...films.map((film) => film.element));
  addEventListener("resize", () => markStep(marked));
}

function verdictOf({ name, verdict }) {
  const marks = { good: "\u2713 ", warning: "! ", fact: "" };
  return div("figure", title(name), make("ul", { class: "verdict" },
    verdict.map(([kind, text]) => make("li", { class: kind }, marks[kind] + text))));
}

// The chart of one figure of the log; the mouse previews a step, a click keeps it or frees it.
function makeChart(key, runs) {
  const curves = runs.flatMap((run, i) => run.charts.filter((chart) => chart.key === key)
    .map((chart) => ({ run, i, chart, isAlone: runs.length === 1,
      found: hasArray(i, `run.${key}`) ? rowsOf(array(i, `run.${key}`)) : null })));
  const { title: name, unit } = curves[0].chart, readout = paragraph("", "readout");
  const at = (event) => (placeIn(event)[0] - chart.place.left)
    / (chart.place.end - chart.place.left) * lastStep;
  const mousemove = (event) => { if (state.step === undefined) markStep(at(event)); };
  const click = (event) => {
    if (state.step === undefined) return keepStep(at(event));
    setState({ step: undefined });
    mousemove(event);
  };
  const canvas = make("canvas",
    { role: "img", "aria-label": `${name} by step`, mousemove, click });
  const chart = { curves, canvas, readout, last: lastStep, element: div("figure",
    title(unit ? `${name}, ${unit}` : name), canvas, readout) };
  return chart;
}

// What a curve holds at the marked step.
function readCurve({ run, chart, found }) {
  const bin = run.last.findIndex((one) => one >= marked);
  const dot = chart.dots.findLast((one) => one[0] <= marked), parts = [];
  if (found && bin >= 0) {
    const [low, mean, high] = found.map((row) => readable(row[bin]));
    parts.push(low === high ? mean : `${mean} (${low} to ${high})`);
  }
  if (dot) parts.push(`held out ${readable(dot[1])} at step ${grouped(dot[0])}`);
  return ofRun(run) + (parts.join(", ") || "\u2013");
}

function markStep(step) {
  marked = Math.round(between(0, step, lastStep));
  for (const chart of charts) {
    drawCurves(chart, marked);
    chart.readout.textContent = `Step ${grouped(marked)}: ${
      chart.curves.map(readCurve).join("; ")}`;
  }
  samples.replaceChildren(...partOf("run").runs.flatMap((run) => {
    const found = run.samples.findLast((one) => one.step <= marked);
    return found ? [title(`${ofRun(run)}sample at step ${grouped(found.step)}`),
      ...found.lines.map((line) => make("p", {}, make("bdi", {}, line)))] : [];
  }));
  films.forEach((film) => film.show(marked));
}

function moveStep(bins) {
  keepStep(marked + bins * Math.ceil(lastStep / 200));
  say(charts[0].readout.textContent);
}

views.run = { draw: drawRun, show: ({ step }) => markStep(step ?? marked), keys: {
  ArrowLeft: ["step before", () => moveStep(-1)], ArrowRight: ["step after", () => moveStep(1)],
  ",": ["ten times as far", () => moveStep(-10)], ".": ["ten times as far", () => moveStep(10)],
  Escape: ["follow the mouse again", () => setState({ step: undefined })] } };
