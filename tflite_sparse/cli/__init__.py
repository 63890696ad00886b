"""The command line: `tflite-sparse convert | mask | inspect | activity | run | bench`.

Exit codes: 0 done; 1 the work failed; 2 bad usage or bad input; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from types import ModuleType

from tflite_sparse._version import __version__
from tflite_sparse.errors import ConversionError, DelegateError, TfliteSparseError


def commands() -> dict[str, ModuleType]:
    """The subcommands by name: each module of this package is one."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "add_parser")}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands; each module's `add_parser` adds its own."""
    parser = argparse.ArgumentParser(
        prog="tflite-sparse",
        description="CNNs with activation masks on CPUs: mask, convert, inspect, run, measure.",
        epilog="exit codes: 0 done; 1 the work failed; 2 bad usage or bad input; 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in commands().values():
        command.add_parser(subparsers)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors of use are one line on stderr."""
    arguments = build_parser().parse_args(argv)
    try:
        return int(commands()[arguments.command].run(arguments))
    except BrokenPipeError:
        # The reader of our output has left (`| head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("tflite-sparse: interrupted", file=sys.stderr)
        return 130
    except (TfliteSparseError, OSError) as error:
        print(f"tflite-sparse: {_text(error)}", file=sys.stderr)
        return 1 if isinstance(error, (ConversionError, DelegateError)) else 2


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)
