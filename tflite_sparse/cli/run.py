"""`tflite-sparse run`: one inference on an image or an array."""

from __future__ import annotations

import argparse
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.cli.numbers import numbers
from tflite_sparse.errors import OptionError
from tflite_sparse.files import read_array, read_image, write_atomically
from tflite_sparse.interpreter import Interpreter
from tflite_sparse.runtime import RUNTIME_NAMES
from tflite_sparse.table import format_table

_EPILOG = """\
examples:
  tflite-sparse run classifier.tflite --input photo.jpg --labels labels.txt
  tflite-sparse run model.tflite --input photo.png --range -1,1 --output result.npz
  tflite-sparse run model.tflite --input batch.npy --report

An image is resized to the model's input and its values, 0 to 255, are mapped to --range, then
(x - mean) / std per channel. 8-bit inputs are quantised with the model's own scale. An array is
taken as it is, in the input's shape and type.

exit codes: 0 done; 1 the work failed; 2 bad usage or bad input
"""


def add_parser(subparsers: Any) -> None:
    """Add `run` to the command line."""
    parser = subparsers.add_parser(
        "run",
        help="run a model on an image or an array",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Else argparse takes the value of `--range -1,1` for an option.
    parser._negative_number_matcher = re.compile(r"-[\d.]")
    parser.add_argument("model", type=Path, metavar="MODEL", help=".tflite file")
    parser.add_argument("--input", type=Path, required=True, metavar="F", help="image or .npy")
    parser.add_argument("--range", type=_numbers, default=[0.0, 1.0], metavar="LOW,HIGH",
                        help="what 0 and 255 become, default 0,1")  # fmt: skip
    parser.add_argument("--mean", type=_numbers, default=[0.0], metavar="M[,M,M]")
    parser.add_argument("--std", type=_numbers, default=[1.0], metavar="S[,S,S]")
    parser.add_argument("--labels", type=Path, metavar="F", help="names of the classes, one a line")
    parser.add_argument("--topk", type=int, default=5, metavar="K", help="classes shown, default 5")
    parser.add_argument(
        "--output", type=Path, metavar="F", help="save outputs: .npy, or .npz by name"
    )
    parser.add_argument("--threads", type=int, default=1, help="0 = all cores, default 1")
    parser.add_argument("--mode", default="compact", metavar="MODE",
                        help="compact, insert or off; default compact")  # fmt: skip
    parser.add_argument("--masks", type=Path, metavar="F", help="sidecar to apply in memory")
    parser.add_argument("--runtime", choices=RUNTIME_NAMES, help="default: the first installed")
    parser.add_argument("--report", action="store_true", help="also print what was skipped")
    parser.add_argument("--json", action="store_true", help="only JSON on standard output")


def run(args: argparse.Namespace) -> int:
    """Run the model once; returns the exit code."""
    if args.topk < 1:
        raise OptionError(f"--topk: expected at least 1, found {args.topk}")
    labels = _read_labels(args.labels) if args.labels else []
    with Interpreter(
        args.model,
        num_threads=args.threads,
        mode=args.mode,
        masks=args.masks,
        runtime=args.runtime,
    ) as interpreter:
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()
        if len(details) != 1:
            names = ", ".join(detail["name"] for detail in details)
            raise OptionError(
                f"{args.model} has {len(details)} inputs ({names}) and this command feeds one; "
                "use tflite_sparse.Interpreter"
            )
        interpreter.set_tensor(details[0]["index"], _read_input(args, details[0]))
        interpreter.invoke()
        report = interpreter.sparsity_report()
        outputs = {
            detail["name"]: _dequantized(interpreter.get_tensor(detail["index"]), detail)
            for detail in interpreter.get_output_details()
        }
    if args.output:
        write_atomically(args.output, _archive(args.output, outputs))
    classes = _top_classes(outputs, args.topk, labels)
    if args.json:
        print(json.dumps({
            "model": str(args.model),
            "classes": [dict(zip(("class", "label", "score"), row)) for row in classes],
            "outputs": [
                {"name": name, "shape": list(value.shape), "min": float(value.min()),
                 "max": float(value.max()), "mean": float(value.mean())}
                for name, value in outputs.items()
            ],
            "report": report.to_dict(),
        }, indent=1))  # fmt: skip
        return 0
    if classes:
        rows: list[tuple[object, ...]] = [(i, label, f"{score:.4f}") for i, label, score in classes]
        print(format_table(("class", "label", "score"), rows))
    else:
        shown = [
            (name, "x".join(map(str, value.shape)), *(f"{f(value):.4g}" for f in (np.min, np.mean, np.max)))
            for name, value in outputs.items()
        ]  # fmt: skip
        print(format_table(("output", "shape", "min", "mean", "max"), shown))
    if args.report:
        print(f"\n{report}")
    return 0


def _read_input(args: argparse.Namespace, detail: dict[str, Any]) -> npt.NDArray[Any]:
    shape, dtype = tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"])
    if args.input.suffix == ".npy":
        array = read_array(args.input)
        if array.shape != shape or array.dtype != dtype:
            raise OptionError(
                f"{args.input} holds {array.dtype} {list(array.shape)}; "
                f"the input {detail['name']!r} of {args.model} is {dtype} {list(shape)}"
            )
        return array
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3, 4):
        raise OptionError(
            f"the input {detail['name']!r} of {args.model} is {list(shape)}, which is no image "
            "[1, height, width, 1, 3 or 4 channels]; give a .npy file instead"
        )
    low, high = _pair(args.range)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[shape[3]]
    picture = read_image(args.input, mode, (shape[2], shape[1]))
    image = low + np.asarray(picture, np.float32).reshape(shape) * ((high - low) / 255)
    image = (image - _channels(args.mean, shape, "mean")) / _channels(args.std, shape, "std")
    return _quantized(image, detail, dtype)


