"""The words of `finetune`, `predict`, `evaluate`, `answer` and `tag`, and what an option is when it
is not given."""

from __future__ import annotations

from minibert.training.machine import core_count

TASKS = {"classify": "The class of a text, or a number for it.",
         "pair": "The class of a pair of texts, or a number for it.",
         "choice": "Which of several endings goes on best.",
         "tag": "A tag for every word, such as entities.",
         "answer": "The stretch of a text that answers a question."}
METRICS = ("accuracy", "macro_f1", "matthews")

DEFAULTS = {"epochs": 3, "batch": 16, "weight_decay": 0.01, "layer_decay": 1.0, "freeze_layers": 0,
            "freeze_encoder": False, "class_weights": False, "regression": False,
            "metric": METRICS[0], "vote": False, "patience": 0, "seed": 1, "clip": 1.0,
            "schedule": "linear",
            "text_column": None, "pair_column": None, "label_column": None, "dropout": None}

# What is always there once a run has begun: these, and what depends on the model.
OF_A_RUN = (*DEFAULTS, "lr", "threads", "max_length", "stride", "left_to_right")

LONGEST = {"answer": 384}  # tokens in a window, as in BERT's run_squad.py; for the other tasks:
LONGEST_OTHERS = 128  # as in its run_classifier.py
BERT_LR, BERT_WIDTH = 5e-5, 768  # the rate that the paper finds good for BERT's size
WARMUP_SHARE = 0.1


def add_commands(commands, command) -> None:
    """Add the words to the parser: `commands` are its subcommands, command(name, summary) adds one
    that asks a run."""
    _add_finetune(commands)
    predict = command("predict", "What a fine-tuned model says to every example of a file.")
    predict.add_argument("--file", required=True, help="examples; labels are not looked at")
    predict.add_argument("--out", required=True, help="a file that does not exist yet")
    evaluate = command("evaluate", "How good a fine-tuned model is on a labelled file.")
    evaluate.add_argument("--file", required=True)
    for reader, labelled in ((predict, False), (evaluate, True)):
        _add_columns(reader.add_argument_group("file"), labelled=labelled)
        _add_threshold(reader)
    answer = command("answer", "Let a model fine-tuned for it answer a question to a text.")
    answer.add_argument("--context", required=True, metavar="FILE", help="the text")
    answer.add_argument("--question", required=True)
    _add_threshold(answer)
    tag = command("tag", "Mark the entities of a sentence.")
    tag.add_argument("text")


def _add_finetune(commands) -> None:
    summary = "Teach a pre-trained model a task from labelled examples."
    parser = commands.add_parser("finetune", help=summary, description=summary, allow_abbrev=False)
    tasks = parser.add_subparsers(dest="task", required=True, metavar="task",
                                  parser_class=type(parser))
    for name, task_summary in TASKS.items():
        task = tasks.add_parser(name, help=task_summary, description=task_summary,
                                allow_abbrev=False)
        task.add_argument("--from", metavar="RUN_OR_FOLDER",
                          help="the pre-trained model")
        task.add_argument("--train", metavar="FILE", help="labelled examples to learn from")
        task.add_argument("--dev", metavar="FILE", help="labelled examples to be judged by")
        task.add_argument("--out", metavar="FOLDER", help="where the run is kept (runs/TASK-TRAIN)")
        task.add_argument("--resume", action="store_true", help="go on with the run in --out")
        if name in ("classify", "pair", "tag"):
            _add_columns(task.add_argument_group("files"), pairs=name == "pair")
        if name in ("classify", "pair"):
            task.add_argument("--regression", action="store_true", default=None,
                              help="labels are numbers, to be predicted as such")
            task.add_argument("--metric", choices=METRICS, help="which figure chooses (accuracy)")
        if name == "classify":
            task.add_argument("--vote", action="store_true", default=None,
                              help="a text in several windows has the class that most of them have "
                                   "(the one with the highest mean)")
        if name in ("classify", "pair", "tag"):
            task.add_argument("--class-weights", action="store_true", default=None,
                              help="let rare classes count as much as common ones")
        _add_training(task.add_argument_group("training"))


def _add_columns(group, pairs: bool = True, labelled: bool = True) -> None:
    group.add_argument("--text-column", metavar="NAME",
                       help="that of the text, or of the words to be tagged: by name, or by number "
                            "if the file does not begin with names")
    if pairs:
        group.add_argument("--pair-column", metavar="NAME", help="that of the second text")
    if labelled:
        group.add_argument("--label-column", metavar="NAME")


def _add_threshold(parser) -> None:
    parser.add_argument("--null-threshold", type=float, metavar="X",
                        help="answer nothing where that scores X above the best answer (0)")


def _add_training(training) -> None:
    training.add_argument("--epochs", type=int, help="how often all examples are read (3)")
    training.add_argument("--batch", type=int, help="examples, or windows, in a batch (16)")
    training.add_argument("--lr", type=float, help="the highest learning rate (5e-5 for BERT's "
                                                   "width of 768, more for a narrower model)")
    training.add_argument("--warmup", type=int, help="steps until the highest rate (a tenth)")
    training.add_argument("--weight-decay", type=float, help="(0.01)")
    training.add_argument("--layer-decay", type=float,
                          help="the rate of a layer, as a share of the one above it (1)")
    frozen = training.add_mutually_exclusive_group()
    frozen.add_argument("--freeze-layers", type=int, metavar="K",
                        help="do not train the embeddings and the first K layers (none)")
    frozen.add_argument("--freeze-encoder", action="store_true", default=None,
                        help="train the head only")
    training.add_argument("--dropout", type=float, help="(as in pre-training)")
    training.add_argument("--patience", type=int, help="stop after so many epochs that bring "
                                                       "nothing better on --dev (0: never)")
    training.add_argument("--max-length", type=int, help="tokens in a window (128; answer: 384)")
    training.add_argument("--stride", type=int,
                          help="tokens that a window shares with the one before (a third)")
    training.add_argument("--seed", type=int, help="(1)")
    training.add_argument("--threads", type=int, help="threads of a matrix product (all cores)")
    training.add_argument("--workers", type=int, help="threads that share each batch")


def resolved(given: dict, positions: int, width: int) -> dict:
    """All options: what was given, and for the rest what suits a model of so many `positions` and
    this `width`. What depends on the number of examples is left open."""
    options = {**DEFAULTS, **given}
    longest = min(positions, LONGEST.get(options["task"], LONGEST_OTHERS))
    options.setdefault("max_length", longest)
    options.setdefault("stride", options["max_length"] // 3)
    options.setdefault("lr", BERT_LR * BERT_WIDTH / width)
    options.setdefault("threads", core_count())
    return options
