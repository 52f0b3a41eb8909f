"""The report at the end of `pretrain`: figures beside baselines and the oracle's, and samples."""

from __future__ import annotations

import numpy as np

from minibert.cli.display import table
from minibert.cli.generate import continued
from minibert.cli.next_sentence import next_sentence_probability
from minibert.cli.samples import FilledGap, FilledSpans
from minibert.models.pretrained_model import PretrainedModel
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.span_corruption import SENTINEL
from minibert.tokenizers.base import Tokenizer
from minibert.tokenizers.characters import CharTokenizer
from minibert.training.trainer import Trainer

PAIRS_SHOWN, TEXTS_SHOWN, TEXT_TOKENS, TEXT_CHARACTERS = 4, 3, 40, 200


def final_report(trainers: list[Trainer]) -> list[str]:
    """The figures in one table, a column a model, then samples of each."""
    lines = ["", *figures_table(trainers), ""]
    for trainer in trainers:
        if trainer.objective.name == "bart":
            sample = FilledSpans(trainer.objective, trainer.tokenizer)
            lines += ["BART fills spans (held-out text):", *[f"  {line}" for line in
                                                            sample(trainer.model)]]
        else:
            lines += (bert_samples if trainer.objective.name == "bert" else gpt_samples)(trainer)
    halves = {trainer.objective.name: trainer.run_folder.path for trainer in trainers}
    lines.append("to go on:")
    if "bert" in halves:
        lines.append(f'  python -m minibert fill-mask {halves["bert"]} "..."')
    if "bart" in halves:
        lines.append(f'  python -m minibert generate {halves["bart"]} --temperature 0 --prompt '
                     f'"... {SENTINEL}0> ..."')
    if "gpt" in halves:
        lines.append(f'  python -m minibert generate {halves["gpt"]} --temperature 0.8')
    if len(halves) == 2:
        lines.append(f"  python -m minibert compare {halves['bert']} {halves['gpt']}")
    return lines


def figures_table(trainers: list[Trainer]) -> list[str]:
    """Held-out figures with their baselines and, on the toy world, the oracle's."""
    columns = [_column(trainer) for trainer in trainers]
    rows = [["held out, nats per token", *[trainer.objective.name.upper() for trainer in trainers]]]
    rows += [[name, *[column[name] for column in columns]] for name in columns[0]
             if any([column[name] for column in columns])]
    return table(rows)


def _column(trainer: Trainer) -> dict[str, str]:
    """The figures of one model, in the order of the rows; empty where there is none."""
    summary = trainer.run_folder.summary()
    held_out, counted, oracle = summary["held_out"], summary["baselines"], summary["oracle"] or {}
    bert = trainer.objective.name == "bert"
    loss = "mlm_loss" if bert else "loss"
    distance = f"{oracle['gap']:.4f} +- {oracle['gap_standard_error']:.4f}" if oracle else ""
    return {
        "what is predicted": {"bert": "masked words", "gpt": "the next token",
                              "bart": "spans and sentinels"}[trainer.objective.name],
        "knowing nothing: ln V": _nats(counted, "uniform"),
        "counting words": _nats(counted, "unigram"),
        "counting pairs of words": _nats(counted, "bigram"),
        "this model": _nats(held_out, loss),
        "the oracle: the best possible": _nats(oracle, loss),
        "this model's distance to it": distance,
        "bits per character": _nats(held_out, "bits_per_character"),
        "masked words right": _percent(held_out, "mlm_accuracy"),
        "next sentence: always one answer": _percent(counted, "nsp_accuracy"),
        "next sentence: this model": _percent(held_out, "nsp_accuracy"),
        "next sentence: the oracle": _percent(oracle, "nsp_accuracy"),
        "parameters": f"{summary['parameters']:,}",
        "seconds": f"{summary['seconds']:.0f}"}


def _nats(figures: dict, name: str) -> str:
    return f"{figures[name]:.4f}" if name in figures else ""


def _percent(figures: dict, name: str) -> str:
    return f"{figures[name]:.1%}" if name in figures else ""


def bert_samples(trainer: Trainer) -> list[str]:
    """The candidates for a gap, and some held-out pairs with the model's judgement."""
    model, tokenizer, objective = trainer.model, trainer.tokenizer, trainer.objective
    gap = FilledGap(objective, tokenizer)
    lines = ["BERT fills a gap (held-out text):", "  " + gap.text()]
    lines += [f"  {p:6.1%}  {token}{'   <- what stood there' if token == gap.answer else ''}"
              for token, p in gap.candidates(model, 5)]
    if objective.next_sentence:
        lines += ["BERT judges pairs (held-out text):", *_pairs(model, tokenizer, objective)]
    return lines


def _pairs(model: PretrainedModel, tokenizer: Tokenizer, objective: PretrainingObjective
           ) -> list[str]:
    batch = next(objective.held_out_batches())
    lines = []
    for row in range(min(PAIRS_SHOWN, len(batch.original_ids))):
        ids, types = batch.original_ids[row], batch.token_type_ids[row]
        real = batch.attention_mask[row].astype(bool) & ~np.isin(ids, tokenizer.all_special_ids)
        first, second = (tokenizer.decode(ids[real & (types == segment)].tolist())
                         for segment in (0, 1))
        p = next_sentence_probability(model, tokenizer, first, second)
        truth = "is next" if batch.next_sentence_label[row] == 0 else "is not next"
        lines.append(f"  {p:6.1%} next ({truth}):  {first}  |  {second}")
    return lines


def gpt_samples(trainer: Trainer) -> list[str]:
    """Documents that the model generates."""
    model, tokenizer = trainer.model, trainer.tokenizer
    tokens = TEXT_CHARACTERS if isinstance(tokenizer, CharTokenizer) else TEXT_TOKENS
    lines = ["GPT writes (temperature 0.8):"]
    for seed in range(TEXTS_SHOWN):
        text = continued(model, tokenizer, "", tokens, temperature=0.8, rng=seed)
        first, *rest = text.splitlines() or [""]
        lines += ["  - " + first, *["    " + line for line in rest]]
    return lines
