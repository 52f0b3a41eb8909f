"""`road`: the table, what it trains and keeps, and BERT's reading of a row."""

import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from tests.cli.command_line import files_below, mistake, output_of
from tests.models.small_models import small as small_model

import minibert as mb
from minibert.ancestors import word2vec, word_sense
from minibert.ancestors.glove import GloVe
from minibert.ancestors.word_sense import WordSenses
from minibert.cli import road, road_rows
from minibert.cli.fill_mask import fill_gaps
from minibert.cli.road_rows import BARTRow, BERTRow, GPTRow
from minibert.data.corpora import toy_corpus
from minibert.errors import InputError
from minibert.pretraining.gpt_objective import token_stream
from minibert.pretraining.span_corruption import gap_log_p, with_sentinels
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.toy_world.grammar import ToyWorld
from minibert.training.run_folder import Run

TRAINED = [row for row in road.TITLES if row not in (*road_rows.ORDERS, "oracle")]
TOKENIZER = BertTokenizer.from_words(ToyWorld().words)


@pytest.fixture(scope="module", autouse=True)
def small():
    """A little text, three steps each, few occurrences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(road, "toy_corpus", partial(toy_corpus, 30, 6))
        patch.setattr(road, "WordSenses", partial(WordSenses, nearest=2, linear=3, decided=2))
        for row in TRAINED:
            patch.setitem(road_rows.STEPS, row, 3)
        patch.setattr(road_rows, "FEW_DOCUMENTS", 20)
        patch.setattr(word_sense, "STORIES_AT_A_TIME", 60)
        patch.setattr(word2vec, "HELD_OUT_BATCHES", 1)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of all rows, one seed."""
    folder = tmp_path_factory.mktemp("road")
    assert road.run([], 1, str(folder)) == 0
    return folder


def cells(lines: list[str]) -> dict[str, str]:
    """The lines of the table by the title of the row."""
    return {title: line for title, _ in road.TITLES.values()
            for line in lines if line.startswith(title + "  ")}


def test_all_rows_are_there_and_what_is_trained_is_not_trained_again(whole, capsys):
    capsys.readouterr()
    before = files_below(whole)
    lines = output_of(capsys, "road", "--seeds", 1, "--out", whole).splitlines()
    found = cells(lines)
    assert len(found) == len(road.TITLES) and not any("seed" in line for line in lines[:3])
    after = files_below(whole)
    assert {name: data for name, data in after.items() if "seed" in name} == {
        name: data for name, data in before.items() if "seed" in name}
    for title in ("CBOW", "skip-gram", "GloVe"):
        assert found[title].count("50.0 (") == 2  # static
    assert "0.000" in found["the oracle"] and "100.0" in found["the oracle"]
    assert any("to the bit" in line for line in lines)
    assert all(f"{row}: computing the distances to the exact answers" in lines
               for row in road.TITLES)


def test_seeds_are_added_and_their_error_is_shown(whole, capsys):
    capsys.readouterr()
    lines = output_of(capsys, "road", "cbow", "trigram", "--seeds", 2, "--out", whole).splitlines()
    assert "cbow, seed 2" in lines and "cbow, seed 1" not in lines
    assert [line.startswith("cbow: seeds 2, about ") for line in lines].count(True) == 1
    found = cells(lines)
    assert set(found) == {"CBOW", "counting trigrams"} and found["CBOW"].count("+-") >= 2


def test_a_stopped_training_goes_on_to_the_same_figures(whole, tmp_path, capsys):
    trainer = road_rows.road_trainer("glove", road.toy_corpus(), TOKENIZER, 1, None)
    folder = tmp_path / "glove" / "seed-1"
    run = road_rows.begin(trainer, folder)
    trainer.run(until=2)
    run.release()
    assert not road_rows.is_trained("glove", 1, tmp_path, TOKENIZER.vocab_size)
    assert "2 of 3 steps, not finished: go on with road\n" in output_of(capsys, "info", folder)
    output_of(capsys, "road", "glove", "--seeds", 1, "--out", tmp_path)
    for name in ("latest/model.safetensors", "log.jsonl"):
        expected = (whole / "glove" / "seed-1" / name).read_bytes()
        assert (folder / name).read_bytes() == expected


