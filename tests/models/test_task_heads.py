"""The heads of fine-tuning: choices, spans, the last token, and what their labels cost."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.small_models import (B, C, PAD, T, assert_equal_gradients, batch, bert_config,
                                       gpt2_config, gradients, small, tensors_of)

import minibert as mb
from minibert.errors import InputError
from minibert.models.losses import (classification_loss, multi_label_loss, problem_type,
                                    regression_loss, span_loss, token_loss)

SEEDS = st.integers(0, 2**32 - 1)
CHOICES = 4


def choice_batch(seed=0):
    """Ids, segments and mask (B, choices, T), each text of its own length."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, T + 1, (B, CHOICES, 1))
    return {"input_ids": rng.integers(0, PAD, (B, CHOICES, T)),
            "token_type_ids": rng.integers(0, 2, (B, CHOICES, T)),
            "attention_mask": (np.arange(T) < lengths).astype(int)}


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


# ---- multiple choice ---------------------------------------------------------------------------


@given(seed=SEEDS)
def test_each_choice_is_read_alone_as_a_classifier_with_one_label_reads_it(seed):
    model, inputs = small(mb.BertForMultipleChoice, seed), choice_batch(seed)
    alone = small(mb.BertForSequenceClassification, seed, num_labels=1)
    output = model(**inputs, output_hidden_states=True)
    assert output.logits.shape == (B, CHOICES)
    for row in range(B):
        one = alone(**{name: array[row] for name, array in inputs.items()})
        np.testing.assert_allclose(output.logits.data[row], one.logits.data[:, 0], rtol=0,
                                   atol=1e-11)
    assert output.hidden_states[0].shape == (B * CHOICES, T, C)


def test_the_loss_compares_the_choices_of_one_question():
    model, inputs = small(mb.BertForMultipleChoice), choice_batch()
    labels = np.array([2, 0, 3])
    output = model(**inputs, labels=labels)
    expected = -log_softmax(output.logits.data)[np.arange(B), labels].mean()
    np.testing.assert_allclose(output.loss.item(), expected, rtol=1e-13)
    found = gradients(model, output.loss)
    scale = max(abs(gradient).max() for gradient in found.values())
    assert abs(found["classifier.bias"]).max() < 1e-14 * scale  # the softmax is blind to it
    assert all((found[name] != 0).all() for name in ("classifier.weight",
                                                     "bert.pooler.dense.weight"))


@settings(max_examples=8)
@given(seed=SEEDS, reference=st.booleans())
def test_gradcheck_of_multiple_choice(seed, reference):
    model = small(mb.BertForMultipleChoice, seed, classifier_dropout=0.3)
    inputs = choice_batch(seed)
    labels = np.random.default_rng(seed).integers(0, CHOICES, B)

    def loss():
        return model(**inputs, labels=labels, rng=np.random.default_rng(seed)).loss

    if reference:
        with mb.reference():
            mb.gradcheck_parameters(loss, dict(model.named_parameters()), coordinates=1, seed=seed)
    else:
        mb.gradcheck_parameters(loss, dict(model.named_parameters()), coordinates=1, seed=seed)


def test_embeddings_and_positions_of_choices():
    model, inputs = small(mb.BertForMultipleChoice), choice_batch()
    expected = model(**inputs).logits.data
    places = np.broadcast_to(np.arange(T), (B, CHOICES, T))
    np.testing.assert_allclose(model(**inputs, position_ids=places).logits.data, expected,
                               rtol=0, atol=1e-12)
    moved = model(**inputs, position_ids=places + 1).logits.data
    assert (moved != expected).all()
    words = model.bert.embeddings.word_embeddings.weight.data[inputs.pop("input_ids")]
    for embeddings in (words, mb.Tensor(words)):
        np.testing.assert_array_equal(model(**inputs, inputs_embeds=embeddings).logits.data,
                                      expected)


# ---- question answering ------------------------------------------------------------------------


@given(seed=SEEDS)
def test_span_loss_counts_only_what_lies_in_the_window(seed):
    rng = np.random.default_rng(seed)
    start_logits, end_logits = rng.normal(size=(2, B, T))
    starts, ends = rng.integers(0, 2 * T, (2, B))
    mean = span_loss(mb.Tensor(start_logits), mb.Tensor(end_logits), starts, ends).item()
    total = span_loss(mb.Tensor(start_logits), mb.Tensor(end_logits), starts, ends, "sum").item()
    wanted_mean, wanted_sum = 0.0, 0.0
    for logits, positions in ((start_logits, starts), (end_logits, ends)):
        losses = [-log_softmax(logits)[b, positions[b]] for b in range(B) if positions[b] < T]
        wanted_sum += sum(losses) / 2
        wanted_mean += np.mean(losses) / 2 if losses else 0.0
    np.testing.assert_allclose([mean, total], [wanted_mean, wanted_sum], rtol=1e-12)


