// The pointer and the keyboard in a matrix (matrix.js).

// The cell [row, column] under a pointer, column null on a row's label; null outside.
function cellAt(canvas, matrix, event) {
  const box = canvas.getBoundingClientRect(), { left, top, size, wide } = matrix.place;
  const r = Math.floor((event.clientY - box.top - top) / size);
  const c = Math.floor((event.clientX - box.left - left) / wide);
  if (r < 0 || r >= matrix.rows.length || c >= matrix.columns.length) return null;
  return [r, c < 0 ? null : c];
}

// A canvas that says the cell under the pointer or the cursor (arrow keys) and reports a click or
// Enter by lock(row, isMore, column); isMore: Shift was held. `current()` is the matrix that it
// shows.
function matrixCanvas(name, current, describe, lock) {
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": name });
  const tell = (cell) => { if (cell) say(describe(...cell)); };
  const move = (dr, dc) => {
    const matrix = current(), [r, c] = matrix.at ?? [0, null];
    const within = (i, n) => Math.max(0, Math.min(n - 1, i));
    const { rows, columns } = matrix;
    matrix.at = [within(r + dr, rows.length), within((c ?? -dc) + dc, columns.length)];
    drawMatrix(canvas, matrix);
    tell(matrix.at);
  };
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("mousemove", (event) => tell(cellAt(canvas, current(), event)));
  canvas.addEventListener("click", (event) => {
    const cell = cellAt(canvas, current(), event);
    if (cell) lock(cell[0], event.shiftKey, cell[1]);
  });
  canvas.addEventListener("keydown", (event) => {
    const { at } = current();
    if (event.key === "Enter" && at) lock(at[0], event.shiftKey, at[1]);
    else if (steps[event.key]) move(...steps[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return canvas;
}

// A figure of one matrix under a title; a click chooses the token of its row. show(matrix) draws.
const describeCell = ({ rows, columns, w }, r, c) =>
  (c === null ? rows[r] : `${rows[r]}, ${columns[c]}: ${fixed(w[r][c], 3)}`);
const lockToken = (r) => setState({ token: r, more: [] });

function matrixFigure(name, describe = describeCell, lock = lockToken) {
  const figure = { matrix: null, title: make("h3", {}, name) };
  const canvas = matrixCanvas(name, () => figure.matrix,
    (r, c) => describe(figure.matrix, r, c), lock);
  figure.element = make("div", { class: "figure" }, figure.title,
    make("div", { class: "box" }, canvas));
  figure.show = (matrix) => {
    figure.matrix = { left: "token", up: "layer", ...matrix };
    drawMatrix(canvas, figure.matrix);
  };
  return figure;
}