def test_a_signal_ends_with_130_and_the_command_that_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(road, "train", lambda trainer, folder: False)
    assert road.run(["glove"], 1, str(tmp_path)) == 130
    assert capsys.readouterr().out.splitlines()[-1] == (
        "stopped, all is saved; go on with: python -m minibert road glove --seeds 1 --out "
        f"{tmp_path}")


class Senses:
    """Its accuracy is given; every model is static."""

    def __init__(self, nearest):
        self.nearest = nearest

    def accuracy(self, model):
        return self.nearest, 0.5

    def is_static(self, model):
        return True


def test_the_figures_of_a_static_row_are_the_prior_and_the_seconds_of_its_steps(whole):
    def figures(senses):  # GloVe predicts no words: without the text and its answers
        return road.figures_of("glove", 1, whole, None, TOKENIZER, SimpleNamespace(sentences=2),
                               senses)

    seconds = Run(whole / "glove" / "seed-1").state()["step_seconds"]
    assert figures(Senses(0.5))[1:6] == ((seconds,), (), (), (0.5,), (0.5,))
    with pytest.raises(RuntimeError, match="not the prior"):
        figures(Senses(0.6))


def test_the_best_weights_are_opened(whole, tmp_path):
    folder = tmp_path / "seed-1"
    shutil.copytree(whole / "glove" / "seed-1", folder)
    best = road_rows.open_row("glove", folder, 2)
    best.b.weight.data[:] = 7
    best.save_pretrained(folder / "best")
    assert (road_rows.open_row("glove", folder, 2).b.weight.data == 7).all()


def test_a_cell_is_the_mean_and_its_standard_error():
    row = road.Figures(1000, (1.0, 2.0, 6.0), (0.5,), (0.25,), (), (), {"vectors": "counts"})
    line = cells(road.road_table({"unigram": row}))["counting words"]
    assert line.split("  ")[-1] == "Shannon 1951"
    assert [cell.strip() for cell in line.split("  ") if cell][1:6] == [
        "1,000", "3.0 +- 1.5", "0.500", "0.250", "(1)"]


def test_mistakes_are_one_line(whole, tmp_path, capsys, monkeypatch):
    capsys.readouterr()
    assert "invalid choice: 'word2vec'" in mistake(capsys, "road", "word2vec")
    assert "--seeds" in mistake(capsys, "road", "cbow", "--seeds", 0)
    monkeypatch.setitem(road_rows.STEPS, "cbow", 4)
    line = mistake(capsys, "road", "cbow", "--seeds", 1, "--out", whole)
    assert "was begun with steps = 3: expected 4" in line
    (tmp_path / "cbow").mkdir()
    (whole / "glove" / "seed-1").rename(tmp_path / "cbow" / "seed-1")
    monkeypatch.setitem(road_rows.STEPS, "cbow", 3)
    try:
        assert "was begun with row = glove: expected cbow" in mistake(
            capsys, "road", "cbow", "--seeds", 1, "--out", tmp_path)
    finally:
        (tmp_path / "cbow" / "seed-1").rename(whole / "glove" / "seed-1")


