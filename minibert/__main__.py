"""`python -m minibert`: a mistake ends in one line and exit status 2, never in a traceback."""

import errno
import io
import os
import sys
import warnings

import numpy as np

from minibert.cli.parser import parse
from minibert.errors import InputError
from minibert.training.trainer import NonFiniteLoss

FULL = (errno.ENOSPC, errno.EDQUOT)
OUTPUT_ERRORS = (*FULL, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a check that failed, 2 for bad input or
    output, 130 for a run that a signal stopped."""
    if sys.stderr is None:  # closed by the caller: `2>&-`
        sys.stderr = open(os.devnull, "w")
    if sys.stdout is None:
        sys.stderr.write("minibert: standard output is closed: expected a terminal, a file or a "
                         "pipe\n")
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a text may have what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command, options = parse(arguments)
    # A loss that is not finite is found by its value, and named once.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.showwarning = _one_line_warning
        try:
            status = command.run(**options)
            sys.stdout.flush()
            return status
        except (InputError, NonFiniteLoss) as error:
            message = str(error)
        except MemoryError as error:
            message = f"not enough memory ({error}): try smaller sizes, or a shorter text"
        except BrokenPipeError:  # the reader of the output, such as `head`, has ended
            _drop_output()
            return 0
        except OSError as error:
            message = _describe(error)
        except KeyboardInterrupt:
            sys.stderr.write("minibert: stopped\n")
            return 130
    sys.stderr.write(f"minibert {arguments[0]}: {' '.join(message.split())}\n")
    return 2


def _describe(error: OSError) -> str:
    """The file and the cause of an OSError, and the cure for a full disk."""
    name = error.filename
    if name is None and error.errno in OUTPUT_ERRORS:  # all writes to files name theirs
        name = "standard output"
        _drop_output()
    message = f"{name}: {error.strerror}" if name else str(error.strerror or error)
    if error.errno in FULL:
        message += ": free some space; what was there before is as it was"
    return message


def _drop_output() -> None:
    """Send what is still to be printed to nowhere, so that the interpreter's end cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _one_line_warning(message, category, filename, lineno, file=None, line=None) -> None:
    sys.stderr.write(f"minibert: note: {message}\n")


if __name__ == "__main__":
    sys.exit(main())
