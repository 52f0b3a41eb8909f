// The one picture of a matrix that all views use.
//
// A matrix is {w: rows of numbers, most: the number that fills a cell, signed, masked(r, c),
// rows, columns: labels, at: [row, column or null], locked: set of rows, left, up: what the axes
// are, texts: rows of texts, one beside each square}. A cell is a square whose area is its number:
// colour is never the only sign. Signed numbers are filled (positive) or hollow (negative), masked
// cells hatched; veiled(r, c): hatched, with their square.

function drawCell(pen, x, y, size, value, matrix) {
  const share = Math.min(Math.abs(value) / matrix.most, 1);
  const side = Math.sqrt(share) * (size - 1), gap = (size - side) / 2;
  if (side < 0.7) return;
  const signed = matrix.signed ? colour(value < 0 ? "--minus" : "--plus") : null;
  const ink = theme.isPrinted ? "#000" : signed;
  if (matrix.signed && value < 0) {
    pen.strokeStyle = ink;
    pen.lineWidth = Math.min(2, side / 3);
    const inner = Math.max(side - pen.lineWidth, 0.5);
    pen.strokeRect(x + gap + pen.lineWidth / 2, y + gap + pen.lineWidth / 2, inner, inner);
  } else {
    pen.fillStyle = ink ?? shade(share);
    pen.fillRect(x + gap, y + gap, side, side);
  }
}

function drawHatching(pen, x, y, size) {
  pen.strokeStyle = colour("--rule");
  pen.lineWidth = 1;
  pen.beginPath();
  for (let d = 4; d < 2 * size; d += 5) {
    pen.moveTo(x + Math.max(0, d - size), y + Math.min(d, size));
    pen.lineTo(x + Math.min(d, size), y + Math.max(0, d - size));
  }
  pen.stroke();
}

// Two digits in a cell whose square is large enough for them.
function drawDigits(pen, x, y, size, value, matrix) {
  const share = Math.min(Math.abs(value) / matrix.most, 1);
  if (size < 24 || Math.sqrt(share) * size < 20) return;
  const isHollow = matrix.signed && value < 0;
  pen.font = `${size < 30 ? 9 : 10.5}px system-ui, "DejaVu Sans", sans-serif`;
  pen.textAlign = "center";
  const ink = matrix.signed || theme.isPrinted ? colour("--paper") : inkOn(share);
  pen.fillStyle = isHollow ? colour("--ink") : ink;
  const text = fixed(Math.abs(value), matrix.most > 9.9 ? 0 : matrix.most > 1 ? 1 : 2);
  pen.fillText(text.replace(/^0\./, "."), x + size / 2, y + size / 2 + 4);
}

// A matrix without labels, about 72 pixels wide.
function drawSmall(canvas, matrix, size = Math.max(2, Math.floor(72 / matrix.w.length))) {
  const height = matrix.w.length * size, width = matrix.w[0].length * size;
  const pen = prepare(canvas, width + 1, height + 1);
  pen.strokeStyle = colour("--rule");
  pen.strokeRect(0.5, 0.5, width, height);
  matrix.w.forEach((row, r) => row.forEach((value, c) => {
    drawCell(pen, c * size + 0.5, r * size + 0.5, size, value, matrix);
  }));
}

// A matrix with labels, for about matrix.room pixels. matrix.place is set for cellAt.
function drawMatrix(canvas, matrix) {
  const { w, rows, columns, room = 520 } = matrix;
  const { texts } = matrix, letters = 11;  // beside a square
  const fits = Math.floor(Math.min(36, room / columns.length, 720 / rows.length));
  const size = texts ? 20 : Math.max(11, fits);
  const wide = matrix.wide ?? (texts ? 100 : size);
  const font = `${size < 15 ? 10 : 13}px system-ui, "DejaVu Sans", sans-serif`;
  const ruler = canvas.getContext("2d");
  ruler.font = font;
  const longest = (labels) => Math.max(...labels.map((one) => ruler.measureText(short(one)).width));
  const slant = Math.ceil(longest(columns) * 0.71);
  const left = Math.max(Math.ceil(longest(rows)) + 12, 84), top = slant + 34;
  const pen = prepare(canvas, left + columns.length * wide + slant + 6, top + w.length * size + 2);
  matrix.place = { left, top, size, wide };
  pen.font = font;
  drawLabels(pen, matrix);
  w.forEach((row, r) => row.forEach((value, c) => {
    const x = left + c * wide, y = top + r * size;
    if (matrix.veiled?.(r, c)) drawHatching(pen, x, y, size);
    if (matrix.masked?.(r, c)) return drawHatching(pen, x, y, size);
    if (texts) drawText(pen, short(texts[r][c], letters), x + size + 3, y, matrix, r, c);
    drawCell(pen, x, y, size, value, matrix);
    drawDigits(pen, x, y, size, value, matrix);
  }));
  pen.lineWidth = 1;
  pen.strokeStyle = colour("--rule");
  pen.strokeRect(left - 0.5, top - 0.5, columns.length * wide + 1, w.length * size + 1);
  if (!matrix.at) return;
  const [r, c] = matrix.at;
  pen.strokeStyle = colour("--accent");
  pen.strokeRect(left - 0.5, top + r * size - 0.5, columns.length * wide + 1, size + 1);
  if (c !== null) pen.strokeRect(left + c * wide - 0.5, top + r * size - 0.5, wide + 1, size + 1);
}

function drawText(pen, text, x, y, matrix, r, c) {
  pen.textAlign = "left";
  pen.fillStyle = colour(matrix.marked?.(r, c) ? "--accent" : "--ink");
  pen.fillText(text, x, y + 14);
}

function drawLabels(pen, matrix) {
  const { left, top, size, wide } = matrix.place;
  const label = (text, isChosen, x, y, angle, align) => {
    pen.save();
    pen.translate(x, y);
    pen.rotate(angle);
    pen.textAlign = align;
    pen.fillStyle = colour(isChosen ? "--accent" : "--ink");
    pen.fillText(short(text), 0, 0);
    pen.restore();
  };
  const [row, column] = matrix.at ?? [];
  matrix.rows.forEach((text, r) => {
    const isChosen = r === row || matrix.locked?.has(r);
    label(text, isChosen, left - 6, top + (r + 0.5) * size + 4, 0, "right");
  });
  matrix.columns.forEach((text, c) => {
    label(text, c === column, left + c * wide + size / 2 + 3, top - 6, -Math.PI / 4, "left");
  });
  pen.fillStyle = colour("--soft");
  pen.textAlign = "left";
  pen.fillText(`${matrix.up ?? "columns answer"} \u2192`, left, 12);
  pen.textAlign = "right";
  pen.fillText(`${matrix.left ?? "rows ask"} \u2193`, left - 6, top - 8);
}
