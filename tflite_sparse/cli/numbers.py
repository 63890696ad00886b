"""Lists of numbers on a command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

_Number = TypeVar("_Number", int, float)


def numbers(
    text: str,
    convert: Callable[[str], _Number],
    expected: str,
    allowed: Callable[[_Number], bool] = lambda number: True,
) -> list[_Number]:
    """The numbers of ``1,2,3``.

    Raises ArgumentTypeError saying what was `expected` if one is not a number, or not allowed.
    """
    try:
        values = [convert(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or not all(allowed(value) for value in values):
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text}")
    return values
