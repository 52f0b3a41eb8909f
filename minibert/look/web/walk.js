// Walk: one token through one layer and one head, step by step (steps.js), in guess mode with the
// results covered.

views.push((() => {
  let part, places, steps, present = 0, isGuessing = false;

  function draw(live, itsPart) {
    part = itsPart;
    places = placeChooser();
    const guess = toggle("guess: cover the results (g)", () => cover());
    steps = make("div", { class: "steps" });
    steps.guess = guess;
    live.append(places.element, make("p", {}, guess), steps);
  }

  function show(now) {
    const at = layerOf(now);
    places.update(now);
    steps.replaceChildren(...part.models[now.model].steps.map((step, i) => {
      let body;
      try {
        body = stepBodies[step.name](at);
      } catch (error) {
        if (!(error instanceof LeftOut)) throw error;
        body = [make("p", { class: "note" }, error.message)];
      }
      return stepFigure(i + 1, step.title, step.formula, body, step.forward);
    }));
  }

  // In guess mode each result stays covered until Enter.
  function cover() {
    isGuessing = !isGuessing;
    steps.guess.setAttribute("aria-pressed", String(isGuessing));
    for (const result of steps.querySelectorAll(".result")) {
      result.classList.toggle("covered", isGuessing);
    }
    say(isGuessing ? "results are covered: Space goes on, Enter uncovers" : "results are shown");
  }

  function uncover() {
    steps.children[present].querySelector(".result").classList.remove("covered");
  }

  function goOn(by) {
    present = Math.max(0, Math.min(steps.children.length - 1, present + by));
    steps.children[present].focus({ preventScroll: true });
    steps.children[present].scrollIntoView({ block: "center" });
    say(steps.children[present].querySelector("h3").textContent);
  }

  return { name: "walk", draw, show, keys: {
    " ": ["next step (Shift: the one before)", (event) => goOn(event.shiftKey ? -1 : 1)],
    g: ["guess", cover], Enter: ["uncover a result", uncover] } };
})());