def test_a_question_answering_model_knows_starts_from_ends():
    model, inputs = small(mb.BertForQuestionAnswering), batch(mb.BertForQuestionAnswering)
    output = model(**inputs)
    assert output.loss is None and output.start_logits.shape == output.end_logits.shape == (B, T)
    x = model.bert(**inputs).last_hidden_state.data
    weight, bias = model.qa_outputs.weight.data, model.qa_outputs.bias.data
    np.testing.assert_allclose(output.start_logits.data, x @ weight[0] + bias[0], atol=1e-12)
    np.testing.assert_allclose(output.end_logits.data, x @ weight[1] + bias[1], atol=1e-12)
    assert model(**inputs, start_positions=np.zeros(B, int)).loss is None  # half a span
    assert model(**inputs, end_positions=np.zeros(B, int)).loss is None
    with pytest.raises(InputError, match="two scores to a token.* num_labels = 3: set it to 2"):
        mb.BertForQuestionAnswering(bert_config(num_labels=3))


# ---- GPT-2: the last token ---------------------------------------------------------------------


@given(seed=SEEDS, left=st.booleans())
def test_the_last_token_speaks_for_the_text(seed, left):
    model = small(mb.GPT2ForSequenceClassification, seed, num_labels=3)
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, T + 1, B)
    ids = batch(mb.GPT2ForSequenceClassification, seed)["input_ids"]
    mask = np.arange(T) < lengths[:, None]
    mask = mask[:, ::-1] if left else mask
    padded = np.where(mask, ids, PAD)
    logits = model(padded, attention_mask=mask.astype(int)).logits.data
    assert logits.shape == (B, 3)
    for row in range(B):
        places = np.flatnonzero(mask[row])
        x = model.transformer(ids[row, places][None], position_ids=places).last_hidden_state.data
        np.testing.assert_allclose(logits[row], x[0, -1] @ model.score.weight.data.T, rtol=0,
                                   atol=1e-11)


def test_without_a_padding_token_there_is_one_text_at_a_time():
    model = small(mb.GPT2ForSequenceClassification, pad_token_id=None)
    ids = batch(mb.GPT2ForSequenceClassification)["input_ids"]
    with pytest.raises(InputError, match="a batch of 3 texts needs padding.*pad_token_id is None"):
        model(ids)
    padded = small(mb.GPT2ForSequenceClassification)(ids).logits.data
    np.testing.assert_allclose(model(ids[:1]).logits.data, padded[:1], rtol=0, atol=1e-12)


def test_embeddings_do_not_show_their_padding():
    model = small(mb.GPT2ForSequenceClassification)
    x = np.random.default_rng(0).normal(size=(B, T, C))
    mask = np.ones((B, T), int)
    mask[1, :3] = 0
    assert model(inputs_embeds=x, attention_mask=mask).logits.shape == (B, 2)
    with pytest.raises(InputError, match="inputs_embeds do not show where the padding"):
        model(inputs_embeds=x, attention_mask=mask[:, ::-1])


# ---- losses ------------------------------------------------------------------------------------


