"""`tflite-sparse convert`: write masks into a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tflite_sparse.cli.json_output import print_json

_KERAS = {".keras", ".h5"}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand to `subparsers`."""
    parser = subparsers.add_parser(
        "convert",
        help="write masks into a .tflite, or convert a Keras model with its masks",
        description="Write masks into a .tflite, or convert a saved Keras model (.keras, .h5) with "
        "its masks. The result is an ordinary .tflite, checked on the stock interpreter before it "
        "is written. A PyTorch module is converted in Python: tflite_sparse.convert_torch.",
        epilog="example: tflite-sparse convert model.tflite --masks model.masks.npz "
        "-o model_sparse.tflite",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help=".tflite, .keras or .h5")
    parser.add_argument(
        "--masks", type=Path, metavar="M", help="the sidecar (.npz) or C header (.h)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.tflite")
    parser.add_argument(
        "--any-model", action="store_true", help="accept masks whose fingerprint differs"
    )
    parser.add_argument(
        "--quantize", choices=["float16", "dynamic", "int8"], help="for a Keras model"
    )
    parser.add_argument(
        "--representative-data",
        type=Path,
        metavar="X.npy",
        help="for --quantize int8: an array [N, H, W, C] of inputs",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for machines")


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit code."""
    from tflite_sparse.files import write_atomically
    from tflite_sparse.inspection import inspect_model

    content = _from_keras(args) if args.model.suffix in _KERAS else _from_tflite(args)
    inspection = inspect_model(content)
    totals = inspection.totals
    write_atomically(args.output, content)
    if args.json:
        print_json(
            {
                "output": str(args.output),
                "bytes": len(content),
                "masked": totals.masked,
                "skipping": totals.skipping,
                "ideal_speed_up": totals.ideal_speed_up,
            }
        )
    else:
        print(f"{args.output}: {inspection.summary}")
    return 0


def _from_tflite(args: argparse.Namespace) -> bytes:
    from tflite_sparse.convert import apply_masks
    from tflite_sparse.convert.checking import check_masked_pixels
    from tflite_sparse.errors import ConversionError, OptionError
    from tflite_sparse.masks import MaskSet

    if args.masks is None:
        raise OptionError("converting a .tflite needs --masks M; tflite-sparse mask makes some")
    if args.quantize is not None:
        raise OptionError("--quantize is for Keras models; a .tflite keeps the types it has")
    content = apply_masks(args.model, MaskSet.load(args.masks), any_model=args.any_model)
    try:
        check_masked_pixels(content)
    except ConversionError:
        raise
    except (RuntimeError, ValueError) as error:
        # A model with custom operators is right, but the stock interpreter cannot show it.
        print(f"tflite-sparse: not run on the stock interpreter: {error}", file=sys.stderr)
    return content


def _from_keras(args: argparse.Namespace) -> bytes:
    try:
        import keras
    except ImportError as error:
        from tflite_sparse.errors import OptionError

        raise OptionError(
            f"reading {args.model} needs Keras: pip install 'tflite-sparse[keras]'"
        ) from error
    import tflite_sparse.keras  # noqa: F401 - registers ActivationMask for loading
    from tflite_sparse import convert_keras
    from tflite_sparse.errors import ModelError
    from tflite_sparse.files import read_array
    from tflite_sparse.masks import MaskSet

    args.model.stat()  # what is not there, Keras calls a zip file that is not accessible
    try:
        model = keras.saving.load_model(args.model, compile=False)
    except Exception as error:  # its readers let through whatever they meet
        text = " ".join(str(error).split())
        raise ModelError(f"{args.model} is not a Keras model that loads: {text}") from error
    data = None if args.representative_data is None else read_array(args.representative_data)
    masks = None if args.masks is None else MaskSet.load(args.masks)
    return convert_keras(model, masks, quantize=args.quantize, representative_data=data)
