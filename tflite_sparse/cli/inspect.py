"""`tflite-sparse inspect`: what is in a model, and what the engine makes of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tflite_sparse.cli.json_output import print_json


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to `subparsers`."""
    parser = subparsers.add_parser(
        "inspect",
        help="list a model's layers, their masks and what is left to compute",
        description="List a model's layers: output shape, kernel, sparsity, multiply-adds dense "
        "and kept, and whether the engine skips the masked pixels or why not.",
        epilog="example: tflite-sparse inspect model.tflite --masks model.masks.npz --png masks/",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument(
        "--masks", type=Path, metavar="M", help="apply this sidecar (.npz) or C header (.h) first"
    )
    parser.add_argument(
        "--any-model", action="store_true", help="accept masks whose fingerprint differs"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    parser.add_argument("--png", type=Path, metavar="DIR", help="write each mask as a picture")
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="with --png: this image through the masks"
    )


def run(args: argparse.Namespace) -> int:
    """Inspect; returns the exit code."""
    from dataclasses import replace

    from tflite_sparse.convert import apply_masks
    from tflite_sparse.errors import OptionError
    from tflite_sparse.inspection import inspect_model
    from tflite_sparse.inspection.pictures import write_pictures
    from tflite_sparse.masks import MaskSet

    if args.image is not None and args.png is None:
        raise OptionError("--image is for the pictures of --png DIR; give that too")
    if args.masks is None:
        inspection = inspect_model(args.model)
    else:
        masks = MaskSet.load(args.masks)
        inspection = inspect_model(apply_masks(args.model, masks, any_model=args.any_model))
    inspection = replace(inspection, model=str(args.model))
    if args.png is not None:
        paths = write_pictures(inspection, args.png, args.image)
        print(f"{len(paths)} pictures in {args.png}", file=sys.stderr)
    if args.json:
        print_json(inspection.to_dict())
    else:
        print(inspection)
    return 0
