"""`tag`: entities and other tags in a sentence."""

from tests.cli.command_line import output_of

from minibert.cli.tasks import open_finetuned


def test_entities_are_marked(runs, capsys, monkeypatch):
    def tags(task, model, examples):
        assert examples[0].words == ("Anna", "lives", "in", "New", "Rome", ".")
        return [("B-PER", "O", "O", "B-LOC", "I-LOC", "O")]

    monkeypatch.setattr("minibert.cli.tag.predict", tags)
    text = "Anna lives  in New\tRome."
    assert output_of(capsys, "tag", runs["tag"], text) == ("[Anna PER] lives  in [New\tRome LOC]."
                                                           "\n")
    monkeypatch.setattr("minibert.cli.tag.can_colour", lambda stream: True)
    coloured = output_of(capsys, "tag", runs["tag"], text)
    assert "[Anna" not in coloured and coloured.count("\x1b[0m") == 2


def test_tags_that_are_no_entities_are_shown_at_every_word(runs, capsys, monkeypatch):
    def opened(*arguments):
        found = open_finetuned(*arguments)
        found.task.metric_for_best_model = "accuracy"
        return found

    monkeypatch.setattr("minibert.cli.tag.open_finetuned", opened)
    monkeypatch.setattr("minibert.cli.tag.predict", lambda *_: [("DT", "NN")])
    assert output_of(capsys, "tag", runs["tag"], "anna  lives") == "[anna DT]  [lives NN]\n"
