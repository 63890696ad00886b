"""`tflite-sparse mask`: made-up masks for a model, to see the latency of a sparsity."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tflite_sparse.cli.json_output import print_json
from tflite_sparse.cli.lists import add_input_size, add_pattern, words
from tflite_sparse.graph.layers import KINDS


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to `subparsers`."""
    parser = subparsers.add_parser(
        "mask",
        help="make masks for a model",
        description="Make masks for a model, to see what a sparsity gains before training for it. "
        "The layers are those that training masks by default.",
        epilog="example: tflite-sparse mask model.tflite --sparsity 0.3 --seed 0 "
        "-o model.masks.npz",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument(
        "--sparsity", type=float, required=True, help="fraction of pixels to mask, in [0, 1)"
    )
    add_pattern(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the pattern (default: 0)")
    parser.add_argument(
        "--layers",
        type=words,
        default=["paper"],
        metavar="L,L",
        help="paper (all but 1 x 1 convolutions in a residual block's shortcut, the default), all, or "
        "patterns of names (* and ?)",
    )
    parser.add_argument(
        "--kinds",
        type=words,
        default=["conv", "depthwise"],
        metavar="K,K",
        help=f"of {', '.join(sorted(set(KINDS.values())))} (default: conv,depthwise)",
    )
    add_input_size(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="M.masks.npz")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")


def run(args: argparse.Namespace) -> int:
    """Make the masks; returns the exit code."""
    from tflite_sparse.measure.sweep import made_masks

    masks = made_masks(
        args.model,
        args.sparsity,
        args.seed,
        pattern=args.pattern,
        input_size=args.input_size,
        layers=args.layers[0] if args.layers in (["paper"], ["all"]) else args.layers,
        kinds=args.kinds,
    )
    masks.save(args.output)
    if args.json:
        print_json(
            {
                "output": str(args.output),
                "layers": len(masks),
                "sparsity": masks.sparsity,
                "pattern": args.pattern,
                "seed": args.seed,
            }
        )
    else:
        print(f"{args.output}: {len(masks)} masks, {masks.sparsity:.1%} of their pixels masked")
    return 0
