"""The exercises: the true solutions pass, each known mistake is caught and named."""

import ast
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from itertools import islice

import numpy as np
import pytest
from tests.exercises import checker
from tests.exercises.checker import Fault, NotBegun, Part, cases, check, diagnose, fault, size
from tests.exercises.checks import softmax
from tests.exercises.ladder import FOLDER, LADDER
from tests.exercises.solutions import SOLUTIONS

PARTS = [part for parts in LADDER.values() for part in parts]
MISTAKES = [(part, mistake) for part in PARTS for mistake in part.mistakes]
ROOT = FOLDER.parents[1]
SOFTMAX = LADDER["03_softmax_backward"][0]
PROBED = 5  # failing cases for each mistake; random functions have the same probe for all


def name_of(value) -> str:
    return value.function if isinstance(value, Part) else value.__name__


@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_the_true_solution_passes(part):
    check(part, SOLUTIONS[part.function])


@pytest.mark.parametrize("part, mistake", MISTAKES, ids=name_of)
def test_a_known_mistake_is_caught_and_named(part, mistake):
    wrong = (case for case in cases(part) if fault(part, mistake, case) is not None)
    failing = list(islice(wrong, 1 if part.probes else PROBED))
    named = [diagnose(part, mistake, case) is mistake for case in failing]
    assert failing and sum(named) >= 0.95 * len(named)
    with pytest.raises(Fault) as error:
        check(part, mistake)
    text = str(error.value)
    assert " ".join(mistake.__doc__.split()) in text
    for name in failing[0].inputs:
        assert f"    {name} = " in text


@pytest.mark.parametrize("part", PARTS, ids=name_of)
def test_small_inputs_are_tried_first(part):
    sizes = [size(case.inputs) for case in cases(part)[:part.examples]]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_each_exercise_has_at_least_four_known_mistakes():
    assert len(LADDER) == 16
    for name, parts in LADDER.items():
        assert sum(len(part.mistakes) for part in parts) >= 4, name
    causes = [(part.function, mistake.__doc__) for part, mistake in MISTAKES]
    assert len(set(causes)) == len(causes)