def test_a_run_of_another_version_is_not_shown_as_one_of_this(whole, monkeypatch):
    """Neither one that has ended nor one that was stopped."""
    def check(row):
        return road_rows.is_trained(row, 1, whole, TOKENIZER.vocab_size)

    assert check("bert-static") and check("glove")
    monkeypatch.setitem(road_rows.OPTIONS, "bert-static", {"dupe_factor": 9})
    monkeypatch.setitem(road_rows.OPTIONS, "gpt", {"lr": 0.5})
    monkeypatch.setitem(road_rows.ANCESTORS, "glove", (GloVe, {"hidden_size": 9}))
    for row, words in (("bert-static", "dupe_factor = 10: expected 9"), ("gpt", "expected 0.5"),
                       ("glove", "hidden_size = 64: expected 9")):
        with pytest.raises(InputError, match=words):
            check(row)


@pytest.mark.parametrize("row, model", [("bert-dynamic", "bert"), ("glove", "gpt")])
def test_pretrain_does_not_go_on_with_a_row(whole, capsys, row, model):
    capsys.readouterr()
    line = mistake(capsys, "pretrain", model, "--resume", "--out", whole / row / "seed-1")
    assert f"holds a run of road {row}, not of pretrain {model}" in line


def test_rows_over_the_budget_are_named():
    def row(parameters, seconds):
        return road.Figures(parameters, seconds, (), (), (), (), {})

    gpt = row(100, (2.0, 4.0))
    figures = {"unigram": row(100, (9.0,)), "lstm": row(101, (1.0,)), "gpt": gpt,
               "elmo": row(5, (9.0, 9.2)), "cbow": row(5, (1.0, 17.0)), "oracle": row(None, ())}
    assert road.over_budget(figures)[0].endswith(": LSTM, ELMo")
    assert road.over_budget({"gpt": gpt}) == road.over_budget({"lstm": row(1, (1.0,))}) == []


def test_bert_reads_a_row_as_a_pair():
    """The ids, the segments and the answer are those of the tokenizer and of fill-mask."""
    config = mb.BertConfig(vocab_size=TOKENIZER.vocab_size, hidden_size=8, num_hidden_layers=1,
                           num_attention_heads=2, intermediate_size=8, max_position_embeddings=48,
                           hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                           initializer_range=0.5)
    model = mb.BertForPreTraining(config, 1).eval()
    row = BERTRow(model, TOKENIZER, sentences=1)
    first, second = "she rows her boat .", "the net waits ."
    sep = TOKENIZER.sep_token_id
    words = TOKENIZER.encode(f"{first} {second}", add_special_tokens=False)
    ids = np.array([[sep, *words, sep]])
    pairs, column = row._pairs(ids)
    encoded = TOKENIZER(first, second)
    assert pairs[0].tolist() == encoded["input_ids"]
    assert row._types(pairs)[0].tolist() == encoded["token_type_ids"]
    for position in (2, 7):  # rows, net
        masked = [word if i + 1 != position else "[MASK]"
                  for i, word in enumerate(f"{first} {second}".split())]
        log_p = row.gap(ids, np.array([position]))[0]
        model_says = fill_pair(model, " ".join(masked[:5]), " ".join(masked[5:]))
        for word, p in model_says:
            token = TOKENIZER.convert_tokens_to_ids(word)
            assert np.exp(log_p[token]) == pytest.approx(p, rel=1e-5)
    hidden = model.bert(np.array([encoded["input_ids"]]), token_type_ids=np.array(
        [encoded["token_type_ids"]])).last_hidden_state.data[0]
    np.testing.assert_allclose(row.vectors(ids)[0, 1:-1], np.delete(hidden, [0, 6, -1], axis=0),
                               rtol=1e-5)
    with pytest.raises(InputError, match="expected 2"):
        row.gap(ids[:, :4], np.array([1]))


