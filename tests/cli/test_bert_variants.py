"""Folders of RoBERTa and DistilBERT on the command line."""

import json

import numpy as np
import pytest
from tests.cli.command_line import mistake, output_of
from tests.finetuning.small_tasks import ROBERTA_TOKENIZER, TOKENIZER
from tests.models.small_models import distilbert_config, roberta_config

import minibert as mb
from minibert.cli.folders import open_model


@pytest.fixture(scope="module", params=["roberta", "distilbert"])
def folder(request, tmp_path_factory):
    """A masked LM. DistilBERT's tokenizer gives segments, which its model does not have."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "roberta":
        model, tokenizer = mb.RobertaForMaskedLM(roberta_config(
            vocab_size=len(ROBERTA_TOKENIZER), pad_token_id=ROBERTA_TOKENIZER.pad_token_id,
            max_position_embeddings=33)), ROBERTA_TOKENIZER
    else:
        model, tokenizer = mb.DistilBertForMaskedLM(distilbert_config(
            vocab_size=len(TOKENIZER), pad_token_id=0, max_position_embeddings=30)), TOKENIZER
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_what_reads_a_text(folder, capsys):
    values = json.loads((folder / "config.json").read_text())
    shown = output_of(capsys, "info", folder)
    assert values["architectures"][0] in shown
    assert [line.split()[1] for line in shown.splitlines() if "context" in line] == [
        "29" if values["model_type"] == "roberta" else "30"]
    model, tokenizer = open_model(str(folder), (mb.RobertaForMaskedLM, mb.DistilBertForMaskedLM),
                                  "this test")
    filled = output_of(capsys, "fill-mask", folder, f"a{tokenizer.mask_token} b", "--top", 1)
    ids = tokenizer(f"a{tokenizer.mask_token} b", return_tensors="np")["input_ids"]
    logits = model(ids).logits.data[0, ids[0] == tokenizer.mask_token_id]
    assert filled.split()[-1] == tokenizer.convert_ids_to_tokens(int(logits.argmax()))
    assert np.loadtxt(output_of(capsys, "embed", folder, "a b", "b").splitlines()).shape == (2, 12)


def test_fine_tuning_with_pairs(folder, capsys, tmp_path):
    file = tmp_path / "train.tsv"
    file.write_text("sentence1\tsentence2\tlabel\n" + "a b\tgood\tyes\nb a\tbad\tno\n" * 4)
    output_of(capsys, "finetune", "pair", "--from", folder, "--train", file, "--dev", file, "--out",
              tmp_path / "run", "--epochs", "1", "--threads", "1")
    assert "yes" in output_of(capsys, "info", tmp_path / "run")


def test_pretraining_goes_on_with_none_of_them(folder, capsys, tmp_path):
    line = mistake(capsys, "pretrain", "bert", "--from", folder, "--out", tmp_path / "run")
    assert "pretrain bert --from needs a BERT" in line
