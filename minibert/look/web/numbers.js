// Numbers, and numbers as text.

const range = (n) => Array.from({ length: n }, (_, i) => i);
const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
const dot = (a, b) => a.reduce((total, x, i) => total + x * b[i], 0);
const norm = (a) => Math.sqrt(dot(a, a));
const cosine = (a, b) => dot(a, b) / Math.max(norm(a) * norm(b), 1e-12);
const largest = (numbers) => numbers.reduce((a, b) => Math.max(a, b), -Infinity);
const turned = (rows) => Array.from(rows[0], (_, c) => rows.map((row) => row[c]));
const between = (low, x, high) => Math.max(low, Math.min(x, high));

function moments(x) {
  const mean = sum(x) / x.length;
  return { mean, variance: sum(x.map((a) => (a - mean) ** 2)) / x.length };
}

function softmax(numbers) {
  const most = largest(numbers), powers = Float64Array.from(numbers, (x) => Math.exp(x - most));
  const total = sum(powers);
  return powers.map((x) => x / total);
}

const withMinus = (text) => text.replaceAll("-", "\u2212");
const fixed = (x, digits = 2) => withMinus(x.toFixed(digits));
const exact = (x) => withMinus(String(Number(x.toPrecision(9))));
const scientific = (x, digits = 3) => withMinus(x.toExponential(digits));
const readable = (x) => (x === 0 || (Math.abs(x) >= 0.001 && Math.abs(x) < 1e5)
  ? withMinus(String(+x.toPrecision(4))) : scientific(x, 2));
const grouped = (n) => n.toLocaleString("en");

// The beginning of a long text.
function short(text, most = 12) {
  const letters = [...text];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}\u2026` : text;
}
