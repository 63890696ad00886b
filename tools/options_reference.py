#!/usr/bin/env python3
"""Write docs/options.md from the code: the commands' own help, the docstrings of the library.

python3 -m tools.options_reference          # rewrites the file; a test compares it
"""

from __future__ import annotations

import argparse
import inspect
import os
from pathlib import Path

import tflite_sparse as ts
from tflite_sparse.cli import build_parser
from tflite_sparse.files import write_atomically

PAGE = Path(__file__).resolve().parent.parent / "docs" / "options.md"
_LIBRARY = ("Interpreter", "load_delegate", "delegate_library", "apply_masks", "propagate_masks", "lattice_masks",
            "convert_keras", "convert_torch", "compile_model", "litert_environment")  # fmt: skip


def page() -> str:
    """The text of docs/options.md."""
    os.environ["COLUMNS"] = "100"  # argparse wraps at the terminal's width
    parts = [
        "# Options\n\nMade by `python -m tools.options_reference` from the code; do not edit.\n",
        "## Commands\n",
        _block(build_parser().format_help()),
    ]
    (subparsers,) = (
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for name, parser in subparsers.choices.items():
        parts += [f"### tflite-sparse {name}\n", _block(parser.format_help())]
    parts.append("## Library\n")
    for name in _LIBRARY:
        value = getattr(ts, name)
        signature = inspect.signature(value)
        without_types = signature.replace(
            parameters=[p.replace(annotation=p.empty) for p in signature.parameters.values()],
            return_annotation=signature.empty,
        )
        text = f"{name}{without_types}\n\n{inspect.getdoc(value)}"
        parts += [f"### tflite_sparse.{name}\n", _block(text)]
    return "\n".join(parts)


def _block(text: str) -> str:
    return f"```text\n{text.strip()}\n```\n"


if __name__ == "__main__":
    write_atomically(PAGE, page().encode())
