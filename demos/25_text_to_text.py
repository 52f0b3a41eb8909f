"""Demo 25: five tasks as text in, text out: one model and one loss, beside BERTs with heads and a
GPT with prompts.

    python demos/25_text_to_text.py

An encoder-decoder reads "mood : ..." and writes "glad". It learns the toy world's five tasks from
one mixture of texts. Beside it a GPT learns from the same mixture as prompts, "mood : ... answer :
glad", and a BERT with a head of its own for each task from the same examples. All begin from random
weights. The best possible score of each task is exact.
"""

import argparse
from dataclasses import replace

import numpy as np

from minibert.autograd.fused.threads import set_blas_threads
from minibert.data.corpora import toy_corpus
from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.text_to_text import (WORDS, PromptObjective, TextToTextObjective,
                                              answer_all, as_texts, score)
from minibert.finetuning.toy.sentences import Endings, Mood, SameTopic
from minibert.finetuning.toy.stories import ToyStories
from minibert.finetuning.toy.words import Entities, Questions
from minibert.models.bart import BartForConditionalGeneration
from minibert.models.config import BartConfig, BertConfig, GPT2Config
from minibert.models.gpt import GPT2LMHeadModel
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.training.trainer import Trainer, TrainingSettings

TASKS = {"mood": Mood, "same-topic": SameTopic, "endings": Endings, "entities": Entities,
         "questions": Questions}
SETTINGS = TrainingSettings(steps=1, lr=6e-3, min_lr=0.0, optimizer="muon", schedule="linear",
                            betas=(0.9, 0.98), eval_every=0)
WIDTH, HEADS, POSITIONS, BATCH, LONGEST_ANSWER = 48, 4, 80, 16, 40