@given(seed=SEEDS)
def test_the_losses_are_what_the_logits_say(seed):
    rng = np.random.default_rng(seed)
    K = 4
    logits, token_logits = rng.normal(size=(B, K)), rng.normal(size=(B, T, K))
    weight = rng.uniform(0.1, 3.0, K)
    labels = rng.integers(0, K, B)
    each = -log_softmax(logits)[np.arange(B), labels] * weight[labels]
    total = classification_loss(mb.Tensor(logits), labels, weight, "sum").item()
    mean = classification_loss(mb.Tensor(logits), labels, weight).item()
    np.testing.assert_allclose([total, mean], [each.sum(), each.sum() / weight[labels].sum()])

    tags = np.where(rng.random((B, T)) < 0.5, rng.integers(0, K, (B, T)), -100)
    tags[0, 0] = 1
    asked = tags != -100
    each = -log_softmax(token_logits)[asked, tags[asked]] * weight[tags[asked]]
    total = token_loss(mb.Tensor(token_logits), tags, weight, "sum").item()
    mean = token_loss(mb.Tensor(token_logits), tags, weight).item()
    np.testing.assert_allclose([total, mean], [each.sum(), each.sum() / weight[tags[asked]].sum()])

    wanted = rng.integers(0, 2, (B, K)).astype(float)
    p = 1 / (1 + np.exp(-logits))
    each = -wanted * np.log(p) - (1 - wanted) * np.log(1 - p)
    found = [multi_label_loss(mb.Tensor(logits), wanted, how).item() for how in ("sum", "mean")]
    np.testing.assert_allclose(found, [each.sum(), each.mean()])

    numbers = rng.normal(size=B)
    each = (logits[:, 0] - numbers) ** 2
    found = [regression_loss(mb.Tensor(logits[:, :1]), numbers, how).item()
             for how in ("sum", "mean")]
    np.testing.assert_allclose(found, [each.sum(), each.mean()])


def test_losses_keep_float32_and_give_gradients():
    logits = mb.Tensor(np.ones((B, 2), np.float32), requires_grad=True)
    for loss in (classification_loss(logits, [0, 1, 1], weight=[1.0, 2.5]),
                 multi_label_loss(logits, np.ones((B, 2))), regression_loss(logits, np.eye(3, 2)),
                 token_loss(logits.reshape(1, B, 2), [[0, -100, 1]])):
        logits.grad = None
        loss.backward()
        assert loss.dtype == logits.grad.dtype == np.float32 and logits.grad.any()


def test_the_problem_type_is_guessed_as_hugging_face_does():
    one, two = bert_config(num_labels=1), gpt2_config(num_labels=2)
    assert problem_type(one, [1, 2, 3]) == problem_type(one, [0.5, 1.0]) == "regression"
    assert problem_type(two, [0, 1, 1]) == "single_label_classification"
    assert problem_type(two, [[0.0, 1.0]]) == "multi_label_classification"
    fixed = bert_config(num_labels=2, problem_type="regression")
    assert problem_type(fixed, [0, 1]) == "regression"


@pytest.mark.parametrize("model_class", [mb.BertForSequenceClassification,
                                         mb.GPT2ForSequenceClassification])
def test_a_sequence_classifier_has_the_loss_of_its_problem(model_class):
    inputs = batch(model_class)
    three = small(model_class, num_labels=3)
    logits = three(**inputs).logits
    for labels, expected in (
            ([2, 0, 1], classification_loss(logits, [2, 0, 1])),
            (np.eye(3), multi_label_loss(logits, np.eye(3)))):
        assert three(**inputs, labels=labels).loss.item() == expected.item()
    vectors = small(model_class, num_labels=3, problem_type="regression")
    assert vectors(**inputs, labels=np.eye(3)).loss.item() == regression_loss(
        logits, np.eye(3)).item()
    one = small(model_class, num_labels=1)
    assert one(**inputs, labels=[1, 2, 3]).loss.item() == one(
        **inputs, labels=[[1.0], [2.0], [3.0]]).loss.item() == regression_loss(
        one(**inputs).logits, np.array([1, 2, 3])).item()


# ---- dropout, and what a user can get wrong ----------------------------------------------------


@pytest.mark.parametrize("model_class", [mb.BertForSequenceClassification,
                                         mb.BertForTokenClassification, mb.BertForMultipleChoice])
def test_the_classifiers_dropout(model_class):
    inputs = choice_batch() if model_class is mb.BertForMultipleChoice else batch(model_class)
    model = small(model_class, hidden_dropout_prob=0.5, classifier_dropout=0.0)
    assert model.dropout.p == 0.0 and small(model_class, hidden_dropout_prob=0.5).dropout.p == 0.5
    model = small(model_class, classifier_dropout=0.5)
    plain = tensors_of(small(model_class)(**inputs))["logits"].data
    with mb.trace() as seen:
        noisy = model(**inputs, rng=np.random.default_rng(0)).logits.data
    assert [record.module for record in seen.records if record.op == "dropout"] == ["dropout"]
    assert (noisy != plain).any()
    np.testing.assert_array_equal(model.eval()(**inputs).logits.data, plain)


def refused(message, function, *arguments, **named):
    with pytest.raises(InputError, match=message) as error:
        function(*arguments, **named)
    assert "\n" not in str(error.value)


