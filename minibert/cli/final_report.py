"""The report at the end of `pretrain`: figures beside baselines and the oracle's, and samples."""

import numpy as np

from minibert.cli.display import table
from minibert.cli.generate import continued
from minibert.cli.next_sentence import next_sentence_probability
from minibert.cli.samples import FilledGap, FilledSpans
from minibert.pretraining.span_corruption import SENTINEL
from minibert.tokenizers.characters import CharTokenizer
from minibert.training.trainer import Trainer

PAIRS_SHOWN, TEXTS_SHOWN, TEXT_TOKENS, TEXT_CHARACTERS = 4, 3, 40, 200


def final_report(trainers: list[Trainer]) -> list[str]:
    """The figures in one table, a column a model, then samples of each."""
    lines, commands = ["", *figures_table(trainers), ""], []
    for trainer in trainers:
        name, run = trainer.objective.name, trainer.run_folder.path
        if name == "bert":
            lines += bert_samples(trainer)
            commands.append(f'fill-mask {run} "..."')
        elif name == "bart":
            sample = FilledSpans(trainer.objective, trainer.tokenizer)(trainer.model)
            lines += ["BART fills spans (held-out text):", *[f"  {line}" for line in sample]]
            commands.append(f'generate {run} --temperature 0 --prompt "... {SENTINEL}0> ..."')
        else:
            lines += gpt_samples(trainer)
            commands.append(f"generate {run} --temperature 0.8")
    if len(trainers) == 2:
        commands.append(f"compare {' '.join([str(one.run_folder.path) for one in trainers])}")
    return [*lines, "to go on:", *[f"  python -m minibert {command}" for command in commands]]


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
    loss = "mlm_loss" if trainer.objective.name == "bert" else "loss"
    distance = f"{oracle['gap']:.4f} +- {oracle['gap_standard_error']:.4f}" if oracle else ""

    def cell(figures: dict, name: str, form: str = ".4f") -> str:
        return f"{figures[name]:{form}}" if name in figures else ""

    return {
        "what is predicted": {"bert": "masked words", "gpt": "the next token",
                              "bart": "spans and sentinels"}[trainer.objective.name],
        "knowing nothing: ln V": cell(counted, "uniform"),
        "counting words": cell(counted, "unigram"),
        "counting pairs of words": cell(counted, "bigram"),
        "this model": cell(held_out, loss),
        "the oracle: the best possible": cell(oracle, loss),
        "this model's distance to it": distance,
        "bits per character": cell(held_out, "bits_per_character"),
        "masked words right": cell(held_out, "mlm_accuracy", ".1%"),
        "next sentence: always one answer": cell(counted, "nsp_accuracy", ".1%"),
        "next sentence: this model": cell(held_out, "nsp_accuracy", ".1%"),
        "next sentence: the oracle": cell(oracle, "nsp_accuracy", ".1%"),
        "parameters": f"{summary['parameters']:,}",
        "seconds": f"{summary['seconds']:.0f}"}


def bert_samples(trainer: Trainer) -> list[str]:
    """The candidates for a gap, and some held-out pairs with the model's judgement."""
    model, tokenizer, objective = trainer.model, trainer.tokenizer, trainer.objective
    gap = FilledGap(objective, tokenizer)
    lines = ["BERT fills a gap (held-out text):", "  " + gap.text()]
    lines += [f"  {p:6.1%}  {token}{'   <- what stood there' if token == gap.answer else ''}"
              for token, p in gap.candidates(model, 5)]
    if not objective.next_sentence:
        return lines
    lines.append("BERT judges pairs (held-out text):")
    batch = next(objective.held_out_batches())
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
