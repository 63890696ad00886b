"""The options of all commands that feed a model: what, and how pictures become numbers."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tflite_sparse.cli.lists import numbers
from tflite_sparse.errors import OptionError
from tflite_sparse.inputs import Scaling

#: For the end of a command's help.
SCALING_HELP = """\
A picture is resized to the model's input and its values, 0 to 255, are mapped to --range, then
(x - mean) / std per channel. 8-bit inputs are quantised with the model's own scale. An array is
taken as it is, in the input's shape and type."""


def add_input_arguments(parser: argparse.ArgumentParser, required: bool, what: str) -> None:
    """Add `--input`, described by `what`, and `--range`, `--mean`, `--std`."""
    # Else argparse takes the value of `--range -1,1` for an option.
    parser._negative_number_matcher = re.compile(r"-[\d.]")
    parser.add_argument("--input", type=Path, required=required, metavar="F", help=what)
    parser.add_argument(
        "--range",
        type=_numbers,
        default=[0.0, 1.0],
        metavar="LOW,HIGH",
        help="what 0 and 255 become, default 0,1",
    )
    parser.add_argument("--mean", type=_numbers, default=[0.0], metavar="M[,M,M]")
    parser.add_argument("--std", type=_numbers, default=[1.0], metavar="S[,S,S]")


def scaling(args: argparse.Namespace) -> Scaling:
    """What the options say of pictures; OptionError if it is no scaling."""
    if len(args.range) != 2:
        raise OptionError(f"--range: expected LOW,HIGH, found {len(args.range)} numbers")
    return Scaling(args.range[0], args.range[1], args.mean, args.std)


def _numbers(text: str) -> list[float]:
    return numbers(text, float, "numbers with commas between")
