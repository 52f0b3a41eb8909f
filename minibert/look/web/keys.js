// The keyboard: keys of the whole page and of the present view, and the list of them.

const KEYS = { "\u2190 \u2192": "token", "\u2191 \u2193": "layer", "h H": "head", m: "model",
  "1-9": "view", p: "print", Esc: "start anew", "?": "these keys" };

const ownKeys = () => views[state.view]?.keys ?? {};

// What a key of the whole page changes in the state; undefined: it is none.
function moveOf(key) {
  const { token, layer, head, model } = state, { heads } = data.models[model];
  return {
    ArrowLeft: { token: token - 1, more: [] }, ArrowRight: { token: token + 1, more: [] },
    ArrowUp: { layer: layer - 1 }, ArrowDown: { layer: layer + 1 },
    h: { head: (head + 1) % heads }, H: { head: (head + heads - 1) % heads },
    m: { model: (model + 1) % data.models.length },
    Escape: { ...data.start, model: 0, more: [] } }[key];
}

// Whether something is done at a key.
function press(key, event) {
  const move = data.models.length ? moveOf(key) : undefined;
  if (ownKeys()[key]) ownKeys()[key][1](event);
  else if (/^[1-9]$/.test(key) && drawn[key - 1]) goTo(drawn[key - 1]);
  else if (key === "?") document.getElementById("help").togglePopover();
  else if (key === "p") print();
  else if (move) {
    setState(move);
    const { [state.token]: token } = data.models[state.model].tokens;
    say(`${headName(state)}, token ${state.token}: ${token}`);
    if (key === "Escape") document.getElementById("help").hidePopover();
  } else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)
    || (event.target.closest("button, summary, a") && /^(Enter| )$/.test(event.key));
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
  if (press(event.key, event)) event.preventDefault();
});

document.getElementById("help").addEventListener("beforetoggle", ({ target }) => {
  const common = Object.entries(KEYS).slice(data.models.length ? 0 : -3);
  const further = Object.entries(ownKeys()).map(([key, [text]]) =>
    [key.replace(" ", "Space"), text]);
  target.replaceChildren(makeTable("keys", ["key", ""], [...common, ...further]));
});
