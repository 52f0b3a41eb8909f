"""The rows of `road`: the trainings, their runs, and the answers to the three questions of
ancestors/model.py.

Same budget: every trained row has at most the parameters of GPT's, and the steps below take at most
three times its seconds.

RoBERTa's two questions (Liu et al. 2019, tables 1 and 2) are rows of their own. Next-sentence
prediction: `bert-no-nsp` reads one run of sentences that fills the context (DOC-SENTENCES there)
and has the masked words alone. Masks: the budget is less than one epoch of the text, where no mask
comes twice; so `bert-dynamic` and `bert-static` read few documents, as often as BERT read its
text: 40 epochs, and static masks are 10 copies of it, each masked once.
"""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from minibert.ancestors.elmo import ELMo, ELMoObjective
from minibert.ancestors.glove import GloVe, GloVeObjective
from minibert.ancestors.lstm import LSTMLanguageModel, LSTMObjective
from minibert.ancestors.model import AncestorConfig, AncestorModel
from minibert.ancestors.ngram import NGramConfig, NGramModel
from minibert.ancestors.word2vec import CBOW, SkipGram, Word2VecObjective
from minibert.autograd.tensor import no_grad
from minibert.cli.build_trainer import make_trainer
from minibert.cli.pretrain_options import COMMON, PretrainOptions, resolved
from minibert.data.corpora import Corpus
from minibert.errors import InputError
from minibert.generation.sampling import log_probabilities
from minibert.models.bart import BartForConditionalGeneration
from minibert.models.bert import BertForPreTraining
from minibert.models.gpt import GPT2LMHeadModel
from minibert.pretraining.gpt_objective import token_stream
from minibert.pretraining.span_corruption import gap_log_p, sentinel_ids
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training.report import SilentReport
from minibert.training.run_folder import Run, new_runs
from minibert.training.settings import TrainingSettings
from minibert.training.trainer import Trainer

ORDERS = {"unigram": 1, "bigram": 2, "trigram": 3}  # rows that are counted
STEPS = {"cbow": 4000, "skipgram": 4000, "glove": 4000, "lstm": 3000, "elmo": 2000,
         "gpt": 2000, "bert": 1450, "bert-no-nsp": 1450, "bert-dynamic": 1450,
         "bert-static": 1450, "bart": 2300}
OPTIONS = {  # row: its options of `pretrain gpt`, `pretrain bert`, `pretrain bart`
    "gpt": {}, "bert": {}, "bert-no-nsp": {"no_next_sentence": True, "batch": 26},
    "bert-dynamic": {}, "bert-static": {"dupe_factor": 10},
    "bart": {"batch": 16, "lr": 9e-3, "mlm_probability": 0.25}}
BERTS = tuple([row for row in OPTIONS if row.startswith("bert")])
ANCESTORS = {  # row: its class, and its sizes beside the vocabulary's
    "cbow": (CBOW, {"window": 2}), "skipgram": (SkipGram, {}), "glove": (GloVe, {}),
    "lstm": (LSTMLanguageModel, {"hidden_size": 78}), "elmo": (ELMo, {"hidden_size": 56})}
FEW_DOCUMENTS = 155  # read 40 times in the steps above
BERT_INTERMEDIATE_SIZE = 220  # less than 4 C: BERT's heads have parameters that GPT's has not


def count(row: str, folder: Path, corpus: Corpus, tokenizer: BertTokenizer) -> NGramModel:
    """The model of a counted row, which is kept in `folder`."""
    config = NGramConfig(tokenizer.vocab_size, ORDERS[row])
    model = NGramModel.fit(config, token_stream(tokenizer, corpus.train_texts))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def transformer_options(row: str, seed: int) -> PretrainOptions:
    """The options of a row that `pretrain` trains."""
    options = resolved(row.split("-")[0], {"corpus": "toy", "seed": seed, "steps": STEPS[row],
                                           "eval_every": 0, "film": 0, **OPTIONS[row]})
    if row in BERTS:
        config = replace(options.config, intermediate_size=BERT_INTERMEDIATE_SIZE)
        options = replace(options, config=config)
    return options


