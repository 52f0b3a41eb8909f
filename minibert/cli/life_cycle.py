"""The life cycle of every training: new or resumed, prepared, trained, finished.

`pretrain` and `finetune` describe their trainings as subclasses of Training; the order of the steps
is here. What goes wrong before a run has begun leaves no folder behind; whatever stops it later
leaves a checkpoint and a line that says how to go on.
"""

from collections.abc import Sequence

from minibert.cli.display import curve_of
from minibert.errors import InputError
from minibert.training.report import Report, estimate, estimate_line
from minibert.training.run_folder import Run, new_runs
from minibert.training.trainer import Trainer

FIRST_EXAMPLES = 2


class Training:
    """One training of a command; `pretrain both` has two. A subclass defines the first five
    methods."""

    def __init__(self, run: Run, resume: bool):
        self.run, self.resume = run, resume
        self.trainer: Trainer | None = None  # after prepare()
        self.estimate: str | None = None  # None where it is resumed

    def make_trainer(self, report: Report) -> Trainer:
        """The trainer, before any step; nothing is written. Errors: whatever does not fit."""
        raise NotImplementedError

    def write_beside(self) -> None:
        """Write the files of a new run that stand beside its first checkpoint."""

    def title(self) -> list[str]:
        """The first lines about this training."""
        raise NotImplementedError

    def facts(self) -> list[str]:
        """Lines about what is trained, after the first examples of a new training."""
        raise NotImplementedError

    def finish(self, report: Report) -> None:
        """Write the summary and report what was reached."""
        raise NotImplementedError


def prepare(trainings: Sequence[Training], report: Report) -> None:
    """Make the trainers and time two trial steps of each; only then make the folders of new runs,
    with a first checkpoint, so that a run can be resumed whenever it is killed. Runs to resume go
    back to their latest checkpoint. From here on they are held, unless there is an error."""
    try:
        for training in trainings:
            trainer = training.trainer = training.make_trainer(report)
            trainer.run_folder = training.run
            if training.resume:
                _go_back(trainer)
            else:
                training.estimate = estimate_line(estimate(trainer), trainer.settings.steps)
        new = [training for training in trainings if not training.resume]
        with new_runs([training.run.path for training in new]):
            for training in new:
                training.write_beside()
                training.trainer.save()
    except BaseException:
        _release(trainings)  # for another try
        raise


def _go_back(trainer: Trainer) -> None:
    run = trainer.run_folder
    trainer.resume()
    if trainer.best is not None and run.checkpoint("best") is None:
        raise InputError(f"{run.path}: best/, the checkpoint of step {trainer.best['step']}, is "
                         "missing: put it back, or begin a new run in another --out")


def _release(trainings: Sequence[Training]) -> None:
    for training in trainings:
        training.run.release()


def train(trainings: Sequence[Training], report: Report, command: str) -> bool:
    """Run the trainings one after the other, each to its end and its summary. False if a signal
    stopped one; `command` goes on with the run."""
    try:
        for training in trainings:
            if not _train_one(training, report, command):
                return False
        return True
    finally:
        _release(trainings)  # those that were not begun are still held


def _train_one(training: Training, report: Report, command: str) -> bool:
    trainer = training.trainer
    try:
        _introduce(training, report)
        if not trainer.run():
            report.line(f"stopped after step {trainer.steps_done}, all is saved; go on with: "
                        f"{command}")
            return False
        for line in curve_of(training.run.records()):
            report.line(line)
        training.finish(report)
        return True
    except KeyboardInterrupt:
        report.line(f"stopped; step {max(trainer.steps_saved, 0)} is saved; go on with: {command}")
        return False
    except BaseException:
        report.line(f"once the cause is mended, go on with: {command}")
        raise


def _introduce(training: Training, report: Report) -> None:
    objective, lines = training.trainer.objective, training.title()
    if training.resume:
        lines.append(f"resumed at step {training.trainer.steps_done}")
    else:
        lines += [*[f"  {line}" for line in objective.describe()], "first examples:"]
        for example in objective.first_examples(FIRST_EXAMPLES):
            lines += [f"  {line}" for line in example.splitlines()]
        lines += [*training.facts(), training.estimate]
    for line in lines:
        report.line(line)
