"""The one error that a user's mistake raises everywhere outside the engine.

Shape and type mistakes inside the engine (autograd/) stay plain ValueError, TypeError and
IndexError, as in NumPy. The command line turns an InputError into one line on stderr and exit
status 2.
"""


class InputError(ValueError):
    """What the user gave cannot be used: the message names it, what was expected and the cure."""
