// Figures of matrices (matrix.js): a large one with pointer and keyboard, and a grid of small ones.

// The cell [row, column] under a pointer, column null on a row's label; null outside.
function cellAt(event, { place: { left, top, size, wide }, rows, columns }) {
  const [x, y] = placeIn(event);
  const r = Math.floor((y - top) / size), c = Math.floor((x - left) / wide);
  if (r < 0 || r >= rows.length || c >= columns.length) return null;
  return [r, c < 0 ? null : c];
}

const describeCell = ({ rows, columns, w }, r, c) =>
  `${rows[r]}, ${columns[c]}: ${fixed(w[r][c], 3)}`;
const lockToken = (r) => setState({ token: r, more: [] });
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// A matrix under its name. describe(matrix, row, column) is said of the cell under the pointer or
// the cursor (arrow keys); a click or Enter calls lock(row, isMore, column), isMore: with Shift.
function matrixFigure(name, matrix, describe = describeCell, lock = lockToken) {
  const tell = ([r, c]) => say(c === null ? matrix.rows[r] : describe(matrix, r, c));
  const onCell = (act) => (event) => {
    const cell = cellAt(event, matrix);
    if (cell) act(cell, event);
  };
  const keydown = (event) => {
    const { rows, columns, at } = matrix;
    if (event.key === "Enter" && at) lock(at[0], event.shiftKey, at[1]);
    else if (ARROWS[event.key]) {
      const [r, c] = at ?? [0, null], [dr, dc] = ARROWS[event.key];
      matrix.at = [between(0, r + dr, rows.length - 1),
        between(0, (c ?? -dc) + dc, columns.length - 1)];
      drawMatrix(canvas, matrix);
      tell(matrix.at);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": name, keydown,
    mousemove: onCell(tell), click: onCell(([r, c], event) => lock(r, event.shiftKey, c)) });
  drawMatrix(canvas, matrix);
  return div("figure", title(name), div("box", canvas));
}

// Small pictures in rows [label, pictures]; a picture is {canvas, caption, isChosen, choose, ...
// attributes of its button}.
function thumbGrid(name, columns, rows) {
  const thumb = ({ canvas, caption = null, isChosen, choose, ...attributes }) =>
    button([canvas, caption], choose, isChosen, attributes);
  const grid = make("div", { class: "thumbs", role: "group", "aria-label": name },
    rows.map(([label, pictures]) => [make("span", {}, label), ...pictures.map(thumb)]).flat());
  grid.style.gridTemplateColumns = `max-content repeat(${columns}, max-content)`;
  return div("box", grid);
}
