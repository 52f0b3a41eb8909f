"""The view of causes: its arrays are those of causes.py, its sentences count what they say."""

import numpy as np
import pytest
from tests.look.small_pages import array_in, bert, data_of, gpt, tokenizer

import minibert as mb
from minibert.cli.look import announce
from minibert.errors import InputError
from minibert.look.causes_view import add_causes, interventions, rank_correlations
from minibert.look.data import encoded, find_view
from minibert.look.subject import make_subject, top_outputs

WORDS = tokenizer()
TEXT, OTHER = "the bank is muddy .", "the river is deep ."


def causes(model, text, quick=False, **reading):
    return data_of(add_causes, model, WORDS, text, None, quick, **reading)


@pytest.fixture(scope="module", params=["bert", "gpt"])
def page(request):
    model = bert(WORDS) if request.param == "bert" else gpt(WORDS)
    data = causes(model, TEXT, target="deep", instead="a", against=OTHER)
    return model, data, encoded(data)


def test_patching_the_whole_way_recovers_the_second_texts_logit(page):
    model, data, arrays = page
    part = find_view(data, "causes")["models"][0]
    target = data["models"][0]["target"]
    place, chosen = target["position"], [target["id"], target["instead"]]
    for tokens, expected in ((TEXT, part["value"]), (OTHER, part["against"]["value"])):
        ids = data["models"][0]["ids"] if tokens == TEXT else make_subject(
            "", model, WORDS, tokens).ids
        outputs = model.eval()(np.array([ids]))
        logits = getattr(outputs, "prediction_logits", getattr(outputs, "logits", None)).data
        assert np.isclose(logits[0, place, chosen] @ [1, -1], expected, atol=1e-5)
    shares = array_in(arrays, "m0.causes.patch")
    assert shares.shape == (3, 2, len(data["models"][0]["ids"]))
    same = [a == b for a, b in zip(data["models"][0]["tokens"], part["against"]["tokens"])]
    assert np.allclose(shares[0, 0, same], 0, atol=1e-5)  # nothing differs before layer 0
    assert abs(shares[0, 0, np.logical_not(same)]).min() > 1e-3


def test_the_tables_hold_the_strongest_patches_and_the_facts(page):
    model, data, arrays = page
    view = find_view(data, "causes")
    shares, tokens = array_in(arrays, "m0.causes.patch"), data["models"][0]["tokens"]
    site, layer, t = np.unravel_index(abs(shares).argmax(), shares.shape)
    first = view["tables"][1]["rows"][1]
    assert first[:2] == [f"{view['sites'][site]} {layer}", f"{t} {tokens[t]}"]
    assert np.isclose(float(first[2]), shares[site, layer, t], atol=1e-3)
    assert view["models"][0]["patched"][f"{site}/{layer}/{t}"] == first[3]
    facts = dict(view["tables"][-1]["rows"][1:4])
    assert facts["with the second text"] == f"{view['models'][0]['against']['value']:+.3f}"
    assert facts["influences of later words that are exactly 0.0"].endswith(
        f" of {len(tokens) * (len(tokens) - 1) // 2}")


def test_the_stream_of_the_one_word_that_differs_brings_the_second_texts_outputs(page):
    model, text = page[0], "the river is muddy ."
    part = find_view(causes(model, TEXT, True, against=text), "causes")["models"][0]
    subject = make_subject("", model, WORDS, text)
    top = top_outputs(subject, subject.outputs, 5)
    assert part["patched"]["0/0/2"] == ", ".join([f"{word} {p:.2f}" for word, p, _ in top])


def test_removed_heads_and_branches_are_one_matrix(page):
    model, data, arrays = page
    stored = data["models"][0]
    target = (stored["target"]["position"], stored["target"]["id"], stored["target"]["instead"])
    zero = array_in(arrays, "m0.causes.zero")
    assert zero.shape == (2, 3 + 2)
    assert np.allclose(zero[:, :3], mb.ablate(model, stored["ids"], target=target), atol=1e-5)
    rows = find_view(data, "causes")["tables"][0]["rows"]
    sizes = [abs(float(row[1])) for row in rows[1:]]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == 10
    strongest = dict((row[0], float(row[1])) for row in rows[1:])
    assert np.isclose(strongest["layer 1 MLP"], zero[1, 4], atol=1e-3)
    assert np.isclose(strongest["layer 0 head 2"], zero[0, 2], atol=1e-3)


