"""Tags at the first token of a word, each word asked once, and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.finetuning.small_tasks import TOKENIZER, reading, small

from minibert.autograd.functional import IGNORE_INDEX
from minibert.errors import InputError
from minibert.finetuning.examples import TagExample
from minibert.finetuning.tasks.base import predict
from minibert.finetuning.tasks.tagging import Tagging, tag_names

LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
WORD = st.sampled_from(["a", "unhappy", "rereread", "北京", "zebra", "a.b", "\u200d", "good"])
SENTENCE = st.lists(st.tuples(WORD, st.sampled_from(LABELS)), min_size=1, max_size=20)


def example(words: str, tags: str, where: str = "") -> TagExample:
    return TagExample(tuple(words.split()), tuple(tags.split()), where)


@given(sentences=st.lists(SENTENCE, min_size=1, max_size=3), overlap=st.integers(0, 7))
def test_every_word_is_asked_once_at_its_first_token(sentences, overlap):
    task = Tagging(reading(overlap=overlap), LABELS)
    examples = [TagExample(*zip(*sentence)) for sentence in sentences]
    rows = task.rows(examples)
    asked = [[] for _ in examples]
    for row in rows:
        assert len(row) <= 12 and len(row.label) == len(row.alignment) == len(row)
        for token, label, place in zip(row.ids, row.label, row.alignment):
            assert (label == IGNORE_INDEX) == (place == -1)
            if place >= 0:
                word = examples[row.example].words[place]
                first = TOKENIZER.encode(word, add_special_tokens=False)[:1] or [
                    TOKENIZER.unk_token_id]
                assert token == first[0] and LABELS[label] == examples[row.example].tags[place]
                asked[row.example].append(place)
    assert [sorted(places) for places in asked] == [list(range(len(e.words))) for e in examples]
    flat = [token for word in examples[0].words for token in
            TOKENIZER.encode(word, add_special_tokens=False) or [TOKENIZER.unk_token_id]]
    seen = [row.ids[1:-1] for row in rows if row.example == 0]
    assert seen[0] + [t for ids in seen[1:] for t in ids[overlap:]] == flat


@given(sentences=st.lists(SENTENCE, min_size=1, max_size=4), seed=st.integers(0, 9))
def test_perfect_scores_give_back_the_tags(sentences, seed):
    task = Tagging(reading(), LABELS)
    examples = [TagExample(*zip(*sentence)) for sentence in sentences]
    rows = task.rows(examples)
    rng = np.random.default_rng(seed)
    rows = [rows[i] for i in rng.permutation(len(rows))]
    scores = [rng.normal(size=(len(row) + 3, 5)) for row in rows]  # three of padding
    for row, score in zip(rows, scores):
        for t, label in enumerate(row.label):
            if label != IGNORE_INDEX:
                score[t, label] += 20
    predictions = task.predictions(examples, rows, scores)
    assert predictions == [e.tags for e in examples]
    assert task.compute_metrics(examples, predictions)["accuracy"] == 1.0
    assert task.batch(rows).labels.shape == task.batch(rows).input_ids.shape


def test_a_word_in_two_windows_is_asked_where_it_has_more_context():
    task = Tagging(reading(max_length=8, overlap=4), LABELS)  # six tokens in a window
    rows = task.rows([example("a b c d e a b c", "O O O O O O O O")])
    assert [TOKENIZER.decode(row.ids[1:-1]) for row in rows] == ["a b c d e a", "c d e a b c"]
    assert [list(row.alignment) for row in rows] == [[-1, 0, 1, 2, 3, -1, -1, -1],
                                                  [-1, -1, -1, 4, 5, 6, 7, -1]]


def test_a_batch_has_labels_only_if_all_of_its_rows_have():
    task = Tagging(reading(), LABELS)
    assert task.batch(task.rows([example("a", "O"), TagExample(("b",))])).labels is None


def test_the_loss_counts_words_and_weighs_tags():
    weights = [0.5, 1.0, 1.0, 4.0, 2.0]
    examples = [example("unhappy a", "B-PER O"), example("a b c d", "O O B-LOC I-LOC")]
    for given in (None, weights):
        task = Tagging(reading(), LABELS, given)
        model = small(task).eval()
        batch = task.batch(task.rows(examples))
        logits = model(**batch.inputs()).logits.data
        log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        w = np.ones(5) if given is None else np.array(given)
        places = [(0, 1, 3), (0, 3, 0), (1, 1, 0), (1, 2, 0), (1, 3, 1), (1, 4, 2)]
        expected = -sum([w[k] * log_p[b, t, k] for b, t, k in places])
        loss = task.loss(model(**batch.inputs()), batch.labels).item()
        assert loss == pytest.approx(expected, rel=1e-6)
        assert task.count(batch.labels) == pytest.approx(sum([w[k] for _, _, k in places]))


def test_tag_names_of_entities_and_of_others():
    assert tag_names([example("a b", "O B-PER"), example("a", "B-LOC")]) == LABELS
    assert tag_names([example("a b", "NN DT")]) == ("DT", "NN")
    assert tag_names([example("a b", "O B")]) == ("O", "B", "I")
    with pytest.raises(InputError, match="'O' is the only tag there"):
        tag_names([example("a b", "O O")])
    with pytest.raises(InputError, match=r"dev.txt, line 3, word 2 .'b'.: the label 'B-ORG' did.*"
                                         r" .so it is in word 3 .'c'., too.; line 5, word"):
        Tagging(reading(), LABELS).rows([example("a b c", "O B-ORG B-ORG", "dev.txt, line 3"),
                                         TagExample(("d",)), example("a", "X", "dev.txt, line 5")])


def test_figures_baseline_and_file():
    task = Tagging(reading(), LABELS)
    train = [example("a b a c", "B-PER I-PER O O"), example("a b d", "B-PER I-PER O")]
    guess = task.fit_baseline(train)
    assert guess == {"other": "O", "words": {"a": "B-PER", "b": "I-PER"}}
    dev = [example("a b e", "B-PER I-PER O"), example("b c", "O B-LOC")]
    guessed = task.predict_baseline(guess, dev)
    assert guessed == [("B-PER", "I-PER", "O"), ("I-PER", "O")]
    figures = task.compute_metrics(dev, guessed)
    assert figures == {"accuracy": 3 / 5, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2}
    three = [("B-PER", "B-LOC", "B-LOC"), ("O", "O")]  # are found, two are there
    more = task.compute_metrics(dev, three)
    assert (more["precision"], more["recall"], more["f1"]) == (0.0, 0.0, 0.0)
    more = task.compute_metrics(dev, [("B-PER", "I-PER", "B-LOC"), ("B-LOC", "O")])
    assert (more["precision"], more["recall"], more["f1"]) == (1 / 3, 1 / 2, 2 / 5)
    assert task.describe("dev", dev[1:]) == "tags in dev: B-LOC 1 (50.0%), O 1 (50.0%)"
    assert task.details(dev, guessed)["per_class"]["LOC"] == {"precision": 0.0, "recall": 0.0,
                                                              "f1": 0.0, "support": 1}
    assert task.format_predictions(dev, guessed) == "a\tB-PER\nb\tI-PER\ne\tO\n\nb\tI-PER\nc\tO\n"
    words = Tagging(reading(), ("DT", "NN"))
    counted = words.fit_baseline([example("a b", "DT NN"), example("a a", "NN NN")])
    assert counted == {"other": "NN", "words": {}}, "a is an NN more often than not"
    counted = words.fit_baseline([example("b b b a a a", "NN NN NN DT NN DT")])
    assert words.predict_baseline(counted, [example("a c", "DT NN")]) == [("DT", "NN")]
    right, predicted = [example("a b", "DT NN")], [("DT", "DT")]
    assert words.metric_for_best_model == "accuracy"
    assert words.compute_metrics(right, predicted) == {"accuracy": 0.5}
    assert words.details(right, predicted)["confusion"] == [[1, 0], [1, 0]]


def test_tags_without_a_type_are_entities_of_one_kind():
    """NCBI-disease and others: as seqeval counts them, and the best checkpoint is chosen so."""
    right = [example("a b c d", "B I I O"), example("a b c d", "B I O B")]
    task = Tagging(reading(), tag_names(right))
    assert task.metric_for_best_model == "f1"
    predicted = [("B", "I", "I", "O"), ("O", "O", "O", "B")]
    assert task.compute_metrics(right, predicted)["f1"] == pytest.approx(0.8)
    assert list(task.details(right, predicted)["per_class"]) == ["_"]


def test_words_without_a_token_are_told_and_still_tagged():
    task = Tagging(reading(), LABELS)
    [row] = task.rows([example("a \u200d b", "O B-PER O")])
    assert TOKENIZER.convert_ids_to_tokens(row.ids) == "[CLS] a [UNK] b [SEP]".split()
    assert "without a token" in row.note
    [tags] = predict(task, small(task), [TagExample(("a", "\u200d"))])
    assert len(tags) == 2
