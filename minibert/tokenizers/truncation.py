"""Cutting one text or a pair of texts down to a length: Hugging Face's truncation strategies."""

from minibert.errors import InputError

STRATEGIES = ("longest_first", "only_first", "only_second")


def cut_windows(first: list, second: list | None, n_max: int, strategy: str, stride: int,
                overflow: bool, side: str = "right") -> list[tuple[list, list | None]]:
    """One text or a pair cut to `n_max` tokens in all; with `overflow`, windows over the rest, too.

    Windows of the text that is cut share `stride` tokens with the one before. `side`: the end at
    which tokens are removed. Errors: InputError where a strategy cannot reach `n_max`.
    """
    if n_max < 1:
        raise InputError(f"tokenizer: max_length leaves room for {n_max} tokens beside the special "
                         "ones; raise it")
    n_excess = len(first) + len(second or []) - n_max
    if n_excess <= 0:
        return [(first, second)]
    if strategy == "only_second" and second is None:
        raise InputError("tokenizer: truncation='only_second' needs a second text")
    if strategy == "longest_first" and second is not None:
        if overflow:
            raise InputError("tokenizer: windows over a pair of texts need truncation='only_first' "
                             "or 'only_second'")
        n_first, n_second = shared_lengths(len(first), len(second), n_max)
        return [(_kept(first, n_first, side), _kept(second, n_second, side))]
    whole = second if strategy == "only_second" else first
    n_kept = len(whole) - n_excess
    if n_kept < 1:
        raise InputError(f"tokenizer: truncation={strategy!r} would remove all {len(whole)} tokens "
                         f"of that text to get down to {n_max}; raise max_length or use "
                         "'longest_first'")
    if not 0 <= stride < n_kept:
        raise InputError(f"tokenizer: stride {stride} must be at least 0 and less than the "
                         f"{n_kept} tokens of a window")
    if side == "left" and overflow:
        raise InputError("tokenizer: windows (return_overflowing_tokens) with truncation_side = "
                         "'left' are not supported; set it to 'right'")
    parts = [_kept(whole, n_kept, side)]
    if overflow:
        step = n_kept - stride
        parts = [whole[start:start + n_kept] for start in range(0, n_excess + step, step)]
    if strategy == "only_second":
        return [(first, part) for part in parts]
    return [(part, second) for part in parts]


def _kept(tokens: list, n: int, side: str) -> list:
    return tokens[:n] if side == "right" else tokens[len(tokens) - n:]


def shared_lengths(n_first: int, n_second: int, n_max: int) -> tuple[int, int]:
    """The lengths to which two texts are cut: the longer one to the shorter, then both alike."""
    if n_first + n_second <= n_max:
        return n_first, n_second
    shorter = min(n_first, n_second, n_max // 2)
    return (shorter, n_max - shorter) if n_first <= n_second else (n_max - shorter, shorter)
