"""`python -m minibert`: one line and exit status 2 for what cannot be done, never a traceback."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings

import numpy as np

from minibert.cli import ask
from minibert.cli import embed as embedding
from minibert.cli import finetune
from minibert.cli import predict
from minibert.cli import pretrain
from minibert.cli import show
from minibert.cli.parser import make_parser
from minibert.errors import InputError
from minibert.training.trainer import NonFiniteLoss

COMMANDS = {"pretrain": pretrain.run_pretrain, "info": show.run_info, "compare": show.run_compare,
            "gradcheck": show.run_gradcheck, "fill-mask": ask.run_fill_mask,
            "embed": embedding.run_embed,
            "next-sentence": ask.run_next_sentence, "generate": ask.run_generate,
            "score": ask.run_score, "trace": ask.run_trace, "finetune": finetune.run_finetune,
            "predict": predict.run_predict, "evaluate": predict.run_evaluate,
            "answer": predict.run_answer, "tag": predict.run_tag}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a check that failed, 2 for bad input, 130
    for a run that Ctrl-C stopped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a text may have what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    options = make_parser().parse_args(arguments)
    # A loss that is not finite is found by its value, and named once.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.showwarning = _one_line_warning
        try:
            return COMMANDS[options.command](options)
        except (InputError, NonFiniteLoss) as error:
            message = str(error)
        except MemoryError as error:
            message = f"not enough memory ({error}): try a smaller --batch, --width or --context"
        except BrokenPipeError:  # the reader of our output, such as `head`, has had enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:
            message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                message += ": free some space; what was there before is as it was"
        except KeyboardInterrupt:
            sys.stderr.write("minibert: stopped\n")
            return 130
    sys.stderr.write(f"minibert {options.command}: {' '.join(message.split())}\n")
    return 2


def _one_line_warning(message, category, filename, lineno, file=None, line=None) -> None:
    sys.stderr.write(f"minibert: note: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
