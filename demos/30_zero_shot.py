"""Demo 30: zero-shot: a GPT answers questions that its training text holds in passing.

    python demos/30_zero_shot.py

Text from everywhere holds tasks in passing, so a model that predicts it learns them without labels
(Radford et al. 2019, section 2). Here some stories of the toy world go on with a question and its
answer in words, "where ? river ." or "who ? captain .". A GPT that has learned to predict this text
is asked in new stories, beside the exact posterior and beside a BERT that was pre-trained on the
same text and then fine-tuned with 0, 8 and 50 labelled stories.

Held out are facts: of a story that ends with certain pairs of a place and a character (the captain
at the river, the painter in the kitchen ...) nothing is ever asked in the training text.
"""

import argparse
from itertools import islice
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

import minibert as mb
from minibert.autograd.fused.threads import set_blas_threads
from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import resolved
from minibert.data.corpora import Corpus
from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.examples import SentenceExample
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.sentences import Classification
from minibert.finetuning.toy.stories import ToyStories, summed
from minibert.nn.module import evaluating
from minibert.toy_world.grammar import CHARACTERS, TOPICS, ToyWorld
from minibert.training.machine import keep_freed_memory

SENTENCES, CONTEXT = 4, 48
ASKED = 0.25  # the share of the stories that go on with a question
ANSWERS = {"where": tuple(topic.home for topic in TOPICS.values()),
           "who": tuple(character.noun for character in CHARACTERS)}
LABELS = (0, 8, 50)


class Stories(NamedTuple):
    sentences: list[list[str]]  # B stories of SENTENCES each
    answers: dict[str, np.ndarray]  # to each question: their numbers, (B,)
    held_out: np.ndarray  # (B,) whether they are facts that the training text never asks about


def draw(world: ToyStories, count: int, seed: int) -> Stories:
    drawn = list(islice(world.draw(SENTENCES, np.random.default_rng(seed)), count))
    where = np.array([world.topic_of(story.states[-1]) for story in drawn])
    who = np.array([world.character_of(story.states[-1]) for story in drawn])
    return Stories([story.sentences for story in drawn], {"where": where, "who": who},
                   (where + who) % len(TOPICS) == 0)


def with_questions(stories: Stories, seed: int) -> list[list[str]]:
    """Returns the documents of the training text."""
    rng, documents = np.random.default_rng(seed), []
    for k, story in enumerate(stories.sentences):
        question = ("where", "who")[rng.integers(2)]
        asked = rng.random() < ASKED and not stories.held_out[k]
        answer = ANSWERS[question][stories.answers[question][k]]
        documents.append([*story, f"{question} ? {answer} ."] if asked else story)
    return documents


def exact(world: ToyStories, stories: Stories) -> dict[str, np.ndarray]:
    """Returns the posterior of each question's answers, (B, K) each."""
    last = world.oracle.last_states(stories.sentences)[:, -1]
    ends = world.world.ends
    return {"where": summed(last, world.topic[ends], len(ANSWERS["where"])),
            "who": summed(last, world.character[ends], len(ANSWERS["who"]))}


def ask(gpt, tokenizer, stories: Stories, question: str) -> np.ndarray:
    """Returns p(next word) after each story and the question, (B, V)."""
    rows = [tokenizer.encode(f"{' '.join(story)} {question} ?", add_special_tokens=False)
            for story in stories.sentences]
    last = np.array([len(row) for row in rows])
    ids = np.full((len(rows), last.max() + 1), tokenizer.sep_token_id)  # padding: never attended to
    for row, words in zip(ids, rows):
        row[1:len(words) + 1] = words
    with evaluating(gpt), mb.no_grad():
        logits = gpt(ids).logits.data[np.arange(len(rows)), last]  # (B, V)
    return softmax(logits, axis=-1)


def fine_tuned(bert, tokenizer, question: str, examples: list, steps: int):
    """Returns (task, classifier): the pre-trained encoder with a new head, after `steps` updates on
    the examples (none without any)."""
    task = Classification(Reading(tokenizer, CONTEXT), ANSWERS[question])
    model = fresh_model(task, bert.config, 1)
    model.bert.load_state_dict(bert.bert.state_dict())
    if examples:
        trainer = mb.Trainer(model, FineTuningObjective(task, examples, examples, 16, 1),
                             mb.TrainingSettings(steps=steps, lr=2e-3, warmup=steps // 10,
                                                 schedule="linear", eval_every=0, seed=1))
        for _ in range(steps):
            trainer.step()
    return task, model


