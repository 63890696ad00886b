"""The TFLite interpreters that may be installed, behind one interface."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import Any

from tflite_sparse.errors import DelegateError, OptionError

# Name of the package -> (module with Interpreter and load_delegate, distributions that carry it).
# In the order of preference: the newest kernels first, the heaviest import last.
_RUNTIMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ai-edge-litert": ("ai_edge_litert.interpreter", ("ai-edge-litert",)),
    "tflite-runtime": ("tflite_runtime.interpreter", ("tflite-runtime",)),
    "tensorflow": (
        "tensorflow.lite.python.interpreter",
        ("tensorflow", "tensorflow-cpu", "tensorflow-aarch64"),
    ),
}

RUNTIME_NAMES = tuple(_RUNTIMES)


@dataclass(frozen=True)
class Runtime:
    """One installed interpreter package.

    Attributes:
        name: one of RUNTIME_NAMES.
        version: the version of the installed distribution.
        module: its module that holds Interpreter, load_delegate and OpResolverType.
    """

    name: str
    version: str
    module: Any


def installed_runtimes() -> list[str]:
    """Names of the interpreters that this Python could import, in the order of preference."""
    found = []
    for name, (module, _) in _RUNTIMES.items():
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            found.append(name)
    return found


def find_runtime(name: str | None = None) -> Runtime:
    """Import the interpreter `name`, or the first installed one of RUNTIME_NAMES.

    Raises OptionError for another name, DelegateError if it is not installed or does not import.
    """
    if name is not None and name not in _RUNTIMES:
        raise OptionError(f"runtime must be one of {', '.join(_RUNTIMES)}; found {name!r}")
    installed = installed_runtimes()
    if name is None:
        if not installed:
            raise DelegateError(
                "no TFLite interpreter is installed, expected one of "
                f"{', '.join(_RUNTIMES)}; install one: pip install ai-edge-litert"
            )
        name = installed[0]
    elif name not in installed:
        raise DelegateError(
            f"the interpreter {name} is not installed (installed: {', '.join(installed) or 'none'})"
            f"; install it: pip install {name}"
        )
    module, distributions = _RUNTIMES[name]
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        raise DelegateError(f"the interpreter {name} does not import: {error}") from error
    for distribution in distributions:
        try:
            version = importlib.metadata.version(distribution)
            break
        except importlib.metadata.PackageNotFoundError:
            continue
    else:
        version = "unknown"
    return Runtime(name, version, imported)
