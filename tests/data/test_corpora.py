"""Corpora: the user's files, what is held out, Python's documentation."""

import sysconfig
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.data.corpora import (Corpus, files_corpus, hold_out_documents,
                                   hold_out_tail, python_docs_corpus, toy_corpus,
                                   train_tokenizer)
from minibert.data.python_docs import is_prose, prose, python_documents
from minibert.data.sentence_splitter import split_paragraphs, split_sentences, without_repeats
from minibert.errors import InputError


@pytest.fixture
def python_docs(tmp_path, monkeypatch):
    """The corpus of a few packages of this Python, for the sake of time."""
    library = Path(sysconfig.get_paths()["stdlib"])
    for name in ("pydoc_data", "asyncio", "email", "unittest", "logging", "argparse.py"):
        (tmp_path / name).symlink_to(library / name)
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    return python_docs_corpus()


# The user's files

def test_lines_are_sentences_and_blank_lines_end_documents(tmp_path):
    text = "One a.\n  one b \n\n \t\ntwo a\r\ntwo b\n\n\nthree\n"
    (tmp_path / "a.txt").write_text(text, newline="")
    corpus = files_corpus([tmp_path / "a.txt"], "lines")
    assert corpus.train_documents == [["One a.", "one b"], ["three"]]
    assert corpus.held_out_documents == [["two a", "two b"]]
    assert "".join(corpus.train_texts + corpus.held_out_texts) == text, "GPT's text is unchanged"


def test_paragraphs_are_documents_of_prose(tmp_path):
    (tmp_path / "a.txt").write_text("He came.\nShe saw! They\nwon?\n\nNext one.\n\nA third.\n")
    corpus = files_corpus([tmp_path / "a.txt"], "prose")
    assert corpus.train_documents == [["He came.", "She saw!", "They won?"], ["A third."]]
    assert corpus.held_out_documents == [["Next one."]]