def ancestor_options(row: str, seed: int, vocab_size: int
                     ) -> tuple[AncestorConfig, TrainingSettings]:
    """The config and the settings of a row that is an older model."""
    model_class, sizes = ANCESTORS[row]
    return model_class.config_class(vocab_size, **sizes), TrainingSettings(
        steps=STEPS[row], lr=1e-2, warmup=STEPS[row] // 20, schedule="linear", weight_decay=0.0,
        betas=(0.9, 0.98), eval_every=0, seed=seed)


def road_trainer(row: str, corpus: Corpus, tokenizer: BertTokenizer, seed: int,
                 report: SilentReport) -> Trainer:
    """The trainer of a row, before any step; nothing is written."""
    if row in OPTIONS:
        if row in ("bert-dynamic", "bert-static"):
            corpus = replace(corpus, train_documents=corpus.train_documents[:FEW_DOCUMENTS])
        trainer = make_trainer(transformer_options(row, seed), corpus, report)
        trainer.about["row"] = row  # no run for `pretrain --resume`, whose text may be another
        return trainer
    config, settings = ancestor_options(row, seed, tokenizer.vocab_size)
    model = ANCESTORS[row][0](config, seed)
    texts = (tokenizer, corpus.train_texts, corpus.held_out_texts)
    window = {"context": COMMON["context"], "batch_size": 16, "seed": seed}
    if row == "lstm":
        objective = LSTMObjective(*texts, **window)
    elif row == "elmo":
        objective = ELMoObjective(model, *texts, **window)
    elif row == "glove":
        objective = GloVeObjective(config, *texts, batch_size=1024, seed=seed)
    else:
        objective = Word2VecObjective(model, *texts, batch_size=512, seed=seed)
    return Trainer(model, objective, settings, tokenizer=tokenizer,
                   about={"row": row, **asdict(config)}, report=report)


def run_folder(row: str, seed: int, folder: Path) -> Path:
    """The folder of a run below that of all runs."""
    return folder / row / f"seed-{seed}"


def is_trained(row: str, seed: int, folder: Path, vocab_size: int) -> bool:
    """Whether a run below `folder` has ended. Errors: InputError, it was begun with other options
    or settings than those of this version."""
    run = Run(run_folder(row, seed, folder))
    if run.checkpoint("latest") is None:
        return False
    if row in OPTIONS:
        options = transformer_options(row, seed)
        expected = options.about() | asdict(options.settings)
    else:
        config, settings = ancestor_options(row, seed, vocab_size)
        expected = asdict(config) | asdict(settings)
    state = run.state()
    stored = state["about"] | state["settings"]
    for name, value in {"row": row, **expected}.items():
        before = stored.get(name, value)  # a run may be older than an option
        if value != (tuple(before) if isinstance(before, list) else before):
            raise InputError(f"{run.path} was begun with {name} = {before}: expected {value}; "
                             "remove it, or give another --out")
    return run.summary() is not None


def begin(trainer: Trainer, folder: Path) -> Run:
    """Begin the run in `folder`, whose first checkpoint is whole before a step is made, or go back
    to the latest one. The run is held."""
    run = trainer.run_folder = Run(folder)
    if run.checkpoint("latest") is not None:
        trainer.resume()
    else:
        with new_runs([folder]):
            trainer.save()
    return run


def train(trainer: Trainer, folder: Path) -> bool:
    """Train in `folder` to the end and the summary. False if a signal stopped it; all is saved
    then."""
    run = begin(trainer, folder)
    try:
        if not trainer.run():
            return False
        run.write_summary(trainer.summary() | {"baselines": {}, "oracle": None})
        return True
    finally:
        run.release()


# ---- the answers of the Transformers -------------------------------------------------------------


