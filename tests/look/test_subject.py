"""The text, its tokens and the target; what cannot be looked at is refused."""

import numpy as np
import pytest
from tests.look.small_pages import bert, gpt, tokenizer

import minibert as mb
from minibert.errors import InputError
from minibert.look.causes import target_values
from minibert.look.sources import quote
from minibert.look.subject import make_subject


def target_value(subject):
    return target_values(subject.outputs, subject.target.indices).item()


def test_spans_are_places_in_the_text_of_a_pair():
    words = tokenizer()
    first, second = "The banks .", "he sat ."
    subject = make_subject("BERT", bert(words), words, first, second)
    full = f"{first} {second}"
    shown = [None if span is None else full[slice(*span)] for span in subject.spans]
    assert shown == [None, "The", "bank", "s", ".", None, "he", "sat", ".", None]
    assert subject.words == [0, 1, 2, 2, 3, 4, 5, 6, 7, 8]
    assert subject.types == [0] * 6 + [1] * 4


def test_a_gpt_reads_a_pair_as_one_text_at_the_same_places():
    words = tokenizer()
    subject = make_subject("GPT", gpt(words), words, "the bank .", "he sat")
    both = make_subject("BERT", bert(words), words, "the bank .", "he sat")
    assert [span for span in subject.spans if span] == [span for span in both.spans if span]


@pytest.mark.parametrize("text, target, kind, position", [
    ("the bank is [MASK] .", None, "word", 4), ("the bank is muddy .", None, "word", 4),
    ("the bank is muddy .", "2:river", "word", 2)])
def test_the_target_of_a_bert(text, target, kind, position):
    words = tokenizer()
    subject = make_subject("BERT", bert(words), words, text, target=target)
    assert (subject.target.kind, subject.target.position) == (kind, position)
    logits = subject.outputs.prediction_logits.data[0, position]
    assert target_value(subject) == logits[subject.target.id]
    if target is None and "[MASK]" not in text:
        assert subject.target.word == "muddy"  # the last word itself
    elif target is None:
        assert subject.target.id == logits.argmax()


def test_a_difference_of_two_words():
    words = tokenizer()
    subject = make_subject("GPT", gpt(words), words, "the bank is", target="muddy", instead="deep")
    muddy, deep = (subject.outputs.logits.data[0, -1, words.vocab[w]] for w in ("muddy", "deep"))
    assert target_value(subject) == muddy - deep


@pytest.mark.parametrize("cls, kind", [
    (mb.BertForSequenceClassification, "class"), (mb.BertForTokenClassification, "tag"),
    (mb.BertForQuestionAnswering, "answer"), (mb.BertForNextSentencePrediction, "class")])
def test_the_target_of_a_fine_tuned_model(cls, kind):
    words = tokenizer()
    subject = make_subject("BERT", bert(words, cls), words, "the bank is muddy .")
    assert subject.target.kind == kind
    logits = subject.target.logits(subject.outputs).data
    assert logits.ndim == 1 and subject.target.id == logits.argmax()


def test_the_start_of_an_answer_is_named_by_its_place_and_token():
    words = tokenizer()
    subject = make_subject("BERT", bert(words, mb.BertForQuestionAnswering), words,
                           "the bank is muddy .", target="2:bank", instead="4:muddy")
    assert (subject.target.position, subject.target.id, subject.target.instead) == (2, 2, 4)
    starts = subject.outputs.start_logits.data[0]
    assert np.isclose(target_value(subject), starts[2] - starts[4])


def test_a_bare_model_has_no_target():
    words = tokenizer()
    assert make_subject("BERT", bert(words, mb.BertModel), words, "the bank").target is None
    with pytest.raises(InputError, match="no head"):
        make_subject("BERT", bert(words, mb.BertModel), words, "the bank", target="the")


@pytest.mark.parametrize("text, options, message", [
    ("", {}, "empty"), ("  ", {}, "empty"), ("the " * 50, {}, "--tokens 0:38"),
    ("the bank", {"target": "unheard"}, "unheard"),
    ("the bank", {"target": "9:the"}, "position = 9"),
    ("the bank", {"target": "9" * 5000 + ":the"}, "not among"),
    ("the bank", {"instead": "unheard"}, "--instead"), ("the bank", {"pair": " "}, "empty"),
    ("the bank", {"tokens": (1, 9)}, "0:2")])
def test_a_mistake_is_one_clear_line(text, options, message):
    words = tokenizer()
    with pytest.raises(InputError, match=message):
        make_subject("BERT", bert(words), words, text, **options)


def test_a_part_of_a_long_text():
    words = tokenizer()
    subject = make_subject("BERT", bert(words), words, "the bank is " * 50, tokens=(3, 6))
    assert subject.tokens == ["[CLS]", "the", "bank", "is", "[SEP]"]


def test_a_model_of_several_endings_is_refused():
    words = tokenizer()
    with pytest.raises(InputError, match="several endings"):
        make_subject("BERT", bert(words, mb.BertForMultipleChoice), words, "the bank")


def test_a_model_whose_weights_are_too_large_is_refused():
    words = tokenizer()
    model = gpt(words)
    model.transformer.embeddings.word_embeddings.weight.data *= np.float32(1e38)
    with np.errstate(all="ignore"), pytest.raises(InputError, match="NaN or an infinity"):
        make_subject("GPT", model, words, "the bank")


def test_a_quoted_line_is_found_where_it_stands():
    found = quote(quote, "for number, line")
    text = open(found["file"].replace("minibert/", mb.__path__[0] + "/", 1)).read()
    assert text.splitlines()[found["line"] - 1].strip() == found["text"]
    with pytest.raises(LookupError, match="quote"):
        quote(quote, "no such line")
