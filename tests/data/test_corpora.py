"""Corpora: the user's files, what is held out, Python's documentation."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.data.corpora import (Corpus, files_corpus, find_files, hold_out_documents,
                                   hold_out_tail, python_docs_corpus, read_text, toy_corpus,
                                   train_tokenizer)
from minibert.data.python_docs import prose, python_documents
from minibert.data.sentence_splitter import split_paragraphs, split_sentences, without_repeats
from minibert.errors import InputError


@pytest.fixture(scope="module")
def python_docs():
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


@pytest.mark.parametrize("content, words", [
    (b"", "empty"), (b" \n\t\n", "empty"), (b"text\0text", "binary"),
    (b"caf\xe9 noir", r"byte 3 \(0xe9\) is not UTF-8"),
])
def test_files_that_are_no_text_are_named(tmp_path, content, words):
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(InputError, match=f"bad.txt.*{words}"):
        files_corpus([tmp_path / "bad.txt"])


def test_missing_files_empty_folders_and_unknown_formats_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.txt: there is no such file"):
        files_corpus([tmp_path / "nowhere.txt"])
    with pytest.raises(InputError, match="no .txt, .md, .rst files"):
        files_corpus([tmp_path])
    with pytest.raises(InputError, match="format 'poem'"):
        files_corpus([tmp_path], "poem")


def test_a_byte_order_mark_is_not_text_and_line_breaks_stay(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_text(tmp_path / "a.txt") == "a\r\nb"


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
    with pytest.raises(InputError, match="tokenizer 'bpe'"):
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


def test_this_python_documents_itself(python_docs):
    n_train, n_held_out = len(python_docs.train_documents), len(python_docs.held_out_documents)
    assert n_train + n_held_out > 200 and n_held_out == (n_train + n_held_out) // 10
    sentences = [s for document in python_docs.train_documents for s in document]
    assert len(sentences) > 5000
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


def test_the_vocabulary_of_a_run_below_the_texts_is_no_text(tmp_path):
    for name in ("a.txt", "runs/bert/latest/vocab.txt", "runs/bert/latest/config.json", "b/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert find_files([tmp_path]) == [tmp_path / "a.txt", tmp_path / "b" / "c.txt"]
