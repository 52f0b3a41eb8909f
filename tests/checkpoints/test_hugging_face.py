"""Model folders: round trips, the names that Hugging Face writes, and the names others wrote."""

import json
import shutil
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from tests.models.small_models import each_variant, small, variant_changes

import minibert as mb
import minibert.nn.block
from minibert.autograd.head_layout import HeadLayout
from minibert.checkpoints.safetensors import load_file, save_file
from minibert.errors import InputError
from minibert.nn.block import BlockConfig, FeedForward
from minibert.nn.layers import Linear
from minibert.validate import checked, flag

REFERENCE = Path(__file__).parents[1] / "models" / "reference"
CLASSES = [mb.BertModel, mb.BertForPreTraining, mb.BertForMaskedLM,
           mb.BertForNextSentencePrediction, mb.BertForSequenceClassification,
           mb.BertForMultipleChoice, mb.BertForTokenClassification, mb.BertForQuestionAnswering,
           mb.GPT2Model, mb.GPT2LMHeadModel, mb.GPT2ForSequenceClassification,
           mb.BartModel, mb.BartForConditionalGeneration]
BERT = mb.BertConfig(vocab_size=11, hidden_size=8, num_hidden_layers=12, num_attention_heads=2,
                     intermediate_size=6, max_position_embeddings=9, type_vocab_size=3)
GPT2 = mb.GPT2Config(vocab_size=11, n_embd=8, n_layer=12, n_head=2, n_positions=9)


BART = mb.BartConfig(vocab_size=11, d_model=12, encoder_layers=2, encoder_attention_heads=2,
                     encoder_ffn_dim=6, decoder_layers=3, decoder_attention_heads=3,
                     decoder_ffn_dim=7, max_position_embeddings=9)