def _read_labels(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise OptionError(
            f"--labels: expected text in UTF-8, found other bytes in {path}"
        ) from error


def _quantized(
    image: npt.NDArray[np.float32], detail: dict[str, Any], dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    if dtype.kind == "f":
        return image.astype(dtype)
    scale, zero_point = detail["quantization"]
    if dtype.kind not in "iu" or not scale:
        raise OptionError(
            f"the input {detail['name']!r} is of type {dtype} without a scale; give a .npy file"
        )
    limits = np.iinfo(dtype)
    units: npt.NDArray[Any] = np.rint(image / scale) + zero_point
    return units.clip(limits.min, limits.max).astype(dtype)


def _dequantized(value: npt.NDArray[Any], detail: dict[str, Any]) -> npt.NDArray[Any]:
    scale, zero_point = detail["quantization"]
    if value.dtype.kind not in "iu" or not scale:
        return value
    real: npt.NDArray[Any] = (value.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def _top_classes(
    outputs: dict[str, npt.NDArray[Any]], count: int, labels: list[str]
) -> list[tuple[int, str, float]]:
    """The best classes, if the model has one output with one score per class; else none."""
    (scores, *others) = outputs.values()
    if others or scores.size < 2 or scores.shape[-1] != scores.size:
        return []
    flat = scores.reshape(-1)
    if labels and len(labels) != flat.size:
        raise OptionError(f"--labels has {len(labels)} lines, the model {flat.size} classes")
    best = np.argsort(-flat, kind="stable")[:count]
    return [(int(i), labels[i] if labels else "", float(flat[i])) for i in best]


def _archive(path: Path, outputs: dict[str, npt.NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(file, **outputs)  # type: ignore[arg-type]
    elif path.suffix != ".npy":
        raise OptionError(f"--output: expected a name ending in .npy or .npz, found {path}")
    elif len(outputs) != 1:
        raise OptionError(f"--output: the model has {len(outputs)} outputs; name a .npz file")
    else:
        np.save(file, next(iter(outputs.values())))
    return file.getvalue()


def _pair(numbers: list[float]) -> tuple[float, float]:
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise OptionError(f"--range: expected LOW,HIGH, found {numbers}")
    return numbers[0], numbers[1]


def _channels(numbers: list[float], shape: tuple[int, ...], name: str) -> npt.NDArray[np.float32]:
    if len(numbers) not in (1, shape[3]):
        raise OptionError(f"--{name}: expected 1 or {shape[3]} numbers, found {len(numbers)}")
    if name == "std" and 0 in numbers:
        raise OptionError("--std: expected numbers other than 0")
    return np.asarray(numbers, np.float32)


def _numbers(text: str) -> list[float]:
    return numbers(text, float, "numbers with commas between")