def train(model, objective, steps: int) -> None:
    trainer = Trainer(model, objective, replace(SETTINGS, steps=steps, warmup=steps // 20))
    for _ in range(steps):
        trainer.step()
    model.eval()


def encoder_decoder(tokenizer, pairs: list[tuple[str, str]], steps: int):
    """Returns a model of two blocks that read and one that writes, trained on all tasks at once."""
    separator = tokenizer.sep_token_id
    config = BartConfig(
        vocab_size=tokenizer.vocab_size, d_model=WIDTH, encoder_layers=2, decoder_layers=1,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH, max_position_embeddings=POSITIONS, dropout=0.0, init_std=0.1,
        position_initializer_range=0.02, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id, eos_token_id=separator, forced_eos_token_id=None,
        decoder_start_token_id=separator)
    model = BartForConditionalGeneration(config, 1)
    train(model, TextToTextObjective(tokenizer, pairs, pairs[:BATCH], BATCH, 1), steps)
    return model


def gpt_with_prompts(tokenizer, pairs: list[tuple[str, str]], steps: int):
    """Returns a GPT of three blocks, trained on the prompts of all tasks at once."""
    config = GPT2Config(
        vocab_size=tokenizer.vocab_size, n_embd=WIDTH, n_layer=3, n_head=HEADS,
        n_positions=POSITIONS + LONGEST_ANSWER, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        initializer_range=0.1, bos_token_id=tokenizer.sep_token_id,
        eos_token_id=tokenizer.sep_token_id)
    model = GPT2LMHeadModel(config, 1)
    train(model, PromptObjective(tokenizer, pairs, pairs[:BATCH], BATCH, 1), steps)
    return model


def bert_with_head(task, examples: list, steps: int):
    """Returns a BERT of two blocks with the head of the task, trained on it alone."""
    config = BertConfig(
        vocab_size=task.reading.tokenizer.vocab_size, hidden_size=WIDTH, num_hidden_layers=2,
        num_attention_heads=HEADS, intermediate_size=4 * WIDTH, max_position_embeddings=POSITIONS,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.1,
        position_initializer_range=0.02)
    model = fresh_model(task, config, 1)
    train(model, FineTuningObjective(task, examples, examples[:BATCH], BATCH, 1), steps)
    return model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--train", type=int, default=2000, help="examples of each task")
    parser.add_argument("--test", type=int, default=200, help="test examples of each task")
    parser.add_argument("--steps", type=int, default=600, help="of the encoder-decoder and of the "
                        "GPT; the BERTs share as many")
    parser.add_argument("--documents", type=int, default=10_000, help="that stories differ from")
    arguments = parser.parse_args(argv)
    set_blas_threads(1)  # at this size a second thread costs time
    corpus = toy_corpus(arguments.documents, 20)
    stories = ToyStories(ToyWorld(), corpus.train_documents)
    kinds = [name.lower() for name in (*stories.topics, *stories.characters)]
    tokenizer = BertTokenizer.from_words(dict.fromkeys([*corpus.words, *WORDS, *kinds]))
    toys = {name: TASKS[name](stories) for name in arguments.tasks}
    drawn = {name: toy.draw(arguments.train + arguments.test, np.random.default_rng(1))
             for name, toy in toys.items()}
    texts = {name: [as_texts(example) for example in examples]
             for name, examples in drawn.items()}
    print("Every task as a text and its answer:\n")
    for name, pairs in texts.items():
        print(f"  {pairs[0][0]}\n    -> {pairs[0][1]}")

    each = arguments.steps // len(toys)
    print(f"\n{arguments.steps:,} steps on all tasks, {each:,} with each head; a GPT's prompt ends "
          "with 'answer :' ...\n", flush=True)
    mixture = [pair for pairs in texts.values() for pair in pairs[:arguments.train]]
    writers = [encoder_decoder(tokenizer, mixture, arguments.steps),
               gpt_with_prompts(tokenizer, mixture, arguments.steps)]
    rows, well_formed = [], []
    for name, toy in toys.items():
        examples, test = drawn[name][:arguments.train], drawn[name][arguments.train:]
        inputs = [text for text, _ in texts[name][arguments.train:]]
        answers, prompted = (answer_all(model, tokenizer, inputs, LONGEST_ANSWER)
                             for model in writers)
        task = toy.task(Reading(tokenizer, POSITIONS))
        guessed = task.predict_baseline(task.fit_baseline(examples), test)
        bert = bert_with_head(task, examples, each)
        rows.append([task.compute_metrics(test, found)[toy.metric]
                     for found in (guessed, predict(task, bert, test))])
        rows[-1] += [score(test, prompted), score(test, answers), toy.best(test).expected]
        labels = {answer for _, answer in texts[name]}
        if toy.name in ("classify", "pair", "choice"):
            well_formed += [answer in labels for answer in (*answers, *prompted)]
    print(f"{'':12}{'guessing':>10}{'BERT, head':>12}{'GPT, prompt':>13}{'text to text':>14}"
          f"{'best possible':>15}")
    for name, row in zip([*toys, "mean"], [*rows, np.mean(rows, axis=0)]):
        guess, head, prompt, text, best = row
        print(f"{name:12}{guess:10.1%}{head:12.1%}{prompt:13.1%}{text:14.1%}{best:15.1%}")
    unlearned = [name for name, row in zip(toys, rows) if max(row[1:4]) < row[0] + 0.1]
    if unlearned:
        print(f"\nnot learned by any of the three, from random weights in so few steps: "
              f"{', '.join(unlearned)}\n(--steps gives more; demo 13: what pre-training brings)")
    if well_formed:
        print(f"\n{np.mean(well_formed):.1%} of the classes that the two wrote are those of their "
              "task")
    if not (guess < min(prompt, text) and max(prompt, text) < best
            and np.mean(well_formed or [True]) > 0.95):
        raise SystemExit("an answer in words is no better than guessing, or none to the question")
    print("\nClaim: one model without heads answers all tasks in words, on average better "
          "than guessing and below the\nbest possible: an encoder-decoder that reads the text "
          "both ways, and a GPT that goes on with it. Of the story:\nT5 turned every task into "
          "text in and text out.")


if __name__ == "__main__":
    main()