class GPTRow:
    """A GPT in evaluation mode: rows are windows of its stream."""

    unanswered = {"gap": "reads the left side alone"}

    def __init__(self, model: GPT2LMHeadModel):
        self.model = model

    def next_word(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel."""
        with no_grad():
            return log_probabilities(self.model(input_ids).logits.data)

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the last hidden states."""
        with no_grad():
            return self.model.transformer(input_ids).last_hidden_state.data


class BERTRow:
    """A BERT in evaluation mode: a row "[SEP] 2n sentences [SEP]" becomes the pair "[CLS] n
    sentences [SEP] n sentences [SEP]", or "[CLS] 2n sentences [SEP]" where pairs were not
    learned."""

    unanswered = {"next_word": "reads both sides of a gap"}

    def __init__(self, model: BertForPreTraining, tokenizer: BertTokenizer,
                 sentences: int | None):
        """sentences: n; each ends with ".". None: one segment."""
        self.model, self.tokenizer, self.sentences = model, tokenizer, sentences
        self.full_stop = tokenizer.convert_tokens_to_ids(".")

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """See AncestorModel: the gap shows [MASK]."""
        pairs, column = self._pairs(input_ids)
        rows = np.arange(len(pairs))
        place = column[rows, positions]
        pairs[rows, place] = self.tokenizer.mask_token_id
        with no_grad():
            logits = self.model(pairs, token_type_ids=self._types(pairs)).prediction_logits.data
        return log_probabilities(logits[rows, place])

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the last hidden states of the tokens in the pair."""
        pairs, column = self._pairs(input_ids)
        with no_grad():
            hidden = self.model.bert(pairs, token_type_ids=self._types(pairs)).last_hidden_state
        return np.take_along_axis(hidden.data, column[:, :, None], axis=1)

    def _pairs(self, input_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(pairs (B, T + 1), the place there of each token (B, T)); of one segment the row itself
        after [CLS]. Errors: InputError for rows that are not 2n sentences."""
        if self.sentences is None:
            texts = input_ids.copy()
            texts[:, 0] = self.tokenizer.cls_token_id
            return texts, np.broadcast_to(np.arange(input_ids.shape[1]), input_ids.shape)
        stops = np.cumsum(input_ids == self.full_stop, axis=1)  # full stops up to each token
        if (stops[:, -1] != 2 * self.sentences).any():
            raise InputError(f"BERT: a row has {stops[:, -1].min()} to {stops[:, -1].max()} "
                             f"sentences: expected {2 * self.sentences}, to read them as a pair")
        before = np.zeros_like(stops)
        before[:, 1:] = stops[:, :-1]
        column = np.arange(input_ids.shape[1]) + (before >= self.sentences)  # (B, T)
        pairs = np.full((len(input_ids), input_ids.shape[1] + 1), self.tokenizer.sep_token_id)
        np.put_along_axis(pairs, column, input_ids, axis=1)
        pairs[:, 0] = self.tokenizer.cls_token_id
        return pairs, column

    def _types(self, pairs: np.ndarray) -> np.ndarray:
        """Segment ids (B, T + 1): 1 behind the first [SEP]."""
        separators = np.cumsum(pairs == self.tokenizer.sep_token_id, axis=1)
        return ((separators - (pairs == self.tokenizer.sep_token_id)) >= 1).astype(np.int64)


class BARTRow:
    """An encoder-decoder in evaluation mode: rows are its texts, with [CLS] first."""

    unanswered = {"next_word": "writes what is missing in a text, not what follows it"}

    def __init__(self, model: BartForConditionalGeneration, tokenizer: BertTokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.sentinel = int(sentinel_ids(tokenizer)[0])

    def gap(self, input_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """See AncestorModel: the gap is a span of one word, a sentinel stands there."""
        return gap_log_p(self.model, self._texts(input_ids), positions, self.sentinel,
                         self.tokenizer.sep_token_id)

    def vectors(self, input_ids: np.ndarray) -> np.ndarray:
        """See AncestorModel: the encoder's last hidden states."""
        with no_grad():
            return self.model.model.encode(self._texts(input_ids)).last_hidden_state.data

    def _texts(self, input_ids: np.ndarray) -> np.ndarray:
        texts = input_ids.copy()
        texts[:, 0] = self.tokenizer.cls_token_id
        return texts


def open_row(row: str, folder: Path, sentences: int
             ) -> AncestorModel | GPTRow | BERTRow | BARTRow:
    """The trained model of a run, as it answers. sentences: of a segment as BERT reads it."""
    best = Run(folder).existing_checkpoint("best")
    if row == "gpt":
        return GPTRow(GPT2LMHeadModel.from_pretrained(best))
    if row in BERTS:
        return BERTRow(BertForPreTraining.from_pretrained(best),
                       BertTokenizer.from_pretrained(best),
                       None if row == "bert-no-nsp" else sentences)
    if row == "bart":
        return BARTRow(BartForConditionalGeneration.from_pretrained(best),
                       BertTokenizer.from_pretrained(best))
    return ANCESTORS[row][0].from_pretrained(best)
