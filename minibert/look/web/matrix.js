// The one picture of a matrix that all views use.
//
// A matrix is {w: rows of numbers, most: the number that fills a cell, signed, masked(r, c),
// rows, columns: labels, at: [row, column or null], locked: set of rows, left, up: what the axes
// are, texts: rows of texts, one beside each square}. A cell is a square whose area is its number:
// colour is never the only sign. Signed numbers are filled (positive) or hollow (negative), masked
// cells hatched; veiled(r, c): hatched, with their square; marked(r, c): with a coloured text.

const shareOf = (value, matrix) => Math.min(Math.abs(value) / matrix.most, 1);

function drawCell(pen, x, y, size, value, matrix) {
  const share = shareOf(value, matrix), side = Math.sqrt(share) * (size - 1);
  if (side < 0.7) return;
  const isHollow = matrix.signed && value < 0, gap = (size - side) / 2;
  const hue = matrix.signed ? colour(isHollow ? "minus" : "plus") : shade(share);
  pen.fillStyle = pen.strokeStyle = theme.isPrinted ? "#000" : hue;
  if (!isHollow) return pen.fillRect(x + gap, y + gap, side, side);
  const line = pen.lineWidth = Math.min(2, side / 3), inner = Math.max(side - line, 0.5);
  pen.strokeRect(x + gap + line / 2, y + gap + line / 2, inner, inner);
}

function drawHatching(pen, x, y, size) {
  for (let d = 4; d < 2 * size; d += 5) {
    drawLine(pen, colour("rule"), [[x + Math.max(0, d - size), y + Math.min(d, size)],
      [x + Math.min(d, size), y + Math.max(0, d - size)]]);
  }
}

// Two digits in a cell whose square is large enough for them.
function drawDigits(pen, x, y, size, value, matrix) {
  const share = shareOf(value, matrix);
  if (size < 24 || Math.sqrt(share) * size < 20) return;
  const onSquare = matrix.signed || theme.isPrinted ? colour("paper") : inkOn(share);
  const text = fixed(Math.abs(value), matrix.most > 9.9 ? 0 : matrix.most > 1 ? 1 : 2);
  pen.font = sans(size < 30 ? 9 : 10.5);
  write(pen, text.replace(/^0\./, "."), x + size / 2, y + size / 2 + 4,
    matrix.signed && value < 0 ? colour("ink") : onSquare, "center");
}

// A new canvas of a matrix without labels, about 72 pixels wide.
function smallMatrix(matrix) {
  const canvas = make("canvas", {});
  const size = Math.max(2, Math.floor(72 / matrix.w.length));
  const height = matrix.w.length * size, width = matrix.w[0].length * size;
  const pen = prepare(canvas, width + 1, height + 1);
  frame(pen, colour("rule"), 1, 1, width - 1, height - 1);
  matrix.w.forEach((row, r) => row.forEach((value, c) => {
    drawCell(pen, c * size + 0.5, r * size + 0.5, size, value, matrix);
  }));
  return canvas;
}

// A matrix with labels, for about matrix.room pixels. matrix.place is set for cellAt.
function drawMatrix(canvas, matrix) {
  const { w, rows, columns, texts, room = 520 } = matrix, ruler = canvas.getContext("2d");
  const fits = Math.floor(Math.min(36, room / columns.length, 720 / rows.length));
  const size = texts ? 20 : Math.max(11, fits), wide = matrix.wide ?? (texts ? 100 : size);
  const font = ruler.font = sans(size < 15 ? 10 : 13);
  const longest = (labels) => largest(labels.map((one) => ruler.measureText(short(one)).width));
  const slant = Math.ceil(longest(columns) * 0.71), top = slant + 34;
  const left = Math.max(Math.ceil(longest(rows)) + 12, 84);
  const width = columns.length * wide, height = rows.length * size;
  const pen = prepare(canvas, left + width + slant + 6, top + height + 2);
  matrix.place = { left, top, size, wide };
  pen.font = font;
  drawLabels(pen, matrix);
  w.forEach((row, r) => row.forEach((value, c) => {
    const x = left + c * wide, y = top + r * size;
    if (matrix.veiled?.(r, c) || matrix.masked?.(r, c)) drawHatching(pen, x, y, size);
    if (matrix.masked?.(r, c)) return;
    const ink = colour(matrix.marked?.(r, c) ? "accent" : "ink");
    if (texts) write(pen, short(texts[r][c], 11), x + size + 3, y + 14, ink);
    drawCell(pen, x, y, size, value, matrix);
    drawDigits(pen, x, y, size, value, matrix);
  }));
  frame(pen, colour("rule"), left, top, width, height);
  if (!matrix.at) return;
  const [r, c] = matrix.at;
  frame(pen, colour("accent"), left, top + r * size, width, size);
  if (c !== null) frame(pen, colour("accent"), left + c * wide, top + r * size, wide, size);
}

function drawLabels(pen, matrix) {
  const { left, top, size, wide } = matrix.place, [row, column] = matrix.at ?? [];
  const ink = (isChosen) => colour(isChosen ? "accent" : "ink");
  matrix.rows.forEach((text, r) => write(pen, short(text), left - 6, top + (r + 0.5) * size + 4,
    ink(r === row || matrix.locked?.has(r)), "right"));
  matrix.columns.forEach((text, c) => {
    pen.save();
    pen.translate(left + c * wide + size / 2 + 3, top - 6);
    pen.rotate(-Math.PI / 4);
    write(pen, short(text), 0, 0, ink(c === column));
    pen.restore();
  });
  write(pen, `${matrix.up ?? "keys"} \u2192`, left, 12, colour("soft"));
  write(pen, `${matrix.left ?? "queries"} \u2193`, left - 6, top - 8, colour("soft"), "right");
}