def as_examples(stories: Stories, question: str) -> list[SentenceExample]:
    return [SentenceExample(" ".join(story), None, ANSWERS[question][answer])
            for story, answer in zip(stories.sentences, stories.answers[question])]


def pretrained(name: str, corpus: Corpus, steps: int):
    """Returns the trainer of the GPT or BERT that `pretrain` makes, after `steps` on the corpus."""
    trainer = make_trainer(resolved(name, {"steps": steps, "workers": 1}), corpus)
    for _ in range(steps):
        trainer.step()
    return trainer


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpt-steps", type=int, default=800)
    parser.add_argument("--bert-steps", type=int, default=300)
    parser.add_argument("--tune-steps", type=int, default=80, help="of each fine-tuning")
    parser.add_argument("--documents", type=int, default=12_000, help="of the training text")
    parser.add_argument("--test", type=int, default=1000, help="stories")
    options = parser.parse_args(argv)
    keep_freed_memory()
    set_blas_threads(1)  # at this size a second thread costs time
    documents = with_questions(draw(ToyStories(ToyWorld()), options.documents, seed=1), seed=2)
    texts = [" ".join(document) for document in documents]
    world = ToyStories(ToyWorld(), [document[:SENTENCES] for document in documents])  # new stories
    corpus = Corpus("toy with questions", documents, documents[:50], texts, texts[:50],
                    world.world.sentences_per_segment, (*world.world.words, *ANSWERS, "?"))
    asked = sum(len(document) > SENTENCES for document in documents)
    print(f"The training text; {asked:,} of its {len(texts):,} stories go on with a question:\n")
    print("  " + "\n  ".join(texts[:5]))
    print(f"\n{options.gpt_steps} steps for the GPT, {options.bert_steps} for the BERT ...",
          flush=True)
    trainer = pretrained("gpt", corpus, options.gpt_steps)
    gpt, tokenizer = trainer.model, trainer.tokenizer
    bert = pretrained("bert", corpus, options.bert_steps).model

    test, labelled = draw(world, options.test, seed=3), draw(world, max(LABELS), seed=4)
    best, never = exact(world, test), test.held_out
    print(f"\nPer cent right of {options.test:,} new stories; in brackets of the {never.sum()} "
          "with held-out facts:")
    accuracy = {}
    for question, answers in ANSWERS.items():
        p, right = ask(gpt, tokenizer, test, question), test.answers[question]
        words = np.array(tokenizer.convert_tokens_to_ids(list(answers)))
        found = {"guessing": np.full(len(right), np.bincount(right).argmax()),
                 "GPT, zero-shot": p[:, words].argmax(axis=1)}
        for count in LABELS:
            task, model = fine_tuned(bert, tokenizer, question,
                                     as_examples(labelled, question)[:count], options.tune_steps)
            found[f"BERT, {count} labels"] = np.argmax(
                predict(task, model, as_examples(test, question)), axis=1)
        found["best possible"] = best[question].argmax(axis=1)
        print(f"\n  {' '.join(test.sentences[0])} {question} ?")
        for k in np.flatnonzero(best[question][0] > 0.005):
            print(f"    {answers[k]}: GPT {p[0, words[k]]:.1%}, exact {best[question][0, k]:.1%}")
        print(f"    {np.isin(p.argmax(axis=1), words).mean():.1%} of the GPT's likeliest next "
              "words are answers to the question")
        for name, guesses in found.items():
            hits = guesses == right
            accuracy[question, name] = hits.mean(), hits[never].mean()
            print(f"    {name:17s}{hits.mean():7.1%} ({hits[never].mean():.1%})")

    zero_shot, possible, guessing, fifty = (
        np.array([accuracy[question, name] for question in ANSWERS])  # (question, all or held out)
        for name in ("GPT, zero-shot", "best possible", "guessing", f"BERT, {LABELS[-1]} labels"))
    said = ""
    if (zero_shot[:, 0] > possible[:, 0] + 3 / (2 * options.test ** 0.5)).any():
        raise SystemExit("the GPT is better than the best possible answer")
    if options.gpt_steps >= 800:
        said = (f"\nWithout labels it is right more often than this BERT with {LABELS[-1]}, and "
                "above guessing on held-out facts.")
        if (zero_shot[:, 0] <= fifty[:, 0]).any() or (zero_shot[:, 1] <= guessing[:, 1]).any():
            raise SystemExit("the GPT does not answer better than BERT with labels, or by guessing")
    print("\nClaim: a GPT that has read questions in passing answers them about new stories, no "
          f"better than the exact posterior.{said}\nOf the story: GPT-2 showed that a language "
          "model does tasks that nobody trained it for.")


if __name__ == "__main__":
    main()