def test_bart_reads_a_row_as_a_text_and_fills_its_first_span():
    tokenizer = with_sentinels(TOKENIZER, 24)
    model = small_model(mb.BartForConditionalGeneration, vocab_size=tokenizer.vocab_size).eval()
    words = tokenizer.encode("the net waits", add_special_tokens=False)
    ids = np.array([[tokenizer.sep_token_id, *words, tokenizer.sep_token_id]])
    texts = np.array([tokenizer.encode("the net waits")])
    row, end = BARTRow(model, tokenizer), tokenizer.sep_token_id
    np.testing.assert_array_equal(row.vectors(ids),
                                  model.model.encode(texts).last_hidden_state.data)
    expected = gap_log_p(model, texts, np.array([2]),
                         tokenizer.convert_tokens_to_ids("<extra_id_0>"), end)
    np.testing.assert_array_equal(row.gap(ids, np.array([2])), expected)


def test_gpt_answers_with_its_logits_and_last_hidden_states():
    model = small_model(mb.GPT2LMHeadModel).eval()
    ids, row = np.random.default_rng(0).integers(0, 9, (2, 5)), GPTRow(model)
    p = np.exp(model(ids).logits.data)
    np.testing.assert_allclose(np.exp(row.next_word(ids)), p / p.sum(axis=-1, keepdims=True))
    np.testing.assert_array_equal(row.vectors(ids), model.transformer(ids).last_hidden_state.data)


def test_rows_are_trained_on_the_training_text(whole, tmp_path):
    corpus = road.toy_corpus()
    stream = token_stream(TOKENIZER, corpus.train_texts)
    for row in ("cbow", "skipgram", "glove", "lstm", "elmo"):
        objective = road_rows.road_trainer(row, corpus, TOKENIZER, 1, None).objective
        np.testing.assert_array_equal(objective.train_ids, stream, err_msg=row)
    _, counts = road_rows.count("unigram", tmp_path, corpus, TOKENIZER).counts[0]
    assert counts.sum() == len(stream)


def test_a_rows_run_is_read_by_embed(whole, capsys):
    folder = whole / "glove" / "seed-1"
    assert output_of(capsys, "embed", folder, "the net") == output_of(
        capsys, "embed", folder / "best", "the net")


def test_roberta_questions_differ_in_one_thing_each():
    corpus, report = road.toy_corpus(), None
    made = {row: road_rows.road_trainer(row, corpus, TOKENIZER, 1, report)
            for row in road_rows.BERTS}
    objectives = {row: trainer.objective for row, trainer in made.items()}
    assert {row: one.next_sentence for row, one in objectives.items()} == {
        row: row != "bert-no-nsp" for row in made}
    assert {row: one.dupe_factor for row, one in objectives.items()} == {
        row: 10 if row == "bert-static" else None for row in made}
    few = objectives["bert-static"].n_per_epoch
    some, all_of_it = objectives["bert-static"].train, objectives["bert"].train
    assert some.n_documents == 20
    assert np.array_equal(some.ids, all_of_it.ids[:len(some.ids)])
    assert few == objectives["bert-dynamic"].n_per_epoch < objectives["bert"].n_per_epoch
    assert {row: trainer.model.config for row, trainer in made.items()} == dict.fromkeys(
        made, made["bert"].model.config)


def test_bert_without_pairs_reads_a_row_as_one_segment(whole):
    model = road_rows.open_row("bert-no-nsp", whole / "bert-no-nsp" / "seed-1", 2)
    assert model.sentences is None
    ids = np.array([[TOKENIZER.sep_token_id, *TOKENIZER.encode(
        "she rows her boat . the net waits .", add_special_tokens=False), TOKENIZER.sep_token_id]])
    texts, column = model._pairs(ids)
    assert texts[0].tolist() == [TOKENIZER.cls_token_id, *ids[0, 1:]]
    assert column[0].tolist() == list(range(ids.shape[1])) and not model._types(texts).any()
    assert road_rows.open_row("bert", whole / "bert" / "seed-1", 2).sentences == 2


def fill_pair(model, first: str, second: str) -> list[tuple[str, float]]:
    encoded = TOKENIZER(first, second)
    return fill_gaps(model, TOKENIZER, np.array([encoded["input_ids"]]),
                     np.array([encoded["token_type_ids"]]), 5)[0]
