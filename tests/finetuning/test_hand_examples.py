"""The hand examples: what stands where, and from reading to answering, in English and Chinese."""

import numpy as np
import pytest
from tests.finetuning.small_tasks import bert_config

from minibert.autograd.functional import IGNORE_INDEX
from minibert.finetuning.build_model import fresh_model
from minibert.finetuning.encoding import Reading
from minibert.finetuning.entity_metrics import get_entities
from minibert.finetuning.hand_examples import (CHOICES, PAIRS, QUESTIONS, SENTENCES, SU_SHI,
                                               SU_SHI_CHINESE, TAGGED)
from minibert.finetuning.labels import class_names
from minibert.finetuning.objective import FineTuningObjective
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.multiple_choice import MultipleChoice
from minibert.finetuning.tasks.question_answering import QuestionAnswering, align_answer
from minibert.finetuning.tasks.sentences import Classification
from minibert.finetuning.tasks.tagging import Tagging, tag_names
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.trainer import Trainer, TrainingSettings

TEXTS = [SU_SHI, SU_SHI_CHINESE, *(example.question for example in QUESTIONS),
         *(" ".join(example.words) for example in TAGGED),
         *(f"{example.text} {example.text_pair or ''}" for example in SENTENCES + PAIRS),
         *(" ".join([example.context, example.start, *example.endings]) for example in CHOICES)]
TOKENIZER = BertTokenizer.train(TEXTS, 400, min_frequency=1)
READING = Reading(TOKENIZER, 64, 16)


def test_what_is_said_about_entities():
    kinds = [[(entity.kind, example.words[entity.start:entity.end])
              for entity in get_entities(example.tags)] for example in TAGGED]
    assert kinds[0] == [("ORG", ("Apple",)), ("LOC", ("Cupertino",))]
    assert kinds[1] == [("LOC", ("New", "York"))]
    assert kinds[2] == [("ORG", tuple("苹果公司")), ("LOC", tuple("库比蒂诺"))]
    assert kinds[3] == [("LOC", tuple("纽约"))]
    assert all(len(example.words) == len(example.tags) for example in TAGGED)


def test_where_su_shi_came_from():
    assert [answer.text for answer in QUESTIONS[0].answers] == ["Meishan in Meizhou", "Meishan"]
    assert [answer.text for answer in QUESTIONS[3].answers] == ["眉州眉山", "眉山"]
    for example in QUESTIONS:
        for answer in example.answers:
            assert example.passage[answer.start:answer.start + len(answer.text)] == answer.text
    assert [example.id for example in QUESTIONS if not example.answers] == ["su-shi-3", "su-shi-6"]


@pytest.mark.parametrize("example", [e for e in QUESTIONS if e.answers], ids=lambda e: e.id)
def test_answers_are_whole_tokens(example):
    """From characters to tokens and back gives the very answer; a Chinese character is a token."""
    encoded = TOKENIZER(example.passage, add_special_tokens=False, return_offsets_mapping=True)
    pieces = [(token, start, end) for token, (start, end)
              in zip(encoded["input_ids"], encoded["offset_mapping"])]
    for answer in example.answers:
        (first, last), note = align_answer(pieces, answer)
        assert note == ""
        assert example.passage[pieces[first][1]:pieces[last][2]] == answer.text
        if "苏" in example.passage:
            assert last - first + 1 == len(answer.text)


def test_a_words_tag_is_asked_at_its_first_token():
    tagging = Tagging(READING, tag_names(TAGGED))
    for example, row in zip(TAGGED, tagging.rows(TAGGED)):
        asked = [k for k, label in enumerate(row.label) if label != IGNORE_INDEX]
        assert [tagging.labels[row.label[k]] for k in asked] == list(example.tags)
        firsts, at = [], 1
        for word in example.words:
            firsts.append(at)
            at += len(TOKENIZER.tokenize(word))
        assert asked == firsts
    assert len(TOKENIZER.tokenize("'s")) == 2  # so that first is not all


TASKS = {
    "sentences": (Classification(READING, class_names([e.label for e in SENTENCES])), SENTENCES,
                  "accuracy"),
    "pairs": (Classification(READING, class_names([e.label for e in PAIRS]), name="pair"), PAIRS,
              "accuracy"),
    "choices": (MultipleChoice(READING), CHOICES, "accuracy"),
    "tags": (Tagging(READING, tag_names(TAGGED)), TAGGED, "f1"),
    "questions": (QuestionAnswering(READING, may_be_empty=True), QUESTIONS, "exact_match"),
}


@pytest.mark.parametrize("name", TASKS)
def test_from_reading_to_answering(name):
    """A small BERT learns the few examples by heart, the Chinese ones like the others."""
    task, examples, measure = TASKS[name]
    model = fresh_model(task, bert_config(vocab_size=TOKENIZER.vocab_size, hidden_size=32,
                                          intermediate_size=64, num_attention_heads=4,
                                          num_hidden_layers=1, max_position_embeddings=128,
                                          initializer_range=0.1, hidden_dropout_prob=0.0,
                                          attention_probs_dropout_prob=0.0), 3)
    objective = FineTuningObjective(task, examples, examples, batch_size=len(examples))
    settings = TrainingSettings(steps=80, lr=1e-2, warmup=8, schedule="linear", eval_every=0)
    trainer = Trainer(model, objective, settings)
    for _ in range(settings.steps):
        trainer.step()
    predictions = predict(task, model, examples)
    assert task.compute_metrics(examples, predictions)[measure] == 1.0
    if name == "questions":
        assert [p.text for p in predictions] == [example.answers[0].text if example.answers else ""
                                                 for example in examples]


def test_the_endings_share_their_start_and_one_is_right():
    for example in CHOICES:
        assert len(example.endings) == 4 and example.endings[example.label]
    rows = MultipleChoice(READING).rows(CHOICES[:1])
    words = TOKENIZER.convert_ids_to_tokens(rows[0].windows[0].ids)
    assert TOKENIZER.decode(rows[0].windows[0].ids, skip_special_tokens=True) == \
        "the people are in robes. they are wearing colorful costumes."
    assert words.index("[SEP]") == len(TOKENIZER.tokenize("The people are in robes.")) + 1
    assert np.array(rows[0].windows[0].types).sum() == len(words) - words.index("[SEP]") - 1
