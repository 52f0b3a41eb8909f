"""The hunt plants what it says, shows what differs, and asks."""

import builtins

import pytest
from tests.mutations import hunt as hunting
from tests.mutations.mutations import MUTATIONS, ROOT

MUTATION = next(m for m in MUTATIONS if hunting.room_of(m) == "nn")
TEXT = (ROOT / MUTATION.file).read_text(encoding="utf-8")
LINE = hunting.line_number(MUTATION, TEXT)
SOUND = {"GPT, loss at steps": [3.2, 2.1], "law": "0", "values": [1]}


def with_a_mutation(copy):
    """Figures of which the mutation changes a law and a curve."""
    mutated = (copy / MUTATION.file).read_text(encoding="utf-8") != TEXT
    return SOUND | ({"GPT, loss at steps": [3.2, 3.1], "law": "0.5"} if mutated else {})


@pytest.fixture(autouse=True)
def one_mutation(monkeypatch):
    """No figures are computed, no tests are run."""
    def copy_one_file(to):
        (to / MUTATION.file).parent.mkdir(parents=True)
        (to / MUTATION.file).write_text(TEXT, encoding="utf-8")

    monkeypatch.setattr(hunting, "MUTATIONS", [MUTATION])
    monkeypatch.setattr(hunting, "copy_project", copy_one_file)
    monkeypatch.setattr(hunting, "figures", with_a_mutation)


def hunt(room="nn", level=1, answer=True):
    return hunting.hunt(room, 0, level, answer, lambda copy, mutation: "tests/x.py::test_y")


@pytest.mark.parametrize("level", [1, 2, 3])
def test_what_the_levels_show(level, capsys):
    assert hunt(level=level) == 0
    text = capsys.readouterr().out
    shown, solution = text.split("not compare it with the original")
    assert "should be  [3.2, 2.1]\n      is         [3.2, 3.1]" in shown
    assert ("  law\n" in shown) == (level < 3) and "values" not in shown
    assert ("The line is in minibert/nn/" in shown) == (level == 1)
    assert MUTATION.file not in shown and MUTATION.name not in shown
    for words in (MUTATION.name, f"{MUTATION.file}, line {LINE}", MUTATION.becomes,
                  "tests/x.py::test_y"):
        assert words in solution


def test_a_room_without_mutations(capsys):
    assert hunt(room="autograd") == 1
    assert "no mutation in autograd" in capsys.readouterr().out


@pytest.mark.parametrize("answers, said", [
    ([MUTATION.file.split("/")[-1], str(LINE)], ["Yes.", "Yes, found."]),
    (["", "x.py", MUTATION.file, str(LINE + 3), "12x", str(LINE)],
     ["No.", "No.", "Yes.", "Close: within 5 lines.", "No.", "Yes, found."]),
    (["a", "b", "c", "999999", "0", "z"],
     ["No.", "No.", "No.", f"It is {MUTATION.file}.", "No."])])
def test_the_questions(answers, said, capsys, monkeypatch):
    waiting = iter(answers)
    monkeypatch.setattr(builtins, "input", lambda prompt: next(waiting))
    hunt(answer=False)
    lines = capsys.readouterr().out.splitlines()
    assert next(waiting, None) is None
    assert [line for line in lines if line in said][:len(said)] == said


def test_a_seed_decides_the_order(monkeypatch):
    monkeypatch.setattr(hunting, "MUTATIONS", MUTATIONS)
    first, again, other = [hunting.candidates(None, seed) for seed in (1, 1, 2)]
    assert first == again and first != other
    assert all(m.file.startswith("minibert/nn/") for m in hunting.candidates("nn", 1))
    assert hunting.candidates("nn", 1)


def test_the_symptoms_of_the_sound_package(monkeypatch):
    monkeypatch.undo()
    figures = hunting.figures(ROOT)
    assert len(figures) >= 12 and not any("Error" in str(value) for value in figures.values())
    laws = {name: value for name, value in figures.items() if name.startswith("law")}
    cached, whole = laws["law: decoding with and without the cache"]
    assert cached == whole
    assert laws["law: gradients that differ from the complex step"] == []
    assert laws["law: a later token changes an earlier output of GPT by"] == "0"
