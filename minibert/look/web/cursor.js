// The pointer and the keyboard in a matrix (matrix.js).

// The cell [row, column] under a pointer, column null on a row's label; null outside.
function cellAt(canvas, matrix, event) {
  const box = canvas.getBoundingClientRect(), { left, top, size } = matrix.place;
  const r = Math.floor((event.clientY - box.top - top) / size);
  const c = Math.floor((event.clientX - box.left - left) / size);
  if (r < 0 || r >= matrix.rows.length || c >= matrix.columns.length) return null;
  return [r, c < 0 ? null : c];
}

// A canvas that says the cell under the pointer or the cursor (arrow keys) and reports a click or
// Enter by lock(row, isMore); isMore: Shift was held. `current()` is the matrix that it shows.
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
    if (cell) lock(cell[0], event.shiftKey);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && current().at) lock(current().at[0], event.shiftKey);
    else if (steps[event.key]) move(...steps[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return canvas;
}
