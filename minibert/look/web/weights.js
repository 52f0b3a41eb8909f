// The attention weights of a head as a matrix to be drawn: as they are, times the length of the
// vectors that they move, without special tokens, or by whole words.
//
// A place is {model, layer, head}; layer L (one after the last) is the rollout through all layers.
// Choices, in the state: {special: hide them, words: whole words, lengths: times those of vectors}.

const isRollout = ({ model, layer }) => layer === data.models[model].layers;

function headName(place) {
  const owner = data.models.length > 1 ? `${data.models[place.model].name} ` : "";
  return owner + (isRollout(place) ? "rollout" : `layer ${place.layer} head ${place.head}`);
}

// The tokens that make one row and column each: [{label, key, tokens}]. The key is their place in
// the text, the same in two models that cut the text alike.
function tokenGroups(model, choices) {
  const { tokens, special, words, spans } = data.models[model], groups = [];
  tokens.forEach((label, i) => {
    const last = groups.at(-1), span = spans[i];
    if (choices.special && special[i]) return;
    if (choices.words && last && words[last.tokens[0]] === words[i]) {
      last.label += label.replace(/^##/, "");
      last.tokens.push(i);
      last.key = `${spans[last.tokens[0]][0]}-${span[1]}`;
    } else {
      groups.push({ label, tokens: [i], key: span ? `${span[0]}-${span[1]}` : `${label} ${i}` });
    }
  });
  return groups;
}

// What query q takes from key k.
function weightsOf(place, choices) {
  const { model, layer, head } = place;
  if (isRollout(place)) {
    const rows = rowsOf(array(model, "rollout"));
    return (q, k) => rows[q][k];
  }
  const rows = rowsOf(array(model, `blocks.${layer}.attn.hook_pattern`), head);
  const lengths = slice(array(model, "value_norms"), layer, head);
  return (q, k) => rows[q][k] * (choices.lengths ? lengths[k] : 1);
}

// The matrix of a place, for drawMatrix; `shared`: only groups with these keys. A word's row is the
// mean over its pieces, its column their sum. whole[r] is what row r takes from all tokens, hidden
// or not.
function headMatrix(place, choices, shared = null) {
  const { causal, tokens } = data.models[place.model], weight = weightsOf(place, choices);
  const groups = tokenGroups(place.model, choices)
    .filter((group) => !shared || shared.has(group.key));
  const mean = (row, keys) =>
    sum(row.tokens.map((q) => sum(keys.map((k) => weight(q, k))))) / row.tokens.length;
  const labels = groups.map((group) => group.label), scaled = choices.lengths && !isRollout(place);
  return {
    w: groups.map((row) => groups.map((column) => mean(row, column.tokens))),
    whole: groups.map((row) => mean(row, tokens.map((_, k) => k))),
    most: scaled ? largest(array(place.model, "value_norms").values) : 1,  // of all heads
    rows: labels, columns: labels, groups,
    masked: (r, c) => causal && groups[c].tokens[0] > groups[r].tokens.at(-1),
  };
}

// A - B, where both have the same rows and columns.
function differenceMatrix(a, b) {
  const w = a.w.map((row, r) => row.map((x, c) => x - b.w[r][c]));
  return { ...a, w, signed: true, masked: (r, c) => a.masked(r, c) || b.masked(r, c) };
}

// The keys of the groups that both places have.
function sharedKeys(places, choices) {
  const [first, ...rest] = places.map(({ model }) =>
    new Set(tokenGroups(model, choices).map((group) => group.key)));
  return new Set([...first].filter((key) => rest.every((keys) => keys.has(key))));
}
