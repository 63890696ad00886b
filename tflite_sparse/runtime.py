"""The TFLite interpreters that may be installed, behind one interface."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import Any

from tflite_sparse import builtin_runtime
from tflite_sparse.errors import DelegateError, OptionError

#: The one in this package.
BUILT_IN = "built-in"

# Name of the package -> (module with Interpreter and load_delegate, distributions that carry it).
# In the order of preference: newest kernels first, the heaviest import last of those that were
# installed for it, and then ours: newer converters write versions of operations that TensorFlow Lite
# 2.14 does not know.
_RUNTIMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "ai-edge-litert": ("ai_edge_litert.interpreter", ("ai-edge-litert",)),
    "tflite-runtime": ("tflite_runtime.interpreter", ("tflite-runtime",)),
    "tensorflow": (
        "tensorflow.lite.python.interpreter",
        ("tensorflow", "tensorflow-cpu", "tensorflow-aarch64"),
    ),
    BUILT_IN: ("tflite_sparse.builtin_runtime", ()),
}

RUNTIME_NAMES = tuple(_RUNTIMES)


@dataclass(frozen=True)
class Runtime:
    """One installed interpreter package.

    Attributes:
        name: one of RUNTIME_NAMES.
        version: the version of the installed distribution; of BUILT_IN, that of TensorFlow Lite.
        module: its module that holds Interpreter, load_delegate and OpResolverType.
    """

    name: str
    version: str
    module: Any


def installed_runtimes() -> list[str]:
    """Names of the interpreters that this Python could import, in the order of preference."""
    return [name for name in _RUNTIMES if _is_installed(name)]


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
        remedy = f"pip install {name}"
        if name == BUILT_IN:
            remedy = (
                f"a wheel has it, `make native-runtime` builds {builtin_runtime.runtime_library()}"
            )
        raise DelegateError(
            f"the interpreter {name} is not installed (installed: {', '.join(installed) or 'none'})"
            f"; install it: {remedy}"
        )
    try:
        imported = importlib.import_module(_RUNTIMES[name][0])
    except ImportError as error:
        raise DelegateError(f"the interpreter {name} does not import: {error}") from error
    return Runtime(name, _version(name), imported)


def stock_for(runtime: Runtime) -> Runtime | None:
    """The interpreter whose own kernels are the stock that `runtime` is compared with.

    That is itself; for BUILT_IN, which is not stock, the first other one that is installed, if any.
    """
    found = find_runtime() if runtime.name == BUILT_IN else runtime
    return None if found.name == BUILT_IN else found


def _is_installed(name: str) -> bool:
    if name == BUILT_IN:
        return builtin_runtime.is_installed()
    package = _RUNTIMES[name][0].partition(".")[0]
    return importlib.util.find_spec(package) is not None


def _version(name: str) -> str:
    if name == BUILT_IN:
        return builtin_runtime.version()
    for distribution in _RUNTIMES[name][1]:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"
