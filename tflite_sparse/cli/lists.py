"""Arguments that several commands have; lists are items with commas between."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from tflite_sparse.masks.patterns import DEFAULT_PATTERN, PATTERNS

_Number = TypeVar("_Number", int, float)


def words(text: str) -> list[str]:
    """The items of ``a,b,c``; ArgumentTypeError if one is empty."""
    items = text.split(",")
    if not all(items):
        raise argparse.ArgumentTypeError(f"expected names with commas between, found {text!r}")
    return items


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


def add_input_size(parser: argparse.ArgumentParser) -> None:
    """Add `--input-size`, from which masks are drawn where a model's input is no picture."""
    parser.add_argument(
        "--input-size",
        type=_size,
        metavar="H,W",
        help="of the score map that masks are drawn from; needed where the model's input is no "
        "picture [N, H, W, C], else that input's",
    )


def add_pattern(parser: argparse.ArgumentParser) -> None:
    """Add `--pattern`, that of made-up masks."""
    parser.add_argument(
        "--pattern",
        choices=PATTERNS,
        default=DEFAULT_PATTERN,
        help="lattice (the default): periodic; alternating: lattices that mask other pixels in each "
        "next layer; random: one random score map, the paper's Algorithm 1, slower",
    )


def _size(text: str) -> tuple[int, int]:
    expected = "a height and width such as 224,224 of at least 1"
    values = numbers(text, int, expected, lambda number: number >= 1)
    if len(values) != 2:
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text}")
    return values[0], values[1]
