"""`tflite-sparse mask`: random masks for a model, to see the latency of a sparsity."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

_KINDS = ("conv", "depthwise", "transpose", "add", "pool")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to `subparsers`."""
    parser = subparsers.add_parser(
        "mask",
        help="make random masks for a model",
        description="Make masks for a model from one random score map (the paper's Algorithm 1), "
        "to see what a sparsity gains before training for it. By default every convolution is "
        "masked, depthwise ones too.",
        epilog="example: tflite-sparse mask model.tflite --sparsity 0.3 --seed 0 "
        "-o model.masks.npz",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument(
        "--sparsity", type=float, required=True, help="fraction of pixels to mask, in [0, 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the score map (default: 0)")
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="only layers whose name matches one of these (* and ?)",
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=["conv", "depthwise", "transpose"],
        choices=_KINDS,
        help="only layers of these kinds (default: conv depthwise transpose)",
    )
    parser.add_argument(
        "--paper",
        action="store_true",
        help="the paper's rule: 1 x 1 convolutions in a residual block's shortcut stay unmasked",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="M.masks.npz")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")


def run(args: argparse.Namespace) -> int:
    """Make the masks; returns the exit code."""
    from tflite_sparse.graph import ModelFile, View, choose_layers, fingerprint, image_size
    from tflite_sparse.masks import propagate_masks

    file = ModelFile.read(args.model)
    layers = choose_layers(file, kinds=args.kinds, patterns=args.layers, shortcuts=not args.paper)
    views = [View(file, index) for index in range(len(file.model.subgraphs))]
    shapes = {}
    for layer in layers:
        _, height, width, _ = views[layer.subgraph].shape(layer.output)
        shapes[layer.name] = (height, width)
    masks = propagate_masks(shapes, image_size(file), args.sparsity, args.seed)
    masks.replace(fingerprint=fingerprint(file)).save(args.output)
    summary = {
        "output": str(args.output),
        "layers": len(masks),
        "sparsity": masks.sparsity,
        "seed": args.seed,
    }
    if args.json:
        print(json.dumps(summary))
    else:
        print(f"{args.output}: {len(masks)} masks, {masks.sparsity:.1%} of their pixels masked")
    return 0
