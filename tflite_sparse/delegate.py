"""The delegate library: where it is, how a runtime loads it, what it says of its work."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tflite_sparse.errors import DelegateError, OptionError
from tflite_sparse.platform_check import check_complete, mismatch
from tflite_sparse.runtime import Runtime, find_runtime

# Overrides the library of the package: for development and tests.
LIBRARY_VARIABLE = "TFLITE_SPARSE_DELEGATE"
_LIBRARY_NAME = "libtflite_sparse_delegate.so"


def delegate_library() -> Path:
    """Path of the delegate library: $TFLITE_SPARSE_DELEGATE, or the one in this package.

    Any program with the TFLite C API can load it as an external delegate.

    Raises DelegateError if there is none, saying what this platform lacks.
    """
    override = os.environ.get(LIBRARY_VARIABLE)
    if override:
        if not Path(override).is_file():
            raise DelegateError(
                f"{LIBRARY_VARIABLE} names {override!r}, which is not a file; "
                "correct the variable or unset it to use the library of the package"
            )
        return Path(override)
    path = Path(__file__).parent / "lib" / _LIBRARY_NAME
    if not path.is_file():
        raise DelegateError(
            f"the delegate library is not in this installation (expected {path}) and there are "
            "wheels with it for Linux on x86_64 and aarch64 only; this is "
            f"{platform.system()} on {platform.machine()}. Install such a wheel, or in a "
            f"checkout run `make native`, or point {LIBRARY_VARIABLE} to a library"
        )
    return path


class _Library:
    """The C interface of native/delegate/tflite_sparse.h."""

    def __init__(self, path: Path) -> None:
        try:
            check_complete(path)
            library = ctypes.CDLL(str(path))
            self._version = library.tflite_sparse_version
            self._report = library.tflite_sparse_report
            self._free = library.tflite_sparse_free
        except (OSError, AttributeError) as error:
            reason = mismatch(path, str(error))
            if reason:
                raise DelegateError(f"{path} does not load: {reason}") from error
            raise DelegateError(
                f"{path} is not a tflite-sparse delegate for {platform.system()} on "
                f"{platform.machine()}: {error}. Reinstall the package, or correct "
                f"{LIBRARY_VARIABLE} if it is set"
            ) from error
        self._version.restype = ctypes.c_char_p
        self._report.argtypes = [ctypes.c_void_p]
        self._report.restype = ctypes.c_void_p
        self._free.argtypes = [ctypes.c_void_p]
        self._free.restype = None

    def version(self) -> str:
        return str(self._version().decode())

    def report(self, delegate_pointer: int) -> dict[str, Any]:
        text = self._report(delegate_pointer)
        if not text:
            raise MemoryError("the delegate had no memory left for its report")
        try:
            report: dict[str, Any] = json.loads(ctypes.string_at(text))
        finally:
            self._free(text)
        return report


@functools.cache
def _open(path: Path) -> _Library:
    return _Library(path)


def library_version() -> str:
    """Version that the delegate library itself reports; DelegateError if it does not load."""
    return _open(delegate_library()).version()


def load_delegate(*, runtime: str | Runtime | None = None, **options: object) -> Any:
    """Create a delegate for an interpreter of your own.

        delegate = tflite_sparse.load_delegate(num_threads=2)
        Interpreter("model.tflite", experimental_delegates=[delegate],
                    experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)

    Without that resolver type the interpreter's built-in delegate takes what this one leaves.
    One delegate serves one interpreter.

    Args:
        runtime: the interpreter that it is for, "ai-edge-litert", "tflite-runtime", "tensorflow" or
            "built-in"; the first installed one by default.
        **options: handed to the library, which knows what it takes: num_threads (default 1, 0 =
            all cores), mode ("compact", "insert" or "off"), skip_zeros ("auto", "always" or
            "never"), int8 (default true), profile (default false).

    Returns:
        The runtime's own Delegate object, for `experimental_delegates=[...]`.

    Raises:
        OptionError: the library refuses an option; the text says which values it takes.
        DelegateError: no library for this platform, a broken one, or no interpreter.
    """
    path = delegate_library()
    _open(path)  # the runtimes' own loaders hide why a library does not load
    found = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    try:
        return found.module.load_delegate(str(path), option_texts(options))
    except ValueError as error:
        # The runtime puts a line with the path before the library's own sentence.
        raise OptionError(str(error).partition("\n")[2] or str(error)) from error


def option_texts(options: Mapping[str, object]) -> dict[str, str]:
    """Options as the library reads them: a bool is 0 or 1."""
    return {
        key: str(int(value)) if isinstance(value, bool) else str(value)
        for key, value in options.items()
    }


def delegate_report(delegate: Any) -> dict[str, Any]:
    """The JSON report of a delegate made by `load_delegate`, as plain Python values."""
    return report_at(delegate._get_native_delegate_pointer())


def report_at(delegate_pointer: int) -> dict[str, Any]:
    """The JSON report of the delegate at an address, as plain Python values."""
    return _open(delegate_library()).report(delegate_pointer)
