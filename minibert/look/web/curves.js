// The one picture of curves: a figure of the log by step, all runs in it.
//
// A figure is {canvas, curves: [{run, i, chart, found}], last: the last step of all runs}: `chart`
// is that of look/history.py, `found` the rows low, mean and high of its bins (or null).

const DASHES = [[], [7, 3], [2, 2], [9, 3, 2, 3]];  // runs differ by more than colour
const [CURVE_HEIGHT, CURVE_TOP, CURVE_BOTTOM] = [250, 10, 224];

// The name and number of each dashed line and, of several runs, the name of each: {text: [value,
// ink]}.
function labelsOf(curves) {
  const labels = new Map();
  for (const { run, i, chart, found, isAlone } of curves) {
    for (const { label, value } of chart.lines) {
      labels.set(`${label} ${value.toPrecision(4)}`, [value, colour("soft")]);
    }
    if (found && !isAlone) labels.set(run.name, [found[1].at(-1), colour(`run${i}`)]);
  }
  return labels;
}

// Where the numbers of a figure lie: x(step), y(value), and the values that the axis shows.
function scaleOf({ curves, canvas, last }, labels) {
  const room = canvas.parentNode.clientWidth, left = 46, isNarrow = room < 520;
  const pen = canvas.getContext("2d");
  pen.font = sans(12);
  const widths = Array.from(labels.keys(), (text) => pen.measureText(text).width + 12);
  const end = room - (isNarrow ? 8 : Math.max(8, ...widths));
  const isLog = curves.some(({ chart }) => chart.scale === "log"), of = isLog ? Math.log10 : Number;
  const values = curves.flatMap(({ chart, found }) => [
    ...(found ?? []).flatMap((row) => [...row]), ...chart.dots.map((dot) => dot[1]),
    ...chart.lines.map((line) => line.value)]).map(of);
  const least = -largest(values.map((x) => -x)), most = largest(values);
  const margin = 0.04 * (most - least) || 0.5, low = least - margin, high = most + margin;
  const y = (value) => CURVE_BOTTOM - (of(value) - low) / (high - low) * (CURVE_BOTTOM - CURVE_TOP);
  return { left, end, room, isNarrow, x: (step) => left + (end - left) * step / last, y,
    marks: isLog ? powersBetween(low, high) : roundBetween(low, high) };
}

// Three to six round numbers.
function roundBetween(low, high) {
  const power = 10 ** Math.floor(Math.log10((high - low) / 3));
  const each = [5, 2, 1].map((times) => times * power).find((one) => (high - low) / one >= 3);
  return range(12).map((i) => +((Math.ceil(low / each) + i) * each).toPrecision(6))
    .filter((mark) => mark <= high);
}

// Powers of ten between 10^low and 10^high, of few also twice and five times them.
function powersBetween(low, high) {
  const times = high - low < 2.5 ? [1, 2, 5] : [1], every = Math.ceil((high - low) / 6);
  const powers = range(Math.ceil(high) - Math.floor(low) + 1).map((i) => Math.floor(low) + i);
  return powers.filter((power) => power % every === 0)
    .flatMap((power) => times.map((factor) => +(factor * 10 ** power).toPrecision(6)))
    .filter((mark) => mark >= 10 ** low && mark <= 10 ** high);
}

// A figure with `step` marked; figure.place tells where a step lies.
function drawCurves(figure, step) {
  const labels = labelsOf(figure.curves), place = figure.place = scaleOf(figure, labels);
  const { left, end, x, y } = place, bottom = CURVE_BOTTOM, top = CURVE_TOP;
  const pen = prepare(figure.canvas, place.room, CURVE_HEIGHT), soft = colour("soft");
  pen.font = sans(12);
  for (const mark of place.marks) {
    write(pen, readable(mark), left - 6, y(mark) + 4, soft, "right");
    drawLine(pen, colour("rule"), [[left, y(mark)], [end, y(mark)]]);
  }
  write(pen, `step ${grouped(figure.last)}`, end, bottom + 18, soft, "right");
  write(pen, "0", left, bottom + 18, soft);
  for (const curve of figure.curves) drawCurve(pen, curve, place);
  drawLine(pen, colour("ink"), [[left, top], [left, bottom], [end, bottom]]);
  drawLine(pen, colour("accent"), [[x(step), top], [x(step), bottom]]);
  drawLabelsApart(pen, place, Array.from(labels, ([text, [value, ink]]) => (
    { text, at: y(value), ink })));
}

function drawCurve(pen, { run, i, chart, found }, { left, end, x, y }) {
  const ink = colour(`run${i}`);
  for (const { value } of chart.lines) {
    drawLine(pen, colour("soft"), [[left, y(value)], [end, y(value)]], 1, [4, 4]);
  }
  if (found) {
    const at = (value, bin) => [x((run.first[bin] + run.last[bin]) / 2), y(value)];
    const [low, mean, high] = found.map((row) => Array.from(row, at));
    pen.fillStyle = ink;
    pen.globalAlpha = 0.22;
    pen.beginPath();
    [...low, ...high.reverse()].forEach((point) => pen.lineTo(...point));
    pen.fill();
    pen.globalAlpha = 1;
    drawLine(pen, ink, mean, 1.6, DASHES[i]);
  }
  for (const [step, value] of chart.dots) drawMark(pen, ink, x(step), y(value), 4, i);
}

// Names at the ends of lines, at least 15 pixels from each other; in a narrow chart within it.
function drawLabelsApart(pen, { end, isNarrow }, labels) {
  labels.sort((a, b) => a.at - b.at);
  labels.forEach((one, i) => { if (i) one.at = Math.max(one.at, labels[i - 1].at + 15); });
  labels.reverse().forEach((one, i) => {
    one.at = Math.min(one.at, i ? labels[i - 1].at - 15 : CURVE_BOTTOM);
  });
  for (const { text, at, ink } of labels) {
    if (isNarrow) write(pen, text, end - 2, at - 3, ink, "right", true);
    else write(pen, text, end + 8, at + 4, ink, "left", true);
  }
}
