"""Tasks as texts and answers: the forms, the score, batches, greedy answers."""

import numpy as np
import pytest
from tests.models.small_models import small

import minibert as mb
from minibert.finetuning.examples import Answer, ChoiceExample, QuestionExample, SentenceExample
from minibert.finetuning.examples import TagExample
from minibert.finetuning.text_to_text import (WORDS, PromptObjective, TextToTextObjective,
                                              answer_all, as_texts, entities_in, prompt_ids, score)
from minibert.tokenizers.wordpiece import BertTokenizer

TAGGED = TagExample(("the", "old", "captain", "rows", "the", "boat", "."),
                    ("B-CAPTAIN", "I-CAPTAIN", "I-CAPTAIN", "O", "B-RIVER", "I-RIVER", "O"))
EXAMPLES = [
    (SentenceExample("she rows .", None, "glad"), "mood : she rows .", "glad"),
    (SentenceExample("a .", "b .", "same"), "same : a . with b .", "same"),
    (ChoiceExample("she rows .", "they", ("sing .", "row ."), 1),
     "ending : she rows . they a sing . b row .", "b"),
    (TAGGED, "entities : the old captain rows the boat .",
     "the old captain = captain , the boat = river"),
    (QuestionExample("q", "who ?", "she rows her boat .", (Answer("her boat", 9),)),
     "question : who ? passage : she rows her boat .", "her boat")]


@pytest.mark.parametrize("example, text, answer", EXAMPLES)
def test_a_task_as_text_and_a_right_answer_is_right(example, text, answer):
    assert as_texts(example) == (text, answer)
    assert score([example], [answer]) == 1
    assert score([example, example], [answer, "no such answer"]) == pytest.approx(
        2 / 3 if isinstance(example, TagExample) else 0.5)
    for nonsense in ("", "= , =", ", ,", f"{answer} {answer}"):
        assert score([example], [nonsense]) < 1


def test_mentions_are_found_in_their_order():
    words = "the boat near the boat .".split()
    assert list(entities_in("the boat = river , the boat = town", words)) == [
        ("RIVER", 0, 2), ("TOWN", 3, 5)]
    assert list(entities_in("a boat = river , the boat = town , the boat = x , the boat = y",
                            words)) == [("TOWN", 0, 2), ("X", 3, 5)]
    assert list(entities_in("boat", words)) == [("", 1, 2)], "without a type: of none"


def test_batches_go_through_all_pairs_in_each_epoch_and_pad_both_sides():
    tokenizer = BertTokenizer.from_words([*WORDS, "x"])
    pairs = [("x " * (k + 1), "a " * (3 - k)) for k in range(3)]
    one, other = (TextToTextObjective(tokenizer, pairs, pairs[:2], 2, seed) for seed in (1, 1))
    seen = []
    for number in range(3):  # two epochs
        batch, same = one.batch(number), other.batch(number)
        np.testing.assert_array_equal(batch.input_ids, same.input_ids)
        real = batch.attention_mask.sum(axis=1)  # [CLS] x ... [SEP]
        scored = (batch.targets != -100).sum(axis=1)  # a ... [SEP]
        np.testing.assert_array_equal(real + scored, 7)
        assert (batch.targets[:, 0] == tokenizer.vocab["a"]).all()
        seen += (real - 2).tolist()
    assert sorted(seen[:3]) == sorted(seen[3:]) == [1, 2, 3]
    [held_out] = one.held_out_batches()
    assert len(held_out.input_ids) == 2 and one.counts(held_out) == {"tokens": 7}
    assert "to predict: a a a [SEP]" in "".join(one.first_examples(2)) or seen[:2].count(1) == 0


def test_answers_end_at_their_separator():
    tokenizer = BertTokenizer.from_words("abcdefghijkl")
    model = small(mb.BartForConditionalGeneration, 1, pad_token_id=0, eos_token_id=3,
                  decoder_start_token_id=3).eval()
    texts = ["a b", "c d e", "a"]
    together = answer_all(model, tokenizer, texts, 6)
    assert [answer_all(model, tokenizer, [text], 6)[0] for text in texts] == together
    assert all(len(answer.split()) <= 6 and "[SEP]" not in answer for answer in together)


def test_a_prompt_is_in_the_row_and_its_answer_alone_is_a_target():
    tokenizer = BertTokenizer.from_words([*WORDS, "x"])
    pairs = [("x x", "a"), ("x", "a b")]
    [batch] = PromptObjective(tokenizer, pairs, pairs, 2, 1).held_out_batches()
    to_tokens = tokenizer.convert_ids_to_tokens
    assert [" ".join(to_tokens(row.tolist())) for row in batch.input_ids] == [
        "[SEP] x x answer : a", "[SEP] x answer : a b"]
    assert [(np.flatnonzero(row >= 0).tolist(), to_tokens(row[row >= 0].tolist()))
            for row in batch.targets] == [([4, 5], ["a", "[SEP]"]),
                                          ([3, 4, 5], ["a", "b", "[SEP]"])]
    model = small(mb.GPT2LMHeadModel, 1, vocab_size=len(tokenizer)).double()
    losses, _ = PromptObjective(tokenizer, pairs, pairs, 2, 1).losses(model, batch)
    log_p = np.log(mb.functional.softmax(model(batch.input_ids).logits, -1).data)
    rows, places = np.nonzero(batch.targets >= 0)
    expected = -log_p[rows, places, batch.targets[rows, places]].sum()
    assert losses["tokens"].item() == pytest.approx(expected)


def test_a_gpt_answers_prompts_of_any_length_in_one_batch():
    tokenizer = BertTokenizer.from_words([*WORDS, "x", "y"])
    model = small(mb.GPT2LMHeadModel, 1, vocab_size=len(tokenizer), n_positions=32,
                  eos_token_id=tokenizer.sep_token_id).eval()
    texts = ["x y", "y y y x", "x"]
    together = answer_all(model, tokenizer, texts, 6)
    assert [answer_all(model, tokenizer, [text], 6)[0] for text in texts] == together
    ids = np.array([prompt_ids(tokenizer, "x")])
    for _ in range(6):  # greedily, without a cache
        ids = np.append(ids, [[model(ids).logits.data[0, -1].argmax()]], axis=1)
    words = tokenizer.convert_ids_to_tokens(ids[0, 4:].tolist())
    assert together[2].split() == words[:words.index("[SEP]") if "[SEP]" in words else 6]