def quietly(model_class, folder):
    """The model, and no warning on the way."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model_class.from_pretrained(folder)


def same(one, other):
    assert type(one) is type(other) and one.config == other.config
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, array in one.state_dict().items():
        assert other.state_dict()[name].dtype == array.dtype
        np.testing.assert_array_equal(other.state_dict()[name], array, err_msg=name)


@each_variant(CLASSES)
def test_a_round_trip_changes_nothing(tmp_path, model_class, variant):
    config, sizes = {mb.BertConfig: (BERT, {"hidden_size": 12, "num_hidden_layers": 2}),
                     mb.GPT2Config: (GPT2, {"n_embd": 12, "n_layer": 2}),
                     mb.BartConfig: (BART, {})}[model_class.config_class]
    check_round_trip(tmp_path, model_class, replace(
        config, **sizes | variant_changes(model_class, variant)), np.float32)


@pytest.mark.parametrize("model_class", [mb.BertForPreTraining, mb.GPT2LMHeadModel])
def test_a_round_trip_of_twelve_layers_in_float64(tmp_path, model_class):
    config = BERT if model_class.config_class is mb.BertConfig else GPT2
    check_round_trip(tmp_path, model_class, config, np.float64)


def check_round_trip(tmp_path, model_class, config, dtype):
    model = model_class(config, rng=1).astype(dtype)
    for parameter in model.parameters():
        parameter.data += np.arange(parameter.size, dtype=dtype).reshape(parameter.shape)
    model.save_pretrained(tmp_path / "new" / "folder")
    again = quietly(model_class, tmp_path / "new" / "folder")
    same(model, again)
    assert not again.training
    if config.tie_word_embeddings and hasattr(model, "mlm_head"):
        assert again.mlm_head.decoder is again.bert.embeddings.word_embeddings.weight


@pytest.mark.parametrize("model_class", CLASSES)
def test_what_is_written_has_the_names_and_values_of_hugging_faces_file(tmp_path, model_class):
    theirs = REFERENCE / model_class.__name__
    quietly(model_class, theirs).save_pretrained(tmp_path)
    ours = load_file(tmp_path / "model.safetensors")
    expected = load_file(theirs / "model.safetensors")
    assert ours.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)
    config = json.loads((tmp_path / "config.json").read_text())
    assert list(config) == sorted(config)
    expected = json.loads((theirs / "config.json").read_text())
    if "Bart" in model_class.__name__:
        assert config.pop("num_labels", 3) == 3
    assert config.items() <= expected.items()
    assert config["architectures"] == [model_class.__name__] and config["dtype"] == "float64"


@pytest.mark.parametrize("name, labels", [
    ("BertForSequenceClassification", {0: "no", 1: "maybe", 2: "yes"}),
    ("BertForSequenceClassification_regression", {0: "LABEL_0"}),
    ("BertForMultipleChoice", {0: "LABEL_0", 1: "LABEL_1"}),
    ("GPT2ForSequenceClassification", {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"})])
def test_labels_keep_their_names(tmp_path, name, labels):
    model = quietly(getattr(mb, name.partition("_")[0]), REFERENCE / name)
    assert model.config.id2label == labels and model.config.num_labels == len(labels)
    assert model.config.label2id == {label: number for number, label in labels.items()}
    model.save_pretrained(tmp_path)
    ours = json.loads((tmp_path / "config.json").read_text())
    theirs = json.loads((REFERENCE / name / "config.json").read_text())
    for field in ("id2label", "label2id", "num_labels", "problem_type", "classifier_dropout"):
        assert ours.get(field) == theirs.get(field), field


def test_a_new_head_takes_new_labels():
    """A pre-trained folder, fine-tuned for its own labels; one with a head of other labels."""
    with pytest.warns(UserWarning) as seen:
        model = mb.BertForSequenceClassification.from_pretrained(
            REFERENCE / "BertForPreTraining", id2label={0: "a", 1: "b", 2: "c"},
            hidden_dropout_prob=0.25, problem_type="regression")
    messages = [str(warning.message) for warning in seen]
    assert "holds no classifier.weight, classifier.bias: freshly drawn" in messages[0]
    assert "does not use cls.predictions.bias, cls.predictions.transform" in messages[1]
    assert model.config.num_labels == 3 and model.classifier.weight.shape == (3, 12)
    assert model.config.hidden_dropout_prob == 0.25 == model.dropout.p
    assert model.config.problem_type == "regression"
    pretrained = quietly(mb.BertForPreTraining, REFERENCE / "BertForPreTraining").bert
    for name, array in pretrained.state_dict().items():
        np.testing.assert_array_equal(model.bert.state_dict()[name], array)

    three = REFERENCE / "BertForSequenceClassification"
    with pytest.raises(InputError, match="num_labels = 5, but classifier.weight has .*3, 12."):
        mb.BertForSequenceClassification.from_pretrained(three, num_labels=5)
    with pytest.raises(InputError, match="there is no field num_label of BertConfig"):
        mb.BertForSequenceClassification.from_pretrained(three, num_label=5)


def test_a_new_head_is_drawn_with_the_generator():
    heads = []
    for rng in (0, 3, 3, np.random.default_rng(3), None):
        with pytest.warns(UserWarning, match="holds no score.weight: freshly drawn"):
            model = mb.GPT2ForSequenceClassification.from_pretrained(REFERENCE / "GPT2LMHeadModel",
                                                                     rng=rng)
        heads.append(model.score.weight.data)
    assert (heads[0] != heads[1]).all()
    np.testing.assert_array_equal(heads[1], heads[2])
    np.testing.assert_array_equal(heads[1], heads[3])
    assert heads[4].all(), "None: any seed"


def rewritten(tmp_path, model_class, change, **config_changes):
    """The reference folder of a class with its arrays put through `change`."""
    source = REFERENCE / model_class.__name__
    save_file(change(load_file(source / "model.safetensors")), tmp_path / "model.safetensors")
    config = json.loads((source / "config.json").read_text()) | config_changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def without_prefix(arrays):
    return {name.removeprefix("bert.").removeprefix("transformer."): array
            for name, array in arrays.items()}


def with_prefix(arrays):
    prefix = "transformer." if "wte.weight" in arrays else "bert."
    return {prefix + name: array for name, array in arrays.items()}


def with_gamma_and_beta(arrays):
    return {name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta"): array for name, array in arrays.items()}


def with_buffers(arrays):
    more = {"bert.embeddings.position_ids": np.arange(9)[None],
            "cls.predictions.decoder.weight": arrays["bert.embeddings.word_embeddings.weight"],
            "cls.predictions.decoder.bias": arrays["cls.predictions.bias"]}
    return arrays | more


def with_gpt_buffers(arrays):
    more = {"lm_head.weight": arrays["transformer.wte.weight"]}
    for i in (0, 1):
        more[f"transformer.h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 9, 9), np.uint8))
        more[f"transformer.h.{i}.attn.masked_bias"] = np.array(-1e4)
    return arrays | more


def with_copies(arrays):
    words = arrays["model.shared.weight"]
    return arrays | {"model.encoder.embed_tokens.weight": words, "lm_head.weight": words,
                     "model.decoder.embed_tokens.weight": words,
                     "model.encoder.version": np.ones(1)}


@pytest.mark.parametrize("model_class, change", [
    (mb.BartForConditionalGeneration, with_copies),
    (mb.BertForPreTraining, without_prefix), (mb.BertModel, with_prefix),
    (mb.GPT2LMHeadModel, without_prefix), (mb.GPT2Model, with_prefix),
    (mb.BertForPreTraining, with_gamma_and_beta), (mb.BertForPreTraining, with_buffers),
    (mb.GPT2LMHeadModel, with_gpt_buffers)])
def test_published_namings(tmp_path, model_class, change):
    expected = quietly(model_class, REFERENCE / model_class.__name__)
    same(expected, quietly(model_class, rewritten(tmp_path, model_class, change)))


def test_an_untied_decoder_has_a_bias_of_its_own(tmp_path):
    def change(arrays):
        return arrays | {"cls.predictions.decoder.weight": np.full((17, 12), 2.0),
                         "cls.predictions.decoder.bias": np.arange(17.0)}

    folder = rewritten(tmp_path, mb.BertForMaskedLM, change, tie_word_embeddings=False)
    model = quietly(mb.BertForMaskedLM, folder)
    np.testing.assert_array_equal(model.mlm_head.bias.data, np.arange(17.0))
    np.testing.assert_array_equal(model.mlm_head.decoder.data, 2.0)
    model.save_pretrained(tmp_path / "again")
    written = load_file(tmp_path / "again" / "model.safetensors")
    np.testing.assert_array_equal(written["cls.predictions.decoder.bias"], np.arange(17.0))
    assert written.keys() == load_file(folder / "model.safetensors").keys()


@pytest.mark.parametrize("dtype, kept", [(np.float16, np.float32), (np.float32, np.float32)])
def test_half_precision_is_read_as_float32(tmp_path, dtype, kept):
    def change(arrays):
        return {name: array.astype(dtype) for name, array in arrays.items()}

    model = quietly(mb.GPT2Model, rewritten(tmp_path, mb.GPT2Model, change))
    expected = quietly(mb.GPT2Model, REFERENCE / "GPT2Model").state_dict()
    for name, array in model.state_dict().items():
        assert array.dtype == kept
        np.testing.assert_array_equal(array, expected[name].astype(dtype).astype(kept))


def test_missing_heads_are_drawn_and_named():
    with pytest.warns(UserWarning, match="holds no mlm_head.dense.weight.*nsp_head.*drawn") as seen:
        model = mb.BertForPreTraining.from_pretrained(REFERENCE / "BertModel")
    assert len(seen) == 1
    bare = quietly(mb.BertModel, REFERENCE / "BertModel")
    for name, array in bare.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[f"bert.{name}"], array)
    head = model.nsp_head.weight.data
    assert head.dtype == np.float64 and 0 < abs(head).max() < 0.05
    assert (model.mlm_head.norm.weight.data == 1).all()


def test_superfluous_weights_are_named():
    message = "BertModel does not use cls.predictions.bias.*seq_relationship"
    with pytest.warns(UserWarning, match=message) as seen:
        model = mb.BertModel.from_pretrained(REFERENCE / "BertForPreTraining")
    assert len(seen) == 1 and "decoder" not in str(seen[0].message)
    full = quietly(mb.BertForPreTraining, REFERENCE / "BertForPreTraining")
    same(model, full.bert.eval())


def without(*names):
    def change(arrays):
        return {name: array for name, array in arrays.items() if not name.endswith(names)}
    return change


def test_a_bare_model_must_be_whole(tmp_path):
    folder = rewritten(tmp_path, mb.BertModel, without("layer.1.attention.self.key.bias"))
    with pytest.raises(InputError, match="stack.blocks.1.attention.qkv.bias"):
        mb.BertModel.from_pretrained(folder)


@pytest.mark.parametrize("model_class, changes, message", [
    (mb.BertModel, {"vocab_size": 18}, "vocab_size = 18, but embeddings.word_.* set it to 17"),
    (mb.BertModel, {"vocab_size": 16}, "vocab_size = 16"),
    (mb.BertModel, {"vocab_size": 10**15}, "vocab_size = 1000000000000000"),
    (mb.BertModel, {"hidden_size": 24}, r"hidden_size = 24, .* shape \(17, 12\)"),
    (mb.BertModel, {"intermediate_size": 10**9}, "intermediate_size = 1000000000, but stack"),
    (mb.BertModel, {"max_position_embeddings": 8}, "max_position_embeddings = 8"),
    (mb.BertModel, {"type_vocab_size": 4}, "type_vocab_size = 4"),
    (mb.BertModel, {"num_hidden_layers": 10**12}, "num_hidden_layers = 10*, .* of 2 layers"),
    (mb.BartModel, {"encoder_layers": 3}, "encoder_layers = 3, .* of 2 layers; set it to 2"),
    (mb.BartModel, {"decoder_layers": 2}, "decoder_layers = 2, .* of 1 layers; set it to 1"),
    (mb.BartModel, {"decoder_ffn_dim": 5}, "decoder_ffn_dim = 5, but decoder.stack.* to 11"),
    (mb.BartModel, {"encoder_layerdrop": 0.1}, "BartConfig: encoder_layerdrop is 0.1: only 0"),
    (mb.BartModel, {"static_position_embeddings": True}, "BartConfig: static_position_embeddings"),
    (mb.BartModel, {"normalize_before": True}, "BartConfig: normalize_before is True"),
    (mb.BartModel, {"model_type": "t5"}, "model_type 't5' is unknown: .* bert, gpt2, bart"),
    (mb.GPT2Model, {"n_layer": 3}, "n_layer = 3, but model.safetensors holds .* 2 layers"),
    (mb.GPT2Model, {"n_embd": 9}, "n_embd = 9, but embeddings.word_embeddings.weight"),
    (mb.GPT2LMHeadModel, {"n_inner": 7}, "n_inner = 7"),
])
def test_sizes_that_are_not_those_of_the_weights(tmp_path, model_class, changes, message):
    with pytest.raises(InputError, match=f"config.json: {message}"):
        model_class.from_pretrained(rewritten(tmp_path, model_class, dict, **changes))


def test_barts_bias_of_the_logits_may_be_missing_and_copies_may_not_differ(tmp_path):
    """The files of BARTs that were saved without the head have no bias: it is zero."""
    bart = mb.BartForConditionalGeneration
    model = quietly(bart, rewritten(tmp_path, bart, without("final_logits_bias")))
    assert model.final_logits_bias.shape == (1, 17) and not model.final_logits_bias.data.any()
    with pytest.warns(UserWarning, match="BartModel does not use final_logits_bias"):
        mb.BartModel.from_pretrained(REFERENCE / bart.__name__)

    def change(arrays):
        return arrays | {"model.decoder.embed_tokens.weight": np.ones((17, 12))}

    with pytest.raises(InputError, match="decoder.embed_tokens.weight and .*shared.* differ"):
        bart.from_pretrained(rewritten(tmp_path, bart, change))


def test_a_model_larger_than_its_file_is_not_built(tmp_path):
    """Layers that are there in name only: no memory is taken before they are missed."""
    def change(arrays):
        return arrays | {f"encoder.layer.{i}.nothing": np.zeros(0) for i in range(3000)}

    with pytest.raises(InputError, match="stack.blocks.2.* are missing, and 35972 more"):
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, change,
                                               num_hidden_layers=3000))


def test_weights_whose_shapes_do_not_fit(tmp_path):
    def change(arrays):
        return arrays | {"pooler.dense.bias": np.zeros(13)}

    with pytest.raises(InputError, match="config.json does not fit model.saf.*pooler.dense.bias"):
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, change))

    def flat(arrays):
        return arrays | {"encoder.layer.1.attention.self.key.weight": np.zeros(144)}

    with pytest.raises(InputError, match="key.weight.*do not go together"):
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, flat))

    def integers(arrays):
        return arrays | {"pooler.dense.bias": np.zeros(12, np.int64)}

    with pytest.raises(InputError, match="pooler.dense.bias: a weight of dtype I64"):
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, integers))


def sharded(tmp_path, model_class, **changes):
    """The reference folder of a class with its weights in three files and an index."""
    source = REFERENCE / model_class.__name__
    shutil.copy(source / "config.json", tmp_path)
    arrays = load_file(source / "model.safetensors")
    names = [f"model-0000{1 + i % 3}-of-00003.safetensors" for i in range(len(arrays))]
    weight_map = dict(zip(arrays, names))
    for file_name in set(names):
        save_file({name: arrays[name] for name in arrays if weight_map[name] == file_name},
                  tmp_path / file_name)
    for name, file_name in changes.items():
        weight_map[name.replace("__", ".")] = file_name
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


@pytest.mark.parametrize("model_class", [mb.BertForPreTraining, mb.GPT2LMHeadModel])
def test_a_model_in_several_files(tmp_path, model_class):
    expected = quietly(model_class, REFERENCE / model_class.__name__)
    folder = sharded(tmp_path, model_class)
    same(expected, quietly(model_class, folder))


@pytest.mark.parametrize("changes, message", [
    ({"ln_f__bias": "model-00002-of-00003.safetensors"}, "ln_f.bias"),
    ({"more": "model-00001-of-00003.safetensors"}, "weight_map: more is not in model-00001"),
    ({"more": "model-00004-of-00003.safetensors"}, "which is not in the folder: copy"),
    ({"more": "../model.safetensors"}, "is no name of a safetensors file in this folder"),
    ({"more": "/dev/zero"}, "is no name of a"), ({"more": "config.json"}, "is no name of a"),
    ({"more": 7}, "7 is no name of a"),
])
def test_an_index_that_does_not_fit(tmp_path, changes, message):
    with pytest.raises(InputError, match=f"index.json: .*{message}"):
        mb.GPT2Model.from_pretrained(sharded(tmp_path, mb.GPT2Model, **changes))


def test_an_index_that_leaves_weights_out(tmp_path):
    folder = sharded(tmp_path, mb.GPT2Model)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    place = index["weight_map"].pop("ln_f.bias")
    path.write_text(json.dumps(index))
    with pytest.raises(InputError, match=f"says nothing of ln_f.bias in {place}"):
        mb.GPT2Model.from_pretrained(folder)
    path.write_text('{"weight_map": {}}')
    with pytest.raises(InputError, match="field weight_map: expected names"):
        mb.GPT2Model.from_pretrained(folder)


def test_names_with_and_without_prefix_at_once(tmp_path):
    def change(arrays):
        return arrays | {"bert.pooler.dense.bias": np.zeros(12)}

    with pytest.raises(InputError, match="model.safetensors: some weights stand there twice"):
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, change))


@pytest.mark.parametrize("message, changes", [
    ("a model of type 'gpt2' is none for BertConfig", {"model_type": "gpt2"}),
    ("model_type 'electra' is unknown", {"model_type": "electra"}),
    ("model_type None is unknown", {"model_type": None}),
    ("model_type .'bert'. is unknown", {"model_type": ["bert"]}),
    ("hidden_act = 'swish': expected one", {"hidden_act": "swish"}),
    ("hidden_act = .'gelu'.: expected one", {"hidden_act": ["gelu"]}),
    ("tie_word_embeddings = 'no'", {"tie_word_embeddings": "no"}),
    ("is_decoder is True: only False is supported", {"is_decoder": True}),
    ("position_embedding_type is 'relative'", {"position_embedding_type": "relative"}),
    ("hidden_size = 'wide'", {"hidden_size": "wide"}),
    ("cannot be split into 5 heads", {"num_attention_heads": 5}),
])
def test_a_config_that_is_not_ours(tmp_path, message, changes):
    with pytest.raises(InputError, match=message) as error:
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, dict, **changes))
    assert str(tmp_path / "config.json") in str(error.value)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        mb.BertModel.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(InputError, match="config.json: there is no such file"):
        mb.BertModel.from_pretrained(tmp_path)
    shutil.copy(REFERENCE / "BertModel" / "config.json", tmp_path)
    with pytest.raises(InputError, match="model.safetensors: there is no such file"):
        mb.BertModel.from_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(InputError, match=r"pytorch_model.bin is not read.*\.save_pretrained\("):
        mb.BertModel.from_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "pytorch_model.bin.index.json")
    with pytest.raises(InputError, match="pytorch_model.bin.index.json is not read"):
        mb.BertModel.from_pretrained(tmp_path)
    for content, message in ((b"{", "no JSON"), (b"[1]", "expected a JSON obj"), (b"\xff", "JSON")):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(InputError, match=message):
            mb.BertModel.from_pretrained(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file: name a folder"):
        mb.BertModel(BERT).save_pretrained(tmp_path / "file")


def test_saving_leaves_other_files_alone_and_the_model_is_replaced(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]")
    mb.BertModel(BERT, rng=1).save_pretrained(tmp_path)
    model = mb.GPT2Model(GPT2, rng=2)
    model.save_pretrained(tmp_path)
    same(quietly(mb.GPT2Model, tmp_path), model)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors",
                                                                "vocab.txt"]
    assert (tmp_path / "vocab.txt").read_text() == "[PAD]"


def test_a_tied_bias_under_its_other_name(tmp_path):
    def rename(arrays):
        bias = arrays.pop("cls.predictions.bias")
        return arrays | {"cls.predictions.decoder.bias": bias + 3}

    expected = mb.BertForMaskedLM.from_pretrained(REFERENCE / "BertForMaskedLM").mlm_head.bias.data
    model = mb.BertForMaskedLM.from_pretrained(rewritten(tmp_path, mb.BertForMaskedLM, rename))
    np.testing.assert_array_equal(model.mlm_head.bias.data, expected + 3)


@pytest.mark.parametrize("model_class, copy, source", [
    (mb.BertForMaskedLM, "cls.predictions.decoder.weight",
     "bert.embeddings.word_embeddings.weight"),
    (mb.BertForMaskedLM, "cls.predictions.decoder.bias", "cls.predictions.bias"),
    (mb.GPT2LMHeadModel, "lm_head.weight", "transformer.wte.weight")])
def test_tied_weights_that_differ_are_refused(tmp_path, model_class, copy, source):
    def equal(arrays):
        return arrays | {copy: arrays[source]}

    def different(arrays):
        return arrays | {copy: arrays[source] + 1}

    def shorter(arrays):
        return arrays | {copy: arrays[source][1:]}

    model_class.from_pretrained(rewritten(tmp_path, model_class, equal))
    for change in (different, shorter):
        with pytest.raises(InputError, match=f"{copy} and {source} differ, and config.json ties"):
            model_class.from_pretrained(rewritten(tmp_path, model_class, change))
    bare = mb.BertModel if model_class is mb.BertForMaskedLM else mb.GPT2Model
    with pytest.warns(UserWarning) if bare is mb.BertModel else nullcontext():
        bare.from_pretrained(tmp_path)  # which has no such head


def test_adapters_are_refused(tmp_path):
    rewritten(tmp_path, mb.BertModel, dict)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="adapter_config.json: adapters .PEFT. are not applied"):
        mb.BertModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("model_class", [mb.BertModel, mb.GPT2LMHeadModel])
def test_a_config_of_the_first_years(tmp_path, model_class):
    rewritten(tmp_path, model_class, dict, num_labels=2, do_sample=False, top_k=50)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["model_type"], config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = model_class.from_pretrained(tmp_path)
    expected = model_class.from_pretrained(REFERENCE / model_class.__name__)
    for name, array in expected.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], array)


@pytest.mark.parametrize("labels", [{"id2label": ["a", "b"]}, {"id2label": {"1": "a", "2": "b"}},
                                    {"num_labels": 3, "id2label": {"0": "a", "1": "b"}},
                                    {"id2label": {"0": "a", "1": "a"}}, {"num_labels": "2"}])
def test_wrong_labels_are_left_out_of_models_without_labels(tmp_path, labels):
    rewritten(tmp_path, mb.BertModel, dict, **labels)
    with pytest.warns(UserWarning, match="config.json: .*the labels are left out"):
        assert mb.BertModel.from_pretrained(tmp_path).config.num_labels == 2
    with pytest.raises(InputError, match="config.json"):
        mb.BertForSequenceClassification.from_pretrained(tmp_path)


def test_new_labels_replace_the_old_problem_type(tmp_path):
    config = mb.BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                           intermediate_size=8, max_position_embeddings=8, num_labels=1,
                           problem_type="regression")
    mb.BertForSequenceClassification(config).save_pretrained(tmp_path)
    for changes in ({"num_labels": 3}, {"id2label": {0: "a", 1: "b", 2: "c"}}):
        model = mb.BertModel.from_pretrained(tmp_path, **changes)
        assert (model.config.num_labels, model.config.problem_type) == (3, None)
    kept = mb.BertForSequenceClassification.from_pretrained(tmp_path, hidden_dropout_prob=0.0)
    assert kept.config.problem_type == "regression"


def test_unknown_keys_of_config_json_are_named(tmp_path):
    with pytest.warns(UserWarning, match="unknown keys, which have no effect: 'use_rotary'"):
        mb.BertModel.from_pretrained(rewritten(tmp_path, mb.BertModel, dict, use_rotary=True))


# ---- parameters that Hugging Face does not have --------------------------------------------------


@dataclass(frozen=True)
class GatedConfig(mb.GPT2Config):
    """A config with an option of our own, as a contributor would add it."""

    gated: bool = checked(flag, False, omit_default=True, changes_model_type=True)


class GatedFeedForward(FeedForward):
    __slots__ = ("gate",)

    def __init__(self, config):
        super().__init__(config)
        self.gate = Linear(config.hidden_size, config.intermediate_size)


class GatedModel(mb.GPT2Model):
    __slots__ = ()
    config_class = GatedConfig


class GatedLMHeadModel(mb.GPT2LMHeadModel):
    __slots__ = ()
    config_class = GatedConfig


@pytest.mark.parametrize("model_class", [GatedModel, GatedLMHeadModel])
def test_a_parameter_of_our_own_has_our_name(tmp_path, monkeypatch, model_class):
    monkeypatch.setattr(minibert.nn.block, "FeedForward", GatedFeedForward)
    model = model_class(GatedConfig(**vars(small(mb.GPT2Model).config) | {"gated": True}))
    model.save_pretrained(tmp_path)
    name = "stack.blocks.1.feed_forward.gate.weight"
    name = name if model_class is GatedModel else "transformer." + name
    np.testing.assert_array_equal(load_file(tmp_path / "model.safetensors")[name],
                                  model.state_dict()[name])
    same(model, quietly(model_class, tmp_path))


def test_a_parameter_that_hugging_faces_model_does_not_have_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(minibert.nn.block, "FeedForward", GatedFeedForward)
    folder = tmp_path / "model"
    with pytest.raises(InputError, match="blocks.0.feed_forward.gate.weight: .* type 'gpt2' has no "
                                         "such parameter"):
        small(mb.GPT2Model).save_pretrained(folder)
    assert not folder.exists()


def test_fewer_key_value_heads_than_query_heads_are_refused_by_berts_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(BlockConfig, "head_layout", HeadLayout(3, 1, 4))
    with pytest.raises(InputError, match=r"attention.qkv.weight: got shape \(20, 12\)"):
        small(mb.BertModel).save_pretrained(tmp_path / "bert")
    model = small(mb.GPT2LMHeadModel)  # one array there: it has any number of rows
    model.save_pretrained(tmp_path / "gpt2")
    same(model, quietly(mb.GPT2LMHeadModel, tmp_path / "gpt2"))
