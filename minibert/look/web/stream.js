// Stream: how long the vectors are that each layer adds to a token, and a GPT's logit as a sum.

views.push((() => {
  const HEAD = ["layer", "stream", "attention adds", "cosine", "MLP adds", "cosine",
    "stream after"];
  let part, chooser, lengths, angles, chosen, fall;

  function draw(live, itsPart) {
    part = itsPart;
    chooser = placeChooser(["model", "token"]);
    lengths = matrixFigure("Lengths of the stream and of what is added");
    angles = matrixFigure("Cosine of what is added with the stream");
    chosen = make("div", { class: "box" });
    fall = make("div", {});
    live.append(chooser.element, make("div", { class: "row" }, lengths.element, angles.element),
      make("div", { class: "row" }, chosen, fall));
  }

  function show(now) {
    chooser.update(now);
    const model = data.models[now.model], layers = range(model.layers);
    const norms = array(now.model, "stream.norms"), cosines = array(now.model, "stream.cosines");
    const length = (place, layer) => slice(norms, place, layer);
    const angle = (branch, layer) => slice(cosines, branch, layer);
    const byToken = (named, most, signed) => ({ rows: model.tokens, at: [now.token, null], signed,
      most, columns: named.map(([name]) => name),
      w: model.tokens.map((_, t) => named.map(([, numbers]) => numbers[t])) });
    const columns = layers.flatMap((i) => [[`stream ${i}`, length(0, i)],
      [`attention ${i}`, length(1, i)], [`MLP ${i}`, length(3, i)]]);
    const end = ["stream out", length(4, model.layers - 1)];
    lengths.show(byToken([...columns, end], Math.max(...norms.values), false));
    angles.show(byToken(layers.flatMap((i) =>
      [[`attention ${i}`, angle(0, i)], [`MLP ${i}`, angle(1, i)]]), 1, true));
    const number = (numbers) => fixed(numbers[now.token]);
    const caption = `${model.name}: token ${now.token}, ${model.tokens[now.token]}`;
    chosen.replaceChildren(makeTable(caption, HEAD, layers.map((i) => [String(i),
      number(length(0, i)), number(length(1, i)), number(angle(0, i)), number(length(3, i)),
      number(angle(1, i)), number(length(4, i))])));
    drawFall(now.model);
  }

  // Each bar begins where the one above it ends; the last one is their sum.
  function drawFall(m) {
    const parts = part.parts[m], { target, name } = data.models[m];
    fall.hidden = !parts.length;
    if (fall.hidden) return;
    const ends = [0];
    for (const [, x] of parts) ends.push(ends.at(-1) + x);
    const low = Math.min(...ends), width = Math.max(...ends) - low || 1;
    const bars = make("div", { class: "bars fall" });
    const add = (label, from, to, kind) => {
      const bar = make("i", { class: kind });
      bar.style.marginLeft = `${100 * (Math.min(from, to) - low) / width}%`;
      bar.style.width = `${100 * Math.abs(to - from) / width}%`;
      const number = make("span", { class: "number" }, fixed(to - from));
      bars.append(make("span", {}, label), number, bar);
    };
    parts.forEach(([label, x], i) => add(label, ends[i], ends[i + 1], x < 0 ? "minus" : "plus"));
    add("sum", 0, ends.at(-1), "total");
    const less = target.instead === null ? "" : ` less that of \u201c${target.instead_word}\u201d`;
    fall.replaceChildren(make("h3", {}, `${name}: the logit of \u201c${target.word}\u201d${less}, `
      + `after token ${target.position}`), bars);
  }

  return { name: "stream", draw, show };
})());
