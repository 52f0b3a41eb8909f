"""What a run's folder says, without training anything: info, compare; and the gradient check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.autograd.checks.gradcheck import GradcheckError, gradcheck_parameters
from minibert.autograd.checks.gradcheck_cases import check_all
from minibert.cli.folders import find_run
from minibert.models.bert import BertForPreTraining
from minibert.models.config import BertConfig, GPT2Config
from minibert.models.gpt import GPT2LMHeadModel
from minibert.training.report import in_words, loss_curve
from minibert.training.run_folder import Run

FIRST_EXAMPLES = 2


def curve_of(records: list[dict]) -> list[str]:
    """The loss curve of a run's log."""
    steps, evaluations = ([(record["step"], record["loss"]) for record in records
                           if record["kind"] == kind] for kind in ("step", "eval"))
    return loss_curve(steps, evaluations)


def introduction(objective) -> list[str]:
    """What is learned from, and the first examples of it."""
    lines = [f"  {line}" for line in objective.describe()] + ["first examples:"]
    for example in objective.first_examples(FIRST_EXAMPLES):
        lines += [f"  {line}" for line in example.splitlines()]
    return lines


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells in columns, the first one to the left, the others to the right."""
    widths = [max([len(row[i]) for row in rows]) for i in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in
                                                   zip(row[1:], widths[1:])]).rstrip()
            for row in rows]


def figure(value: object) -> str:
    """A cell of a table: four decimals for a fraction, nothing for None."""
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _figures(run: Run) -> dict:
    """What is known of a run: its summary, or, while it has none, its latest state."""
    return _summary(run) or run.state()


def _summary(run: Run) -> dict | None:
    """The run's summary, unless it has gone on since."""
    summary = run.summary()
    return summary if summary and summary["steps"] == run.state()["step"] else None


def run_info(options) -> int:
    """`info RUN`"""
    run = find_run(options.run)
    state, summary = run.state(), _summary(run)
    shown = summary or state
    print(f"{run.path}: {state['step']:,} of {state['settings']['steps']:,} steps"
          + _how_it_stands(state, summary))
    rows = [[name, _setting(value)] for part in ("about", "settings")
            for name, value in shown[part].items()]
    if summary:
        rows += [["parameters", f"{summary['parameters']:,}"],
                 ["time", in_words(summary["seconds"])],
                 ["tokens per second", f"{summary['tokens_per_second']:,}"]]
    for name, value in shown["held_out"].items():
        rows.append([f"held out: {name}", figure(value)])
    for name, value in (shown["best"] or {}).items():
        rows.append([f"best: {name}", figure(value)])
    if summary:
        rows += [[f"{part}: {name}", figure(value)] for part in ("baselines", "oracle")
                 for name, value in (summary.get(part) or {}).items()]
    print("\n".join([f"  {row[0]:<{max(len(r[0]) for r in rows)}}  {row[1]}" for row in rows]))
    print("\n".join(curve_of(run.records())))
    return 0


def _how_it_stands(state: dict, summary: dict | None) -> str:
    if summary is None:
        command = "finetune" if "task" in state["about"] else "pretrain"
        return f", not finished: go on with {command} --resume"
    return ", stopped early" if state["step"] < state["settings"]["steps"] else ""


def run_compare(options) -> int:
    """`compare RUN RUN`"""
    figures = [_figures(find_run(path)) for path in (options.run, options.other)]
    rows = [["", options.run, options.other]]
    for part in ("about", "settings"):
        for name in {**figures[0][part], **figures[1][part]}:
            values = [_setting(f[part].get(name)) for f in figures]
            if values[0] != values[1]:
                rows.append([name, *values])
    if len(rows) == 1:
        rows.append(["same settings", "", ""])
    for part in ("held_out", "best", "baselines", "oracle"):
        parts = [f.get(part) or {} for f in figures]
        for name in {**parts[0], **parts[1]}:
            label = name if part == "held_out" else f"{part}: {name}"
            rows.append([label, *[figure(values.get(name)) for values in parts]])
    rows.append(["seconds", *[f"{f['seconds']:.1f}" for f in figures]])
    print("\n".join(table(rows)))
    return 0


def _setting(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def run_gradcheck(options) -> int:
    """`gradcheck`: exit status 1 if a gradient is wrong."""
    faults = 0
    print(f"{'':30}  {'implementation':<9}  relative error")
    for result in check_all(options.method):
        faults += result.fault is not None
        verdict = f"{result.error:.1e}" if result.fault is None else f"WRONG: {result.fault}"
        print(f"{result.name:<30}  {result.implementation:<9}  {verdict}")
    for name, loss, model in _small_models():
        try:
            report = gradcheck_parameters(loss, dict(model.named_parameters()), options.method)
            verdict = f"{report.relative_error:.1e}"
        except GradcheckError as error:
            faults, verdict = faults + 1, f"WRONG: {error}"
        print(f"{name:<30}  {'model':<9}  {verdict}")
    print("all gradients are right" if not faults else f"{faults} gradients are wrong")
    return 1 if faults else 0


def _small_models():
    """(name, loss function, model) of a BERT and a GPT with weights of size 0.5, in float64."""
    rng = np.random.default_rng(0)
    ids = rng.integers(13, size=(2, 5))
    bert = BertForPreTraining(BertConfig(
        vocab_size=13, hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=20, max_position_embeddings=6, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0))
    gpt = GPT2LMHeadModel(GPT2Config(vocab_size=13, n_positions=6, n_embd=12, n_layer=2, n_head=3,
                                     n_inner=20, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    for model in (bert, gpt):
        model.double()
        for parameter in model.parameters():
            parameter.data = rng.normal(scale=0.5, size=parameter.shape)
    mask, types = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]), np.array([[0, 0, 1, 1, 1]] * 2)

    def bert_loss():
        return bert(ids, mask, types, labels=ids, next_sentence_label=np.array([0, 1])).loss

    def gpt_loss():
        return gpt(ids, labels=ids).loss

    return [("BertForPreTraining", bert_loss, bert), ("GPT2LMHeadModel", gpt_loss, gpt)]
