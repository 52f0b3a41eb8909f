// Words as points in a plane: for the views Map and Training.
//
// A point is {x, y, label, ink, shape, isChosen, weight: whose label goes first}.

// Draws points within extent ([[least x, most x], [least y, most y]]) and keeps their places as
// canvas.points. Returns the points that have a label: `named`, or as many as there is room for.
function drawScatter(canvas, points, extent, width, named = null) {
  const height = Math.round(width * 0.72), pen = prepare(canvas, width, height);
  const along = (x, [low, high], size) => 26 + (x - low) / (high - low || 1) * (size - 52);
  canvas.points = points.map(({ x, y }) =>
    [along(x, extent[0], width), height - along(y, extent[1], height)]);
  frame(pen, colour("rule"), 1, 1, width - 2, height - 2);
  points.forEach(({ ink, shape, isChosen }, i) =>
    drawMark(pen, colour(ink), ...canvas.points[i], isChosen ? 6 : 4, shape));
  const fonts = points.map(({ isChosen }) => sans(12, isChosen ? "bold" : ""));
  const labels = points.map(({ label }, i) => {
    pen.font = fonts[i];
    const [x, y] = canvas.points[i], text = short(label), long = pen.measureText(text).width;
    const left = x + 7 + long > width ? x - 7 - long : x + 7;
    return { text, left, right: left + long, y };
  });
  const shown = named ?? labelsApart(points, labels);
  for (const i of shown) {
    const { text, left, y } = labels[i], { isChosen, weight } = points[i];
    pen.font = fonts[i];
    write(pen, text, left, y + 4, colour(isChosen ? "accent" : weight ? "ink" : "soft"));
  }
  return shown;
}

// The labels that do not cover one that goes before them.
function labelsApart(points, labels) {
  const shown = [], covers = (a, b) =>
    a.left < b.right && b.left < a.right && Math.abs(a.y - b.y) < 14;
  for (const i of range(points.length).sort((a, b) => points[b].weight - points[a].weight)) {
    if (!shown.some((other) => covers(labels[i], labels[other]))) shown.push(i);
  }
  return shown;
}

// A canvas of points; choose(i) is called with the point nearest to a click, tell(i) with the one
// under the pointer.
function scatterCanvas(name, tell, choose = () => {}) {
  const on = (act) => (event) => {
    const [x, y] = placeIn(event);
    const far = event.target.points.map((point) => Math.hypot(point[0] - x, point[1] - y));
    const least = Math.min(...far);
    if (least < 20) act(far.indexOf(least));
  };
  return make("canvas",
    { role: "img", "aria-label": name, mousemove: on(tell), click: on(choose) });
}
