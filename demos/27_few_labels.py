"""Demo 27: few labels: a language model's weights as the start of a classifier.

    python demos/27_few_labels.py

Dai & Le 2015, "Semi-supervised Sequence Learning", section 2: an LSTM is first trained to predict
the next word of text without labels, and its weights are the start of the classifier that is
trained with labels. Here the classifier decides whether the character of a toy story is glad or
sad, with 50, 200 and 1,000 labels, from fresh weights and from the language model's, beside a BERT
of the same width that was pre-trained on the same text. All have the same examples and steps, and
two learning rates each, chosen on a dev set.
"""

import argparse
from collections.abc import Callable

import numpy as np

import minibert as mb
from minibert.ancestors.lstm import LSTMConfig, LSTMLanguageModel, LSTMObjective
from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import toy_corpus
from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.toy.sentences import Mood
from minibert.finetuning.toy.stories import ToyStories
from minibert.models.outputs import LossAndLogits
from minibert.nn.layers import Linear
from minibert.nn.module import Module
from minibert.toy_world.grammar import ToyWorld
from minibert.training.machine import keep_freed_memory

RATES = {"LSTM": (3e-3, 1e-2), "BERT": (1e-3, 3e-3)}
CONTEXT = 48


class LSTMClassifier(Module):
    """The class of a text, from the state after its last token."""

    __slots__ = ("encoder", "head")

    def __init__(self, encoder: LSTMLanguageModel, classes: int):
        super().__init__()
        self.encoder, self.head = encoder, Linear(encoder.config.hidden_size, classes)

    def forward(self, input_ids: np.ndarray, attention_mask: np.ndarray, rng=None) -> LossAndLogits:
        """(B, T) -> logits (B, K). Padding changes no state: the last step has the last token's."""
        lengths = np.asarray(attention_mask).sum(axis=1)
        hidden = self.encoder.hidden_states(input_ids, lengths, rng)[-1]  # (B, T, C)
        return LossAndLogits(None, self.head(hidden[:, -1]))


def settings(steps: int, lr: float, seed: int) -> mb.TrainingSettings:
    return mb.TrainingSettings(steps=steps, lr=lr, warmup=steps // 10, schedule="linear",
                               betas=(0.9, 0.98), eval_every=0, seed=seed)


def fine_tuned(fresh: Callable[[], Module], rates: tuple[float, ...], task, train: list, dev: list,
               steps: int) -> Module:
    """Returns the better one on `dev` of a classifier for each learning rate; `fresh` makes one
    that is not trained yet."""
    best = None
    for lr in rates:
        model = fresh()
        trainer = mb.Trainer(model, FineTuningObjective(task, train, dev, 16, 1),
                             settings(steps, lr, 1))
        trainer.run()
        if best is None or trainer.held_out["accuracy"] > best[0]:
            best = trainer.held_out["accuracy"], model
    return best[1]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800, help="of the language model")
    parser.add_argument("--bert-steps", type=int, default=300)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--epochs", type=int, default=0, help="of the classifier (0: by labels)")
    parser.add_argument("--documents", type=int, default=8000, help="of the training text")
    parser.add_argument("--test", type=int, default=1000)
    arguments = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time

    corpus = toy_corpus(arguments.documents, n_held_out=30)
    tokenizer = mb.BertTokenizer.from_words(corpus.words)
    config = LSTMConfig(tokenizer.vocab_size, hidden_size=64)
    language_model = LSTMLanguageModel(config, rng=1)
    trainer = mb.Trainer(language_model, LSTMObjective(
        tokenizer, corpus.train_texts, corpus.held_out_texts, CONTEXT, 16, 1),
        settings(arguments.steps, 1e-2, 1))
    trainer.run()
    print(f"LSTM language model: {arguments.steps} steps in {trainer.seconds:.0f} s, held out "
          f"{trainer.held_out['loss']:.3f} nats a word")
    trainer = make_trainer(resolved("bert", {"steps": arguments.bert_steps, "eval_every": 0,
                                             "workers": 1, "seed": 1}), corpus)
    trainer.run()
    bert, reads = trainer.model, trainer.objective.tokenizer
    print(f"BERT: {arguments.bert_steps} steps in {trainer.seconds:.0f} s, held out "
          f"{trainer.held_out['mlm_loss']:.3f} nats a masked word\n")

    mood = Mood(ToyStories(ToyWorld(), corpus.train_documents))
    task = mood.task(Reading(tokenizer, CONTEXT, left_to_right=True))
    bert_task = mood.task(Reading(reads, CONTEXT))

    def fresh_lstm() -> LSTMClassifier:
        return LSTMClassifier(LSTMLanguageModel(config, rng=1), len(task.labels))

    def pretrained_lstm() -> LSTMClassifier:
        model = fresh_lstm()
        model.encoder.load_state_dict(language_model.state_dict())
        return model

    def pretrained_bert() -> mb.BertForSequenceClassification:
        model = fresh_model(bert_task, bert.config, 1)
        model.bert.load_state_dict(bert.bert.state_dict())
        return model

    most = max(arguments.labels)
    examples = mood.draw(most + 200 + arguments.test, np.random.default_rng(2))
    train, dev, test = examples[:most], examples[most:most + 200], examples[most + 200:]
    print(f"{train[0].text}   {train[0].label}\n{train[1].text}   {train[1].label}\n")
    best = mood.best(test).expected
    print(f"Glad or sad? Per cent right of {len(test)} stories; best possible {best:.1%}")
    accuracy = {}
    for count in arguments.labels:
        steps = -(-count // 16) * (arguments.epochs or (20 if count <= 200 else 6))
        for name, fresh, rates, its_task in (
                ("fresh weights", fresh_lstm, RATES["LSTM"], task),
                ("language model", pretrained_lstm, RATES["LSTM"], task),
                ("BERT", pretrained_bert, RATES["BERT"], bert_task)):
            model = fine_tuned(fresh, rates, its_task, train[:count], dev, steps)
            found = its_task.compute_metrics(test, predict(its_task, model, test))["accuracy"]
            accuracy[count, name] = found
            print(f"   {count:5,} labels, {name:15s}{found:7.1%}")

    error = (best * (1 - best) / len(test)) ** 0.5
    if max(accuracy.values()) > best + 3 * error:
        raise SystemExit("a classifier is better than the best possible one")
    better = ""
    if arguments.steps >= 500:
        few, many = sorted(arguments.labels)[-2:]
        better = (f"\nWith {few:,} labels and more the language model's weights are the better "
                  f"start, with {few:,} better than fresh\nones with {many:,}. With {many:,} both "
                  "pre-trained models are ahead of fresh weights.")
        if any(accuracy[count, "language model"] <= accuracy[count, "fresh weights"]
               for count in (few, many)):
            raise SystemExit("the language model's weights are not the better start")
        if accuracy[many, "BERT"] <= accuracy[many, "fresh weights"]:
            raise SystemExit("BERT's weights are not the better start")
        if accuracy[few, "language model"] <= accuracy[many, "fresh weights"]:
            raise SystemExit(f"{few} labels are not worth more than {many} from fresh weights")
    print("\nThe sentence of the story: what is learned from text without labels need not be "
          "learned from labels;\nELMo, GPT and BERT begin here.")
    print("Claim: no classifier is better than the best possible one (within 3 standard errors)."
          + better)


if __name__ == "__main__":
    main()
