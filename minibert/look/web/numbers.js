// Numbers as text and as colour.

const fixed = (x, digits = 2) => x.toFixed(digits).replace("-", "\u2212");
const exact = (x) => String(Number(x.toPrecision(9))).replace("-", "\u2212");
const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
const dot = (a, b) => a.reduce((total, x, i) => total + x * b[i], 0);
const norm = (a) => Math.sqrt(dot(a, a));
const range = (n) => Array.from({ length: n }, (_, i) => i);

// The beginning of a long text.
function short(text, most = 12) {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most - 1).join("") + "\u2026" : text;
}

// Viridis from the paper's side (0) to the far one (1): on white from light to dark, on black from
// dark to light. Its luminance changes from stop to stop, so it is read without colour, too.
const VIRIDIS = ["#fde725", "#addc30", "#5ec962", "#28ae80", "#21918c", "#2c728e", "#3b528b",
  "#472d7b", "#440154"];

const COLOURS = ["--paper", "--ink", "--soft", "--rule", "--accent", "--plus", "--minus",
  "--run0", "--run1", "--run2", "--run3"];  // of look.css
const theme = { isPrinted: false, isDark: false, colours: {} };

// Read what look.css and the reader's settings say, for the pictures drawn from now on.
function readTheme() {
  theme.isPrinted = matchMedia("print").matches;
  theme.isDark = matchMedia("(prefers-color-scheme: dark)").matches && !theme.isPrinted;
  const style = getComputedStyle(document.documentElement);
  for (const name of COLOURS) theme.colours[name] = style.getPropertyValue(name).trim();
}

const colour = (name) => theme.colours[name];

function shade(share) {
  const last = VIRIDIS.length - 1, stop = Math.round(Math.min(Math.max(share, 0), 1) * last);
  return VIRIDIS[theme.isDark ? last - stop : stop];
}

// Black or white, whichever is read better on a shade.
const inkOn = (share) => ((theme.isDark ? share > 0.44 : share < 0.44) ? "#000" : "#fff");

// A canvas of so many CSS pixels, sharp on every screen; returns its drawing context.
function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return pen;
}

// The softmax of some numbers.
function softmax(numbers) {
  const most = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Float64Array.from(numbers, (x) => Math.exp(x - most));
  const total = sum(powers);
  return powers.map((x) => x / total);
}
