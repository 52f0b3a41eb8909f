"""InputError: a user's mistake, everywhere outside the engine.

Shape and type mistakes inside the engine (autograd/) stay plain ValueError, TypeError and
IndexError, as in NumPy. The command line turns an InputError into one line on stderr and exit
status 2.
"""


class InputError(ValueError):
    """Input that cannot be used: the message names it, what was expected and the cure."""