def test_folders_are_read_in_order_and_texts_stay_apart(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, text in (("b.md", "b. " * 30), ("a.txt", "a. " * 30), ("sub/c.rst", "c. " * 30),
                       ("code.py", "no")):
        (tmp_path / name).write_text(text)
    corpus = files_corpus([tmp_path])
    assert [text[0] for text in corpus.train_texts] == ["a", "b", "c"]
    assert corpus.held_out_texts == ["c. " * 9]


def test_missing_files_empty_folders_and_unknown_formats_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: there is no such file or folder"):
        files_corpus([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no .txt, .md, .rst files"):
        files_corpus([tmp_path])
    with pytest.raises(InputError, match="format = 'poem': expected one of prose, lines"):
        files_corpus([tmp_path], "poem")


def test_documents_and_sentences_with_line_ends_of_any_kind(tmp_path):
    for name, text in (("mac", "One\u2028a.\rb\r\rtwo\r"),
                       ("windows", "One\u2028a.\r\nb\r\n\r\ntwo"),
                       ("twice", "One\u2028a.\r\r\nb\r\r\n\r\r\ntwo\r\r\n")):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        corpus = files_corpus([tmp_path / name], "lines")
        assert corpus.train_documents + corpus.held_out_documents == [["One\u2028a.", "b"], ["two"]]
        prose = files_corpus([tmp_path / name])
        assert prose.train_documents + prose.held_out_documents == [["One a. b"], ["two"]]


@pytest.mark.parametrize("text, is_told", [
    ("".join(f"the sentence {i} of a story .\n" for i in range(20)), True),
    ("one .\ntwo .\nthree .\n\n" * 4, True), ("one\ntwo\n" * 6, True),
    ("He came in. She\nleft, and then\nhe came again.\n" * 5, False), ("one\n" * 10, False),
    ("one .\nand two .\n", False), ("One.\nTwo.\n\nThree.\n", False),
])
def test_a_sentence_a_line_in_lower_case_is_told_and_how_it_is_read(tmp_path, text, is_told,
                                                                    recwarn):
    (tmp_path / "a.txt").write_text(text)
    files_corpus([tmp_path / "a.txt"])
    assert ["a.txt: for BERT its" in str(w.message) and "--format lines" in str(w.message)
            for w in recwarn] == [True] * is_told
    files_corpus([tmp_path / "a.txt"], "lines")
    assert len(recwarn) == is_told


# What is held out

@given(sizes=st.lists(st.integers(1, 5), min_size=2, max_size=60))
def test_whole_documents_are_held_out(sizes):
    documents = [[f"{d} {s}" for s in range(size)] for d, size in enumerate(sizes)]
    train, held_out = hold_out_documents(documents)
    assert sorted(train + held_out) == sorted(documents), "each document whole, in one part"
    assert 1 <= len(held_out) <= max(len(documents) / 2, 1)
    if len(documents) >= 4:
        assert len(held_out) >= 2, "a stranger needs another document"
    if len(documents) >= 20:
        assert len(held_out) == len(documents) // 10


def test_a_single_document_is_cut_before_its_last_tenth():
    sentences = [str(i) for i in range(30)]
    assert hold_out_documents([sentences]) == ([sentences[:27]], [sentences[27:]])
    assert hold_out_documents([["alone"]]) == ([["alone"]], [[]])
    assert hold_out_documents([]) == ([], [])


@given(texts=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6))
def test_the_last_tenth_of_the_characters_is_held_out(texts):
    train, held_out = hold_out_tail(texts)
    assert "".join(train + held_out) == "".join(texts)
    total = len("".join(texts))
    assert sum(map(len, train)) == int(0.9 * total)
    assert all(train) and all(held_out)


def test_the_share_of_repeated_sentences():
    corpus = Corpus("x", [["a", "b"], ["c"]], [["a", "d"], ["c", "c"]], ["a"], ["b"])
    assert corpus.repeated_share() == 0.75
    assert "75.0%" in corpus.describe()[-1]


def test_the_vocabulary_never_sees_what_is_held_out():
    train, held_out = [["aa aa ab ab"], ["ab aa"]], [["zz zz zz", "zq zq zq"]]
    corpus = Corpus("x", train, held_out, ["aa aa ab ab"], ["zz zz zz"])
    for kind, reader in (("wordpiece", "bert"), ("wordpiece", "gpt"), ("chars", "gpt")):
        vocab = train_tokenizer(corpus, kind, reader).vocab
        assert not any("z" in token or "q" in token for token in vocab)
        assert any("b" in token for token in vocab)


def test_held_out_characters_that_are_new_become_unknown():
    corpus = Corpus("x", [["ab"]], [["zz"]], ["ab"], ["az"])
    tokenizer = train_tokenizer(corpus, "chars", "gpt")
    assert tokenizer.encode("az") == [tokenizer.vocab["a"], tokenizer.unk_token_id]


def test_tokenizers_that_do_not_fit_are_told():
    corpus = Corpus("x", [["ab"]], [["zz"]], ["ab"], ["az"])
    with pytest.raises(InputError, match="which BERT needs"):
        train_tokenizer(corpus, "chars", "bert")
    with pytest.raises(InputError, match="tokenizer = 'bpe': expected one of"):
        train_tokenizer(corpus, "bpe", "gpt")


def test_every_word_of_the_toy_world_is_one_piece():
    corpus = toy_corpus(60, 10)
    tokenizer = train_tokenizer(corpus, "wordpiece", "bert")
    sentence = corpus.train_documents[0][0]
    assert tokenizer.tokenize(sentence) == sentence.split(" ")
    assert (len(corpus.train_documents), len(corpus.held_out_documents)) == (60, 10)
    assert toy_corpus(60, 10) == corpus, "the same text every time"
    assert corpus.train_documents[:10] != corpus.held_out_documents


# Sentences

@pytest.mark.parametrize("text, sentences", [
    ("One two. Three! Four? Five", ["One two.", "Three!", "Four?", "Five"]),
    ("It is 3.5 big. e.g. this. Mr. Smith met J. R. Jones. Then", [
        "It is 3.5 big. e.g. this.", "Mr. Smith met J. R. Jones.", "Then"]),
    ('"Stop!" She left. (He did not.) So.', ['"Stop!"', "She left.", "(He did not.)", "So."]),
    ("By b. Then by NASA. Is it J? Yes.", ["By b.", "Then by NASA.", "Is it J?", "Yes."]),
    ("lines are\n  joined.\nThen split.", ["lines are joined.", "Then split."]),
    ("... and so on. He is I. We are.", ["... and so on.", "He is I.", "We are."]),
    ("第一句。第二句！好", ["第一句。", "第二句！", "好"]),
    ("", []), (" \n ", []),
])
def test_sentences(text, sentences):
    assert split_sentences(text) == sentences


@given(text=st.text("aB. !?\n\"'。", max_size=50))
def test_splitting_loses_no_character(text):
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_abbreviations_take_linear_time_and_end_no_sentence():
    """A megabyte of them took 20 seconds, since every one was cut out with all before it."""
    text = "Dr. Smith met Mr. Jones etc. " * 40_000
    assert len(split_sentences(text)) == 1
    assert split_sentences("。Dr. A.") == ["。", "Dr. A."]


def test_paragraphs():
    assert split_paragraphs("a\nb\n\nc\r\n \t\r\nd\n\n\n\n") == ["a\nb", "c", "d"]


def test_repeats_go_across_documents():
    documents = [["a", "b", "a"], ["b"], ["c", "a"]]
    assert list(without_repeats(documents)) == [["a", "b"], ["c"]]


# Python's documentation

def test_prose_is_kept_and_code_grammar_tables_and_doctests_are_not():
    text = textwrap.dedent('''
        The "assert" statement
        **********************

        Assert statements are a *convenient* way to insert ``debugging`` assertions. They help::

           assert_stmt ::= "assert" expression ["," expression]

        This is equivalent to the following code.

           if __debug__:
               if not expression: raise AssertionError

        >>> print("This is a doctest. It has words in it.")
        This is a doctest. It has words in it.

        +------+-------+
        | Name | Value is here now. |
        +------+-------+

        * The first item has a full sentence. And one more follows it.

        * No verb here

        Changed in version 3.8: The first letter is now titlecase.

        :param x: the value of the thing.
        Set x = 3 to make it work well.
        ''')
    assert list(prose(text)) == [
        "Assert statements are a convenient way to insert debugging assertions.",
        "This is equivalent to the following code.",
        "The first item has a full sentence.",
        "And one more follows it.",
        "The first letter is now titlecase.",
    ]


@pytest.mark.parametrize("text, is_kept", [
    ("This has four words.", True), ("Three words only.", False),
    ("It " + "is " * 49 + "a.", False),
    ("It " + "is " * 48 + "a.", True), ("This one has no end", False), ("Does it have one?", True),
    ("this begins in lower case.", False), ("“This begins with a quote.", True),
    ("The call f(x) is code here.", False), ("Some 1 2 3 4 are no words.", False),
])
def test_what_is_a_sentence_of_prose(text, is_kept):
    assert is_prose(text) == is_kept


@pytest.mark.parametrize("code", ["Name ::= a rule.", ">>> Run it here."])
def test_a_block_with_grammar_or_a_doctest_is_dropped(code):
    assert list(prose(f"A sentence of five words.\n\nThis is a good one. {code}")) == [
        "A sentence of five words."]


def test_this_python_documents_itself(python_docs):
    n_train, n_held_out = len(python_docs.train_documents), len(python_docs.held_out_documents)
    assert n_train + n_held_out > 100 and n_held_out == (n_train + n_held_out) // 10
    sentences = [s for document in python_docs.train_documents for s in document]
    assert len(sentences) > 2000
    assert python_docs.repeated_share() == 0.0, "sentences are made unique before the split"
    assert not any(">>>" in s or "::=" in s or "\n" in s or "=" in s for s in sentences)
    joined = " ".join(python_docs.held_out_documents[0])
    assert joined in python_docs.held_out_texts


def test_docstrings_are_read_without_importing(tmp_path):
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text(
        'topics = {"b": "Topics come in alphabetical order.", "a": "This one is the first."}')
    (tmp_path / "package" / "test").mkdir(parents=True)
    (tmp_path / "package" / "module.py").write_text(
        'raise SystemExit\ndef f():\n    """Return what is wanted now."""\n'
        'class C:\n    def g(self):\n        """Methods are read as well."""\n')
    (tmp_path / "package" / "test" / "left_out.py").write_text('"""Tests are not part of it."""')
    (tmp_path / "broken.py").write_text('"""This file has an error."""\ndef (')
    assert python_documents(tmp_path) == [
        ["This one is the first."], ["Topics come in alphabetical order."],
        ["Return what is wanted now.", "Methods are read as well."]]


def test_a_python_without_documentation_is_told(tmp_path):
    with pytest.raises(InputError, match="topics.py: not there.*--corpus toy"):
        python_documents(tmp_path)
    (tmp_path / "pydoc_data").mkdir()
    (tmp_path / "pydoc_data" / "topics.py").write_text("things = {}")
    with pytest.raises(InputError, match="no dictionary named topics"):
        python_documents(tmp_path)
