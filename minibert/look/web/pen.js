// Drawing on a canvas: the colours of the theme, text, lines, marks.

// Viridis from the paper's side (0) to the far one (1): on white from light to dark, on black from
// dark to light. Its luminance changes from stop to stop, so it is read without colour, too.
const VIRIDIS = ["#fde725", "#addc30", "#5ec962", "#28ae80", "#21918c", "#2c728e", "#3b528b",
  "#472d7b", "#440154"];
const theme = { isPrinted: false, isDark: false, style: null, colours: {} };

// Read what look.css and the reader's settings say, for the pictures drawn from now on.
function readTheme() {
  theme.isPrinted = matchMedia("print").matches;
  theme.isDark = matchMedia("(prefers-color-scheme: dark)").matches && !theme.isPrinted;
  theme.style = getComputedStyle(document.documentElement);
  theme.colours = {};
}

const colour = (name) => theme.colours[name] ??= theme.style.getPropertyValue(`--${name}`);

function shade(share) {
  const last = VIRIDIS.length - 1, stop = Math.round(between(0, share, 1) * last);
  return VIRIDIS[theme.isDark ? last - stop : stop];
}

// Black or white, whichever is read better on a shade.
const inkOn = (share) => ((theme.isDark ? share > 0.44 : share < 0.44) ? "#000" : "#fff");

// A canvas of so many CSS pixels, sharp on every screen; returns its drawing context.
function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1, pen = canvas.getContext("2d");
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  pen.scale(ratio, ratio);
  return pen;
}

// Where a pointer is on the canvas that its event is of.
function placeIn({ target, clientX, clientY }) {
  const { left, top } = target.getBoundingClientRect();
  return [clientX - left, clientY - top];
}

const sans = (size, weight = "") => `${weight} ${size}px system-ui, "DejaVu Sans", sans-serif`;

// Text at a place; isOver: on an edge of paper, so that lines beneath do not hide it.
function write(pen, text, x, y, ink, align = "left", isOver = false) {
  pen.textAlign = align;
  if (isOver) {
    pen.strokeStyle = colour("paper");
    pen.lineWidth = 4;
    pen.strokeText(text, x, y);
  }
  pen.fillStyle = ink;
  pen.fillText(text, x, y);
}

function frame(pen, ink, x, y, width, height) {
  pen.strokeStyle = ink;
  pen.lineWidth = 1;
  pen.strokeRect(x - 0.5, y - 0.5, width + 1, height + 1);
}

function drawLine(pen, ink, points, width = 1, dash = []) {
  pen.strokeStyle = ink;
  pen.lineWidth = width;
  pen.setLineDash(dash);
  pen.beginPath();
  points.forEach(([x, y]) => pen.lineTo(x, y));
  pen.stroke();
  pen.setLineDash([]);
}

// Circle, square, triangle, diamond: colour is never the only sign.
const MARKS = "\u25cf\u25a0\u25b2\u25c6", CORNERS = [40, 4, 3, 4], TURNS = [0, 1 / 8, -1 / 4, 0];
function drawMark(pen, ink, x, y, radius, shape) {
  pen.fillStyle = ink;
  pen.beginPath();
  for (const corner of range(CORNERS[shape])) {
    const angle = 2 * Math.PI * (TURNS[shape] + corner / CORNERS[shape]);
    pen.lineTo(x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  pen.fill();
}
