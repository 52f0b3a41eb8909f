// Walk: one token through one layer and one head, step by step (steps.js), in guess mode with the
// results covered.

let walked = 0;  // the step that Space has reached

function showWalk(now) {
  const at = layerOf(now);
  const body = (step) => unlessLeftOut(() => stepBodies[step.name](at),
    (error) => [paragraph(error.message, "note")]);
  return [make("p", {}, button("guess: cover the results (g)", cover, now.guessed !== null)),
    ...partOf("walk").models[now.model].steps.map((step, i) =>
      stepFigure(i + 1, step.title, step.formula, body(step), step.forward,
        now.guessed !== null && !now.guessed.includes(i)))];
}

// In guess mode (state.guessed is a list) each result stays covered until Enter.
function cover() {
  setState({ guessed: state.guessed ? null : [] });
  say(state.guessed ? "results are covered: Space goes on, Enter uncovers" : "results are shown");
}

const uncover = () => state.guessed && setState({ guessed: [...state.guessed, walked] });

function goOn(by) {
  const steps = document.querySelectorAll("#walk .step");
  walked = between(0, walked + by, steps.length - 1);
  steps[walked].focus({ preventScroll: true });
  steps[walked].scrollIntoView({ block: "center" });
  say(steps[walked].querySelector("h3").textContent);
}

views.walk = { places: ["model", "token", "layer", "head"], show: showWalk, keys: {
  " ": ["next step (Shift: the one before)", (event) => goOn(event.shiftKey ? -1 : 1)],
  g: ["guess", cover], Enter: ["uncover a result", uncover] } };