def test_labels_that_do_not_fit():
    inputs = batch(mb.BertForSequenceClassification)
    classifier, numbers = (small(mb.BertForSequenceClassification, num_labels=n) for n in (2, 1))
    refused("labels: 2 is out of range: expected 0 to 1", classifier, **inputs,
            labels=[0, 1, 2])
    refused("labels: -100 is out of range", classifier, **inputs, labels=[0, 1, -100])
    refused(r"labels: got shape \(2,\): expected \(3,\)", classifier, **inputs, labels=[0, 1])
    refused("labels: a number is not finite", numbers, **inputs, labels=[0.5, np.nan, 1.0])
    refused(r"labels: got float64 of shape \(2,\): expected numbers of shape \(3, 1\)", numbers,
            **inputs, labels=[0.5, 1.0])
    refused("labels: probabilities lie between 0 and 1, got 0.0 to 2.0", classifier, **inputs,
            labels=np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]]))
    refused(r"labels: got shape \(3,\): expected \(3, 7\)", small(mb.BertForTokenClassification),
            **inputs, labels=[0, 1, 1])
    questions = small(mb.BertForQuestionAnswering)
    refused(r"start_positions: expected 3 whole numbers from 0, got \[0, -1, 2\]", questions,
            **inputs, start_positions=[0, -1, 2], end_positions=[0, 1, 2])
    refused("end_positions: expected 3 whole numbers", questions, **inputs,
            start_positions=[0, 1, 2], end_positions=[[0], [1], [2]])
    choice = small(mb.BertForMultipleChoice)
    refused(r"got shape \(3, 7\): expected \(batch, choices, tokens\)", choice, **inputs)
    refused(r"got shape \(3, 0, 7\): expected", choice, np.zeros((B, 0, T), int))
    refused("labels: 4 is out of range", choice, **choice_batch(), labels=[0, 4, 1])
    refused("either input_ids or inputs_embeds", choice)


@pytest.mark.parametrize("message, changes", [
    ("num_labels = 0: expected a whole number from 1", {"num_labels": 0}),
    ("num_labels = True", {"num_labels": True}), ("num_labels = 10*: exp", {"num_labels": 10**12}),
    ("num_labels = 2, but id2label names 3 labels", {"num_labels": 2, "id2label": {0: "a", 1: "b",
                                                                                  2: "c"}}),
    ("expected a different name for each number", {"id2label": {1: "a", 2: "b"}}),
    ("expected a different name for each number", {"id2label": {0: "a", 1: "a"}}),
    ("expected a different name for each number", {"id2label": {0: "a", 1: 7}}),
    ("expected a different name for each number", {"id2label": ["a", "b"]}),
    ("problem_type = 'ranking': expected one of", {"problem_type": "ranking"}),
    ("needs two labels or more", {"num_labels": 1, "problem_type": "single_label_classification"}),
])
@pytest.mark.parametrize("make", [bert_config, gpt2_config])
def test_labels_that_a_config_refuses(message, changes, make):
    refused(message, make, **changes)
    refused("classifier_dropout = 1.5", bert_config, classifier_dropout=1.5)


def test_labels_of_a_config():
    config = mb.BertConfig(id2label={"1": "yes", "0": "no"})
    assert list(config.id2label.items()) == [(0, "no"), (1, "yes")] and config.num_labels == 2
    assert mb.GPT2Config().id2label == {0: "LABEL_0", 1: "LABEL_1"}
    wider = dataclasses.replace(mb.GPT2Config(), num_labels=3)
    assert wider.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    with pytest.raises(InputError, match="change both"):
        dataclasses.replace(config, num_labels=3)


def test_gradients_of_the_sum_of_shares_are_those_of_the_whole():
    """As a trainer with several workers sums them."""
    model, inputs = small(mb.BertForTokenClassification), batch(mb.BertForTokenClassification)
    labels = np.where(np.arange(T) % 2, -100, np.arange(T) % 4 // 2) * np.ones((B, 1), int)
    whole = gradients(model, model(**inputs, labels=labels).loss)
    parts = [token_loss(model(**{n: ids[rows] for n, ids in inputs.items()}).logits, labels[rows],
                        reduction="sum") for rows in (slice(0, 1), slice(1, 3))]
    assert_equal_gradients(gradients(model, sum(parts[1:], parts[0]) / int((labels >= 0).sum())),
                           whole)
