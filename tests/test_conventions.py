"""Rules that hold for every file."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@cache
def nodes(folder: str) -> list[tuple[str, ast.AST]]:
    """(file, node) of everything that is written in the Python files below a folder."""
    return [(path.relative_to(ROOT).as_posix(), node)
            for path in sorted((ROOT / folder).rglob("*.py"))
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


@pytest.fixture(scope="module", autouse=True)
def forgotten():
    """Millions of nodes would slow down all tests that follow."""
    yield
    nodes.cache_clear()


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def found(folder: str, is_fault) -> list[str]:
    return [f"{path}, line {node.lineno}" for path, node in nodes(folder) if is_fault(node)]


def test_no_file_can_make_the_package_run_code_or_go_online():
    """No pickle in a checkpoint, and nothing that is as bad. Of importlib only what reads our own
    files, and what imports the module of a command (argparse knows their names)."""
    dangerous = {"pickle", "marshal", "shelve", "dill", "joblib", "socket", "urllib", "http",
                 "requests", "importlib"}

    def is_fault(node):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            bare = isinstance(node.func, ast.Name)
            return bare and name in ("eval", "exec", "__import__") or "allow_pickle" in [
                keyword.arg for keyword in node.keywords]
        if isinstance(node, ast.ImportFrom) and node.module == "importlib":
            return [alias.name for alias in node.names] not in (["resources"], ["import_module"])
        return any(name.split(".")[0] in dangerous for name in imported(node))

    assert found("minibert", is_fault) == []
    by_name = found("minibert", lambda node: getattr(node, "id", "") == "import_module")
    assert len(by_name) == 1 and by_name[0].startswith("minibert/cli/parser.py")


def test_randomness_is_passed_in():
    """No global generator: of numpy.random only what makes one of one's own."""
    def is_fault(node):
        if any(name == "random" for name in imported(node)):
            return True
        return (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
                and node.value.attr == "random" and getattr(node.value.value, "id", "") == "np"
                and node.attr not in ("default_rng", "Generator", "PCG64"))

    assert found("minibert", is_fault) == []


def test_mistakes_of_a_user_are_told_without_assert():
    assert found("minibert", lambda node: isinstance(node, ast.Assert)) == []


def test_no_two_tests_of_one_name():
    """The second would silently take the place of the first."""
    for path, node in nodes("tests"):
        if isinstance(node, (ast.Module, ast.ClassDef)):
            names = Counter(part.name for part in node.body
                            if isinstance(part, (ast.FunctionDef, ast.ClassDef)))
            assert [name for name, count in names.items() if count > 1] == [], path


def test_no_test_hides_behind_a_missing_package():
    def is_fault(node):
        if isinstance(node, ast.ExceptHandler):
            names = [getattr(part, "id", "") for part in ast.walk(node.type or node)]
            return bool({"ImportError", "ModuleNotFoundError"} & set(names))
        return getattr(node, "attr", "") in ("importorskip", "xfail")

    assert found("tests", is_fault) == []


def reading_order() -> list[str]:
    """The files in the table of minibert/README.md, from the root."""
    room, order = "", []
    for line in (ROOT / "minibert/README.md").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| \*\*`(\w+/)`\*\* \|", line):
            room = match[1]
        elif match := re.match(r"\| \*? ?`([\w/]+\.py)` \|", line):
            order.append(f"minibert/{'' if match[1] == '__main__.py' else room}{match[1]}")
    return order


def test_the_map_lists_every_file_below_what_it_imports():
    order = reading_order()
    files = {path for path, _ in nodes("minibert") if not path.endswith("__init__.py")}
    assert Counter(order) == Counter(files)
    place = {path: k for k, path in enumerate(order)}
    for path, node in nodes("minibert"):
        if isinstance(node, ast.ImportFrom) and path in place:
            modules = [node.module, *[f"{node.module}.{alias.name}" for alias in node.names]]
            for file in [module.replace(".", "/") + ".py" for module in modules]:
                assert place.get(file, -1) < place[path], f"{path} stands above {file}"


def test_the_index_of_ignored_targets_is_stated_once():
    def is_fault(node):
        return (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
                and getattr(node.operand, "value", None) == 100)

    places = found("minibert", is_fault)
    assert len([place for place in places if "micro.py" not in place]) == 1  # it imports nothing


def test_no_line_is_longer_than_100_characters():
    for folder in ("minibert", "demos", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").split("\n")
            assert max(map(len, lines)) <= 100, path


@pytest.mark.parametrize("script", ["tests/mutations/run.py", "tests/training/kills.py",
                                    "tests/cli/fuzz_runs.py", "demos/benchmark/benchmark.py"])
def test_scripts_find_what_they_import(script, tmp_path):
    """They are run by their path, from anywhere, where no installation helps to find the tests."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = f"import runpy; runpy.run_path({str(ROOT / script)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
