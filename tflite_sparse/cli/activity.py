"""`tflite-sparse activity`: the zeros that a model multiplies, and what is left without them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tflite_sparse.activity import ActivityComparison, ActivityReport
from tflite_sparse.cli.input_arguments import SCALING_HELP, add_input_arguments, scaling
from tflite_sparse.cli.json_output import print_json
from tflite_sparse.figures import require_matplotlib
from tflite_sparse.files import write_atomically

_EPILOG = f"""\
examples:
  tflite-sparse activity model.tflite --input photo.jpg
  tflite-sparse activity model.tflite --input photos/ --range -1,1 --plot activity.png
  tflite-sparse activity tuned.tflite --against model.tflite --input photos/ --histograms h.png

{SCALING_HELP} Several samples: a folder of pictures, or an array with more than one along its first
axis.

Effective multiply-accumulates have a nonzero weight and a nonzero activation; they are counted, not
estimated from shares.

exit codes: 0 done; 2 bad usage or bad input
"""


def add_parser(subparsers: Any) -> None:
    """Add `activity` to the command line."""
    parser = subparsers.add_parser(
        "activity",
        help="count the zeros that a model's layers read",
        description="Count, per layer, the zeros of its input and the multiply-accumulates that have a "
        "nonzero weight and a nonzero activation: would the model gain from skipping zeros?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help=".tflite file")
    add_input_arguments(parser, required=True, what="picture, folder of pictures, or .npy file")
    parser.add_argument("--json", action="store_true", help="only JSON on standard output")
    parser.add_argument("--plot", type=Path, metavar="F.png", help="draw zeros and MACs per layer")
    parser.add_argument(
        "--histograms",
        type=Path,
        metavar="F.png",
        help="draw each layer's activations by powers of two: what a threshold would remove",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="BEFORE",
        help=".tflite file of the same layers before training for zeros: table and pictures are of both",
    )


def run(args: argparse.Namespace) -> int:
    """Measure; returns the exit code."""
    from tflite_sparse.measure.activity import measure_file_activity

    if args.plot or args.histograms:
        require_matplotlib()
    report: ActivityReport | ActivityComparison
    report = measure_file_activity(args.model, args.input, scaling(args))
    if args.against:
        before = measure_file_activity(args.against, args.input, scaling(args))
        report = ActivityComparison(before, report)
    if args.plot:
        write_atomically(args.plot, report.plot())
    if args.histograms:
        write_atomically(args.histograms, report.plot_magnitudes())
    if args.json:
        print_json(report.to_dict())
    else:
        print(report)
    return 0
