// The page as a whole: one state for all views, and links to it.
//
// A view is an entry of `views`, under the name of its section; it has what it needs of
//   places           what can be chosen above it: model, token, layer, head
//   draw(live, part) makes elements that stay; `part` is what Python gave add_view
//   show(state)      returns the elements of a state, or changes those of draw. A state is {model,
//                    layer, head, token, more: further tokens, ...} or, of trainings, {step}
//   keys             {key: [what it does, function]}: they work while the view is the present one
// A view changes what is chosen by setState; then every view whose data is in the page shows it.

const state = { view: data.views[0].name, model: 0, more: [], other: null, guessed: null, weight: 0,
  written: 0, ...data.start };
const drawn = [];  // the names of the views of this page, in its order
const liveOf = (name) => document.querySelector(`#${name} .live`);

function setState(changes) {
  Object.assign(state, changes);
  const model = data.models[state.model];
  if (model) {  // a page of a training has none
    state.layer = between(0, state.layer, model.layers);  // the last one is the rollout
    state.head = between(0, state.head, state.layer === model.layers ? 0 : model.heads - 1);
    state.token = between(0, state.token, model.tokens.length - 1);
  }
  const restores = drawn.map((name) => remember(liveOf(name)));
  drawn.forEach(redraw);
  restores.forEach((restore) => restore());
  for (const link of document.querySelectorAll("nav a")) {
    link.setAttribute("aria-current", link.hash === `#${state.view}`);
  }
  try { history.replaceState(null, "", hashOf(state)); } catch { /* a frame without an address */ }
}

function redraw(name) {
  const { places, show } = views[name];
  try {
    const elements = show?.(state);
    if (!elements) return;
    liveOf(name).replaceChildren(...[places ? placeChoosers(places) : null, ...elements]
      .filter((one) => one !== null));
  } catch (error) {
    warn(liveOf(name), error);
  }
}

// Lists to choose the model, token, layer and head from, or some of them.
function placeChoosers(names) {
  const { tokens, layers, heads } = data.models[state.model];
  const texts = { model: data.models.map((one) => one.name), layer: range(layers),
    token: tokens.map((token, i) => `${i} ${token}`), head: range(heads) };
  const shown = names.filter((name) => name !== "model" || data.models.length > 1);
  return make("p", {}, shown.map((name) =>
    chooser(name, texts[name], state[name], (i) => setState({ [name]: i, more: [] }))));
}

// "#heads/m1/L1H2/t3", "#run/s400": a link that opens the same view.
function hashOf({ view, model, layer, head, token, more, step }) {
  const place = data.models.length
    ? [model ? `m${model}` : "", `L${layer}H${head}`, ...[token, ...more].map((t) => `t${t}`)]
    : [step === undefined ? "" : `s${step}`];
  return `#${[view, ...place].filter((part) => part).join("/")}`;
}

function readHash() {
  const [view, ...parts] = location.hash.slice(1).split("/"), changes = {}, tokens = [];
  const names = { m: "model", L: "layer", H: "head", s: "step" };
  if (drawn.includes(view)) changes.view = view;
  for (const [, letter, number] of parts.join("/").matchAll(/([mLHst])(\d+)/g)) {
    if (letter === "t") tokens.push(Number(number));
    else changes[names[letter]] = Number(number);
  }
  if (!(changes.model < data.models.length)) delete changes.model;
  if (tokens.length) [changes.token, ...changes.more] = tokens;
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
  for (const part of data.views.filter(({ name }) => name in views)) {
    try {
      views[part.name].draw?.(liveOf(part.name), part);
      drawn.push(part.name);
      document.querySelector(`#${part.name} details.tables`)?.removeAttribute("open");
    } catch (error) {
      warn(liveOf(part.name), error);
    }
  }
  setState(readHash());
  if (location.hash.includes("/")) document.getElementById(state.view)?.scrollIntoView();
}

function warn(where, error) {
  where.replaceChildren(make("span", { class: "note bad" }, `cannot be drawn: ${error.message}`));
}

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
readTheme();
drawAll();
