// Heads: a small picture of each head, one of them large, and what the chosen tokens read there.

const hasEffects = data.models.some((_, m) => hasArray(m, "causes.zero"));
const HEAD_SWITCHES = [["s", "special", "hide special tokens"], ["w", "words", "whole words"],
  ["v", "lengths", "times the vector\u2019s length"],
  ...(hasEffects ? [["e", "byEffect", "sort by effect"]] : [])];
let smallPictures = { of: "", canvases: new Map() };  // kept while the choices stay

const placeOf = ({ model, layer, head }) => ({ model, layer, head });
const headSentence = ({ model, layer, head }) => partOf("heads").sentences[model][layer]?.[head]
  ?? "attention multiplied through all layers; half of each layer is the residual connection";

// The change of the explained number when a head is cut out; null: unknown.
const effectOf = (place) => (isRollout(place) || !hasArray(place.model, "causes.zero") ? null
  : slice(array(place.model, "causes.zero"), place.layer)[place.head]);

const compareHead = () => setState({ other: state.other ? null : placeOf(state) });
const switchHeads = (name) => setState({ [name]: !state[name] });

function showHeads(now) {
  const places = [placeOf(now), ...(now.other ? [now.other] : [])];
  const shared = now.other && now.other.model !== now.model ? sharedKeys(places, now) : null;
  const matrices = places.map((place) => headMatrix(place, now, shared));
  const names = places.map(headName), chosen = new Set([now.token, ...now.more]);
  if (now.other) {
    matrices.push(differenceMatrix(...matrices));
    names.push(`${names[0]} less ${names[1]}`);
  }
  const rows = range(matrices[0].rows.length)
    .filter((r) => matrices[0].groups[r].tokens.some((i) => chosen.has(i)));
  const more = { at: rows.length ? [rows[0], null] : null, locked: new Set(rows),
    room: now.other ? 330 : 520 };
  return [div("row", data.models.map((_, m) => headGrid(m, now))),
    make("p", {}, HEAD_SWITCHES.map(([key, name, text]) =>
      button(`${text} (${key})`, () => switchHeads(name), Boolean(now[name]))),
    button("compare with this head (b)", compareHead, Boolean(now.other))),
    div("row", matrices.map((matrix, i) => headFigure(names[i], { ...matrix, ...more }, i)),
      make("div", {}, places.map((place, i) => headList(place, matrices[i], rows))))];
}

function headFigure(name, matrix, number) {
  const verb = matrix.signed ? "reads more from" : state.lengths ? "receives from" : "reads";
  const describe = ({ rows, columns, masked, w }, r, c) => `${name}: ${rows[r]} ${masked(r, c)
    ? `cannot see ${columns[c]}` : `${verb} ${columns[c]} ${fixed(w[r][c], 3)}`}`;
  const figure = matrixFigure(name, matrix, describe, (r, isMore) => {
    const { tokens } = matrix.groups[r];
    setState(isMore ? { more: [...state.more, ...tokens] } : { token: tokens[0], more: [] });
  });
  figure.dataset.figure = number;
  return figure;
}

// All heads of a model, a layer in each row, or those first without which the explained number
// changes most.
function headGrid(m, now) {
  const { name, layers, heads } = data.models[m];
  const thumb = (place, caption = null) => {
    const isChosen = place.model === now.model && place.layer === now.layer
      && place.head === now.head;
    return { canvas: smallPicture(place, now), caption, choose: () => setState(place), isChosen,
      tabindex: isChosen ? 0 : -1,  // one stop for Tab; arrows and h choose another
      "aria-label": `${headName(place)}: ${headSentence(place)}`,
      "data-place": `${m}/${place.layer}/${place.head}` };
  };
  const places = range(layers).flatMap((layer) =>
    range(heads).map((head) => ({ model: m, layer, head })));
  const isSorted = now.byEffect && hasArray(m, "causes.zero");
  if (isSorted) places.sort((a, b) => Math.abs(effectOf(b)) - Math.abs(effectOf(a)));
  const caption = (place) => (isSorted
    ? make("span", {}, `L${place.layer}H${place.head} ${fixed(effectOf(place))}`) : null);
  const rows = range(layers).map((i) => [isSorted ? "" : `layer ${i}`,
    places.slice(i * heads, (i + 1) * heads).map((place) => thumb(place, caption(place)))]);
  rows.push(["rollout", [thumb({ model: m, layer: layers, head: 0 })]]);
  return make("div", {}, title(name),
    thumbGrid(`${name}: one picture for each head`, heads, rows));
}

function smallPicture(place, { special, words, lengths }) {
  const of = [special, words, lengths, theme.isDark, theme.isPrinted, data.changes].join();
  if (smallPictures.of !== of) smallPictures = { of, canvases: new Map() };
  const { canvases } = smallPictures, key = Object.values(place).join("/");
  if (!canvases.has(key)) canvases.set(key, smallMatrix(headMatrix(place, state)));
  return canvases.get(key);
}

// What the chosen rows read together, the largest first; the small ones and the hidden ones are
// summed up.
function headList(place, matrix, rows) {
  if (!rows.length) return null;
  const shares = matrix.columns.map((label, c) => [label, sum(rows.map((r) => matrix.w[r][c]))]);
  const large = shares.filter(([, x]) => x >= 0.02 * matrix.most)
    .sort((a, b) => b[1] - a[1]).slice(0, 12);
  const total = (pairs) => sum(pairs.map(([, x]) => x)), effect = effectOf(place);
  const others = total(shares) - total(large);
  const hidden = sum(rows.map((r) => matrix.whole[r])) - total(shares);
  const shown = others > 0.0005 ? [...large, ["others", others]] : large;
  return div("figure", title(`${headName(place)}: ${headSentence(place)}`),
    effect === null ? null
      : paragraph(`Without it the explained number changes by ${fixed(effect, 3)}.`),
    make("p", {}, make("b", {}, rows.map((r) => matrix.rows[r]).join(" + ")), " reads"),
    bars(shown.map(([label, x]) => [label, fixed(x, 3), 0,
      Math.min(x / matrix.most / rows.length, 1)])),
    hidden > 0.0005 ? paragraph(
      `${fixed(hidden, 3)} goes to tokens that are hidden here; rows are not rescaled.`, "intro")
      : null);
}

views.heads = { show: showHeads, keys: { ...Object.fromEntries(HEAD_SWITCHES.map(
  ([key, name, text]) => [key, [text, () => switchHeads(name)]])), b: ["compare", compareHead] } };
