"""Checking sizes of images."""

from __future__ import annotations

from typing import Any

from tflite_sparse.errors import OptionError


def checked_size(size: Any) -> tuple[int, int]:
    """``(H, W)`` of a size that is given so, or as one number for both.

    Raises:
        OptionError: anything else, or below 1.
    """
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(value, int) and value >= 1 for value in pair):
        raise OptionError(
            f"expected an input_size of one whole number from 1, or (height, width); found {size!r}"
        )
    return pair[0], pair[1]
