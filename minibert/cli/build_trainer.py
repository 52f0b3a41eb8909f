"""From the options of `pretrain` to a trainer: text, tokenizer, objective, model."""

import hashlib
from dataclasses import replace
from pathlib import Path

from minibert.cli.folders import tokenizer_of
from minibert.cli.memory import check_memory
from minibert.cli.pretrain_options import PretrainOptions
from minibert.cli.resume import located
from minibert.cli.samples import FilledGap, FilledSpans, GeneratedLine
from minibert.data.corpora import (Corpus, files_corpus, python_docs_corpus, toy_corpus,
                                   train_tokenizer)
from minibert.look.film import Film
from minibert.models.config import ModelConfig
from minibert.pretraining.bert_objective import PretrainingObjective
from minibert.pretraining.gpt_objective import NextTokenObjective
from minibert.pretraining.span_corruption import SpanCorruptionObjective, with_sentinels
from minibert.tokenizers.base import Tokenizer
from minibert.training.report import SilentReport
from minibert.training.trainer import Trainer

TOY_PAIRS_OF_A_DOCUMENT = 5  # on average, of the held-out ones: 5,000 in all


def read_corpus(options: PretrainOptions) -> Corpus:
    """The text that the options name."""
    if options.corpus == "text":
        return files_corpus([located(name, options.counted_from) for name in options.text],
                            options.format)
    return toy_corpus() if options.corpus == "toy" else python_docs_corpus()


def text_digest(corpus: Corpus) -> str:
    """A short digest of the whole text, by which a resume recognizes it."""
    digest = hashlib.sha256()
    for text in [*corpus.train_texts, *corpus.held_out_texts]:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]


def make_trainer(options: PretrainOptions, corpus: Corpus, report: SilentReport | None = None,
                 begun: Path | None = None) -> Trainer:
    """A trainer of a new model or, with its tokenizer, of the one in the folder `begun`. Nothing is
    written. Errors: InputError for what does not fit together, and for a model or a batch that this
    machine's memory cannot hold."""
    architecture, seed, model = options.architecture, options.settings.seed, None
    # the vocabulary is not known yet
    least = replace(options.config, vocab_size=1, pad_token_id=0)
    check_memory(architecture.pretraining, least, options.batch, options.context)
    if begun is None:
        tokenizer = train_tokenizer(corpus, options.tokenizer, architecture.name,
                                    options.vocab_size)
        if architecture.name == "bart":
            tokenizer = with_sentinels(tokenizer, options.context)
        config = with_vocabulary(options.config, tokenizer)
        check_memory(architecture.pretraining, config, options.batch, options.context)
    else:
        model = architecture.pretraining.from_pretrained(begun).float()  # a warning names new heads
        tokenizer = tokenizer_of(begun, model.config)
    documents = (corpus.train_documents, corpus.held_out_documents)
    sizes = (options.context, options.batch, seed)
    n_held_out = None  # all
    if options.corpus == "toy":
        n_held_out = TOY_PAIRS_OF_A_DOCUMENT * len(corpus.held_out_documents)
    if architecture.name == "bert":
        objective = PretrainingObjective(
            tokenizer, *documents, *sizes, next_sentence=not options.no_next_sentence,
            sentences_per_segment=corpus.sentences_per_segment, n_held_out=n_held_out,
            mlm_probability=options.mlm_probability, dupe_factor=options.dupe_factor)
        samples = FilledGap(objective, tokenizer)
    elif architecture.name == "bart":
        objective = SpanCorruptionObjective(tokenizer, *documents, *sizes, n_held_out=n_held_out,
                                            mlm_probability=options.mlm_probability)
        samples = FilledSpans(objective, tokenizer)
    else:
        objective = NextTokenObjective(tokenizer, corpus.train_texts, corpus.held_out_texts, *sizes)
        samples = GeneratedLine(tokenizer, seed)
    model = model or architecture.pretraining(config, seed)
    model.gradient_checkpointing = options.gradient_checkpointing
    film = None
    if options.film:
        film = Film(options.film, options.settings.steps, objective).frame
    about = options.about() | {"text_digest": text_digest(corpus)}
    return Trainer(model, objective, options.settings, tokenizer=tokenizer, about=about,
                   report=report, samples=samples, film=film)


def with_vocabulary(config: ModelConfig, tokenizer: Tokenizer) -> ModelConfig:
    """The config with the size of the vocabulary, and the ids of BERT's padding, of the token that
    stands between a GPT's documents, or of those at the ends of a BART's texts."""
    ids = {"bos_token_id": tokenizer.sep_token_id, "eos_token_id": tokenizer.sep_token_id}
    if config.family == "bert":
        ids = {"pad_token_id": tokenizer.pad_token_id}
    elif config.family == "bart":
        ids |= {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.cls_token_id,
                "decoder_start_token_id": tokenizer.sep_token_id,
                "forced_eos_token_id": tokenizer.sep_token_id}
    return replace(config, vocab_size=tokenizer.vocab_size, **ids)
