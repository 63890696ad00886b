"""`tflite-sparse run`: one inference on an image or an array."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.cli.input_arguments import SCALING_HELP, add_input_arguments, scaling
from tflite_sparse.cli.json_output import print_json
from tflite_sparse.errors import OptionError
from tflite_sparse.files import write_atomically
from tflite_sparse.inputs import dequantized, read_samples
from tflite_sparse.interpreter import Interpreter
from tflite_sparse.runtime import RUNTIME_NAMES
from tflite_sparse.table import format_table

_EPILOG = f"""\
examples:
  tflite-sparse run classifier.tflite --input photo.jpg --labels labels.txt
  tflite-sparse run model.tflite --input photo.png --range -1,1 --output result.npz
  tflite-sparse run model.tflite --input batch.npy --report

{SCALING_HELP}

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
    parser.add_argument("model", type=Path, metavar="MODEL", help=".tflite file")
    add_input_arguments(parser, required=True, what="picture or .npy file")
    parser.add_argument("--labels", type=Path, metavar="F", help="names of the classes, one a line")
    parser.add_argument("--topk", type=int, default=5, metavar="K", help="classes shown, default 5")
    parser.add_argument(
        "--output", type=Path, metavar="F", help="save outputs: .npy, or .npz by name"
    )
    parser.add_argument("--threads", type=int, default=1, help="0 = all cores, default 1")
    parser.add_argument("--mode", default="compact", metavar="MODE",
                        help="compact, insert or off; default compact")  # fmt: skip
    parser.add_argument("--skip-zeros", default="auto", metavar="WHEN",
                        help="multiply only nonzero activations: auto, always or never; "
                        "default auto")  # fmt: skip
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
        skip_zeros=args.skip_zeros,
        masks=args.masks,
        runtime=args.runtime,
    ) as interpreter:
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()
        samples = read_samples(args.input, details, str(args.model), scaling(args))
        if len(samples) != 1:
            raise OptionError(f"--input: expected one sample, found {len(samples)} in {args.input}")
        interpreter.set_tensor(details[0]["index"], samples[0])
        interpreter.invoke()
        report = interpreter.sparsity_report()
        outputs = {
            detail["name"]: dequantized(interpreter.get_tensor(detail["index"]), detail)
            for detail in interpreter.get_output_details()
        }
    if args.output:
        write_atomically(args.output, _archive(args.output, outputs))
    classes = _top_classes(outputs, args.topk, labels)
    if args.json:
        print_json({
            "model": str(args.model),
            "classes": [dict(zip(("class", "label", "score"), row)) for row in classes],
            "outputs": [
                {"name": name, "shape": list(value.shape), "min": float(value.min()),
                 "max": float(value.max()), "mean": float(value.mean())}
                for name, value in outputs.items()
            ],
            "report": report.to_dict(),
        })  # fmt: skip
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


def _read_labels(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise OptionError(
            f"--labels: expected text in UTF-8, found other bytes in {path}"
        ) from error


def _top_classes(
    outputs: dict[str, npt.NDArray[Any]], count: int, labels: list[str]
) -> list[tuple[int, str, float]]:
    """The best classes, if the model has one output with one score per class; else none."""
    (scores, *others) = outputs.values()
    if others or scores.size < 2 or scores.shape[-1] != scores.size:
        if labels:
            raise OptionError(
                "--labels: expected a model with one output of a score per class, found outputs "
                f"{', '.join(str(list(value.shape)) for value in outputs.values())}"
            )
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
