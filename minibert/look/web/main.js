// The page as a whole: one state for all views, links, keys.
//
// A view is an object that its file adds to `views`:
//   name             the id of its section, and its word in links
//   draw(live, part) makes its elements in `live`, once; `part` is what Python gave add_view
//   show(state)      shows a state: {model, layer, head, token, more: further tokens} or, of
//                    trainings, {step}
//   keys             {key: [what it does, function]}: they work while the view is the present one
// A view changes what is chosen by setState; then every view shows the new state. A view whose
// data is not in the page is not drawn.

const state = { view: data.views[0].name, model: 0, more: [], ...data.start };
const drawn = [];  // the views of this page, in its order
const KEYS = { "\u2190 \u2192": "token", "\u2191 \u2193": "layer", "h H": "head", m: "model",
  "1-9": "view", p: "print", Esc: "start anew", "?": "these keys" };

function setState(changes) {
  Object.assign(state, changes);
  const model = data.models[state.model];
  if (model) {  // a page of a training has none
    const within = (value, count) => Math.max(0, Math.min(value, count - 1));
    state.layer = within(state.layer, model.layers + 1);
    state.head = within(state.head, state.layer === model.layers ? 1 : model.heads);
    state.token = within(state.token, model.tokens.length);
  }
  for (const view of drawn) {
    try {
      view.show(state);
    } catch (error) {
      warn(document.getElementById(view.name).querySelector(".live"), error);
    }
  }
  for (const link of document.querySelectorAll("nav a")) {
    const isPresent = link.hash === `#${state.view}`;
    if (isPresent) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  try { history.replaceState(null, "", hashOf(state)); } catch { /* a frame without an address */ }
}

// "#heads/m1/L1H2/t3", "#run/s400": a link that opens the same view.
function hashOf({ view, model, layer, head, token, more, step }) {
  if (!data.models.length) return `#${view}${step === undefined ? "" : `/s${step}`}`;
  const tokens = [token, ...more].map((t) => `t${t}`);
  return `#${[view, ...(model ? [`m${model}`] : []), `L${layer}H${head}`, ...tokens].join("/")}`;
}

function readHash() {
  const changes = {}, tokens = [];
  const [name, ...parts] = decodeURIComponent(location.hash.slice(1)).split("/");
  if (drawn.some((view) => view.name === name)) changes.view = name;
  for (const part of parts) {
    const place = part.match(/^L(\d+)H(\d+)$/);
    if (place) Object.assign(changes, { layer: Number(place[1]), head: Number(place[2]) });
    else if (/^m\d+$/.test(part) && Number(part.slice(1)) < data.models.length) {
      changes.model = Number(part.slice(1));
    } else if (/^t\d+$/.test(part)) tokens.push(Number(part.slice(1)));
    else if (/^s\d+$/.test(part)) changes.step = Number(part.slice(1));
  }
  if (tokens.length) [changes.token, ...changes.more] = [tokens[0], ...tokens.slice(1)];
  return changes;
}

function goTo(view) {
  document.getElementById(view).scrollIntoView();
  setState({ view });
}

function drawAll() {
  if (data.schema !== "minibert.look.1") {
    return warn(document.getElementById("say"),
      new Error(`this page's data is ${data.schema}, which its script cannot read`));
  }
  for (const part of data.views) {
    const view = views.find((one) => one.name === part.name);
    const section = document.getElementById(part.name);
    if (!view) continue;
    try {
      view.draw(section.querySelector(".live"), part);
      drawn.push(view);
      section.querySelector("details.tables")?.removeAttribute("open");
    } catch (error) {
      warn(section.querySelector(".live"), error);
    }
  }
  setState(readHash());
  if (location.hash.includes("/")) document.getElementById(state.view)?.scrollIntoView();
}

function warn(where, error) {
  where.replaceChildren(make("span", { class: "note bad" }, `cannot be drawn: ${error.message}`));
}

function press(key, event) {
  const model = data.models[state.model];
  const moves = {
    ArrowLeft: { token: state.token - 1, more: [] },
    ArrowRight: { token: state.token + 1, more: [] },
    ArrowUp: { layer: state.layer - 1 }, ArrowDown: { layer: state.layer + 1 },
    h: { head: (state.head + 1) % (model?.heads ?? 1) },
    H: { head: (state.head + (model?.heads ?? 1) - 1) % (model?.heads ?? 1) },
    m: { model: (state.model + 1) % Math.max(data.models.length, 1) },
    Escape: { ...data.start, model: 0, more: [] },
  };
  const own = drawn.find((view) => view.name === state.view)?.keys?.[key];
  if (own) own[1](event);
  else if (/^[1-9]$/.test(key) && drawn[key - 1]) goTo(drawn[key - 1].name);
  else if (key === "?") showKeys();
  else if (key === "p") print();
  else if (model && moves[key]) {
    setState(moves[key]);
    const token = data.models[state.model].tokens[state.token];
    say(`${headName(state)}, token ${state.token}: ${token}`);
    if (key === "Escape") showKeys(false);
  } else return false;
  return true;
}

function showKeys(isShown = document.getElementById("help").hidden) {
  const help = document.getElementById("help");
  const own = drawn.find((view) => view.name === state.view)?.keys ?? {};
  const further = Object.entries(own).map(([key, [text]]) => [key.replace(" ", "Space"), text]);
  const common = Object.entries(KEYS).slice(data.models.length ? 0 : -3);
  help.replaceChildren(makeTable("keys", ["key", ""], [...common, ...further]));
  help.hidden = !isShown;
}

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)
    || (event.target.closest("button, summary, a") && /^(Enter| )$/.test(event.key));
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
  if (press(event.key, event)) event.preventDefault();
});
document.querySelector("nav").addEventListener("click", (event) => {
  if (!event.target.hash) return;
  event.preventDefault();
  goTo(event.target.hash.slice(1));
});
addEventListener("hashchange", () => setState(readHash()));
// Pictures take their colours when they are drawn.
for (const query of ["print", "(prefers-color-scheme: dark)"]) {
  matchMedia(query).addEventListener("change", () => { readTheme(); setState({}); });
}
const helpButton = document.getElementById("help-button");
helpButton.hidden = false;
helpButton.addEventListener("click", () => showKeys());
readTheme();
drawAll();