def test_zeros_of_the_future_are_counted(page):
    model, data, arrays = page
    found = array_in(arrays, "m0.causes.influence")
    T = len(found)
    future = T * (T - 1) // 2
    zeros = sum(found[t, s] == 0 for t in range(T) for s in range(t + 1, T))
    assert find_view(data, "causes")["models"][0]["future"] == f"{zeros} of {future}"
    assert zeros == (future if isinstance(model, mb.GPT2LMHeadModel) else 0)


def test_gradients_and_replacement_count_what_helps_as_positive(page):
    model, data, arrays = page
    part, stored = find_view(data, "causes")["models"][0], data["models"][0]
    assert part["answers"] == ["rollout", "gradients", "replacement"]
    answers = array_in(arrays, "m0.causes.answers")
    target = (stored["target"]["position"], stored["target"]["id"], stored["target"]["instead"])
    mask = None if stored["causal"] else WORDS.mask_token_id
    whole = mb.integrated_gradients(model, stored["ids"], target=target, baseline=mask)
    assert np.allclose(answers[1], whole.tokens, atol=1e-4)
    if mask is not None:  # the word that is replaced by [MASK] in the text itself
        ids = np.array([stored["ids"]])
        ids[0, 2] = mask
        logits = model.eval()(ids).prediction_logits.data[0, target[0]]
        assert np.isclose(part["value"] - logits[list(target[1:])] @ [1, -1], answers[2, 2],
                          atol=1e-4)
    assert np.allclose(answers[0].sum(), 1, atol=1e-5)


def test_quick_takes_less(page):
    model = page[0]
    arrays = encoded(causes(model, TEXT, quick=True, against=OTHER))["arrays"]
    assert arrays["m0.causes.patch"]["shape"][0] == 1 and "m0.causes.mean" not in arrays


def test_texts_of_unequal_length_are_refused():
    with pytest.raises(InputError, match="as 6 and 4 tokens"):
        mb.look(gpt(WORDS), WORDS, TEXT, against="the river .")


def test_equal_texts_have_no_difference_to_recover():
    data = causes(gpt(WORDS), TEXT, against=TEXT)
    assert "no difference" in " ".join(find_view(data, "causes")["models"][0]["notes"])
    assert "m0.causes.patch" not in data["arrays"]


def test_ranks_of_sizes_ignore_signs_and_rounding():
    numbers = np.array([[3.0, -2.0, 1.0], [-30.0, 20.0, 10.0], [1e-15, 0.0, 2e-16], [1.0, 2, 3]])
    table = rank_correlations(numbers)
    assert table[0] == ["1.00", "1.00", "", "-1.00"] and table[2] == [""] * 4


def test_a_classifier_has_causes_but_no_influence():
    model = bert(WORDS, mb.BertForSequenceClassification)
    part = find_view(causes(model, TEXT), "causes")["models"][0]
    assert "no logits" in " ".join(part["notes"]) and part["answers"]


@pytest.mark.parametrize("quick", [False, True])
def test_interventions_are_counted(page, monkeypatch, quick):
    """Each is a row of a batch; those with gradients count three times. Few rows are besides: the
    texts as they are."""
    rows, model = [], page[0]
    subject = make_subject("", model, WORDS, TEXT, against=OTHER)
    forward = type(model).forward

    def counted(self, input_ids=None, **inputs):
        rows.append(len(np.atleast_2d(input_ids)) * (np.size(input_ids) > 1))  # not hook_names'
        return forward(self, input_ids, **inputs)

    monkeypatch.setattr(type(model), "forward", counted)
    causes(model, TEXT, quick, against=OTHER)
    expected = interventions(subject, quick) - 2 * (len(subject.ids) + (16 if quick else 64))
    assert expected <= sum(rows) <= expected + 15


def test_long_interventions_are_announced(capsys, monkeypatch):
    subject = make_subject("", gpt(WORDS), WORDS, TEXT)
    announce([subject], True)
    assert capsys.readouterr().err == ""
    operations = 2 * 6 * sum([p.size for p in subject.model.parameters()])
    monkeypatch.setattr("minibert.cli.look.SPEED", operations)
    announce([subject], False)
    runs = interventions(subject, False)
    assert capsys.readouterr().err == (f"{runs} interventions take about {runs} s; --quick takes "
                                       "fewer\n")