@pytest.mark.parametrize("name", LADDER)
def test_a_page_has_its_functions_without_a_solution(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert list(functions) == [part.function for part in LADDER[name]]
    for node in functions.values():
        _, last = node.body  # the docstring, and nothing else
        assert isinstance(last, ast.Raise) and last.exc.id == "NotImplementedError"
    docstring = ast.get_docstring(tree)
    assert docstring.startswith(f"Exercise {int(name[:2])}: ") and "Read first:" in docstring
    assert f"python -m pytest demos/exercises/{name}.py" in docstring
    for file in re.findall(r"(?:minibert|demos)/[\w/]+\.py", docstring):
        assert (ROOT / file).exists(), file
    before, hints = text.split("# ---- hints: scroll down ----")
    assert hints.count("\n#\n") >= 10 or hints.count("#\n") >= 20
    assert "# 1. " in hints


def test_the_readme_lists_the_ladder_and_shows_a_real_message():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\d\d_\w+)\.py` \|", text, re.MULTILINE) == list(LADDER)
    with pytest.raises(Fault) as error:
        check(SOFTMAX, softmax.no_row_sum)
    assert f"```\n{error.value}\n```" in text
    for file in re.findall(r"`((?:minibert|tests)/[\w/]+\.(?:py|txt))`", text):
        assert (ROOT / file).exists(), file


def test_the_folder_has_the_ladder_and_no_other_exercise():
    assert [path.stem for path in sorted(FOLDER.glob("[0-9]*.py"))] == list(LADDER)


def test_a_function_that_is_not_begun():
    def not_begun(*arguments):
        raise NotImplementedError
    for part in PARTS:
        with pytest.raises(NotBegun):
            check(part, not_begun)


# ---- faults of other kinds -----------------------------------------------------------------------


def in_place(dP, P):
    dP -= (P * dP).sum(-1, keepdims=True)
    return dP * P


def endless(stopped):
    while not stopped.is_set():
        try:
            time.sleep(0.001)
        except Exception:
            pass


@pytest.mark.parametrize("function, words", [
    (lambda dP, P: None, "the result is None: is the `return` missing?"),
    (lambda dP, P: dP.tolist(), "the result is of type list: expected a NumPy array of shape"),
    (lambda dP, P: (dP, P), "the result is a tuple of 2: expected a NumPy array"),
    (lambda dP, P: dP[None], "has the shape (1, 2): expected (2,)"),
    (lambda dP, P: (dP * P).astype(np.float32), "has the dtype float32: expected float64"),
    (lambda dP, P: dP * np.nan, "(NaN)"),
    (lambda dP, P: dP @ np.ones((7, 7)), "it raised ValueError: matmul"),
    (lambda dP: dP, "it raised TypeError"),
    (lambda dP, P: sys.exit(), "it raised SystemExit"),
    (in_place, "it writes into its argument dP: the caller still needs it")])
def test_faults_that_have_a_message_of_their_own(function, words):
    with pytest.raises(Fault) as error:
        check(SOFTMAX, function)
    text = str(error.value)
    assert words in text and "\n    dP = " in text


def by_thread(seconds, function, *arguments):
    return checker.within_by_thread(seconds, function, arguments)


@pytest.mark.parametrize("within", [checker.within, by_thread])
def test_a_function_that_never_returns(within, monkeypatch):
    monkeypatch.setattr(checker, "SECONDS", 0.2)
    monkeypatch.setattr(checker, "within", within)
    stopped = threading.Event()
    with pytest.raises(Fault, match="it did not return within 0.2 s"):
        check(SOFTMAX, lambda dP, P: endless(stopped))
    stopped.set()
    assert within(5, lambda a: a + 1, 1) == 2
    with pytest.raises(ZeroDivisionError):
        within(5, lambda a: a / 0, 1)


@pytest.mark.parametrize("text, words", [
    ("def softmax_backward(dP, P)\n    return dP", "is not Python yet: expected ':', line 1"),
    ("import nothing_of_this_name", "cannot be loaded: ModuleNotFoundError"),
    ("raise SystemExit", "cannot be loaded: SystemExit"),
    ("softmax = 1", "the function softmax_backward is missing in 03.py")])
def test_a_file_that_cannot_be_used(text, words, tmp_path):
    path = tmp_path / "03.py"
    path.write_text(text)
    with pytest.raises(Fault) as error:
        checker.function_of(checker.load(path), "softmax_backward")
    assert words in str(error.value)


# ---- with pytest and train.py, as a learner does -------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The exercises with 3 solved, 5 wrong, 6 no Python, and the others not begun."""
    root = tmp_path_factory.mktemp("copy")
    folder = root / "demos/exercises"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    edit(folder / "03_softmax_backward.py",
         "from tests.exercises.solutions import softmax_backward")
    edit(folder / "05_attention.py", "from tests.exercises.checks.attention import no_scale\n"
                                     "attention = no_scale")
    edit(folder / "06_attention_backward.py", "def :")
    return root


def edit(path, text):
    page, hints = path.read_text(encoding="utf-8").split("# ---- hints")
    path.write_text(f"{page}\n{text}\n# ---- hints{hints}", encoding="utf-8")


def run(root, *arguments):
    environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1",
                       PYTHONIOENCODING="utf-8", OPENBLAS_NUM_THREADS="1")
    return subprocess.run([sys.executable, *arguments], cwd=root, env=environment,
                          capture_output=True, text=True, timeout=200)


def run_pytest(root, *targets):
    return run(root, "-m", "pytest", "-q", "-p", "no:cacheprovider", *targets)


@pytest.mark.slow
def test_the_whole_folder(copy):
    result = run_pytest(copy, "demos/exercises")
    lines = re.findall(r"^(\d\d)_\w+ +(solved|not .*)$", result.stdout, re.MULTILINE)
    states = dict(lines)
    assert len(lines) == 16 and result.returncode == 1
    assert states.pop("03") == "solved"
    assert states.pop("05") == states.pop("06") == "not right yet"
    assert set(states.values()) == {"not begun"}
    assert "The scores are not divided by sqrt(D)." in result.stdout
    assert "06_attention_backward.py is not Python yet" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert "checker.py" not in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name, status", [("03_softmax_backward", 0),
                                          ("06_attention_backward", 1)])
def test_one_file(copy, name, status):
    result = run_pytest(copy, f"demos/exercises/{name}.py")
    assert result.returncode == status, result.stdout
    assert len(re.findall(r"^\d\d_\w+  ", result.stdout, re.MULTILINE)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number, status, words", [
    ("3", 0, r"step   1 (.|\n)*your softmax_backward ran \d+ times"),
    ("5", 1, r"(?s)05_attention.py is not solved yet.*not divided by sqrt\(D\)"),
    ("7", 1, r"07_masks.py is not begun")])
def test_training_with_a_solved_exercise_only(copy, number, status, words):
    result = run(copy, "demos/exercises/train.py", number, "--steps", "2")
    assert result.returncode == status, result.stderr
    assert re.search(words, result.stdout)
