"""The delegate library: where it is, how a runtime loads it, what it says of its work."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import platform
from pathlib import Path
from typing import Any

from tflite_sparse.errors import DelegateError, ModelError, OptionError
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
            library = ctypes.CDLL(str(path))
            self._version = library.tflite_sparse_version
            self._report = library.tflite_sparse_report
            self._free = library.tflite_sparse_free
            self._verify_model = library.tflite_sparse_verify_model
        except (OSError, AttributeError) as error:
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
        self._verify_model.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self._verify_model.restype = ctypes.c_int

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

    def verify_model(self, content: bytes) -> bool:
        return bool(self._verify_model(content, len(content)))


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
        runtime: the interpreter package that it is for, "ai-edge-litert", "tflite-runtime" or
            "tensorflow"; the first installed one by default.
        **options: handed to the library, which knows what it takes: num_threads (default 1, 0 =
            all cores), sparsity ("compact", "insert" or "off"), int8 (default true), profile
            (default false).

    Returns:
        The runtime's own Delegate object, for `experimental_delegates=[...]`.

    Raises:
        OptionError: the library refuses an option; the text says which values it takes.
        DelegateError: no library for this platform, a broken one, or no interpreter.
    """
    path = delegate_library()
    _open(path)  # the runtimes' own loaders hide why a library does not load
    found = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    texts = {
        key: str(int(value)) if isinstance(value, bool) else str(value)
        for key, value in options.items()
    }
    try:
        return found.module.load_delegate(str(path), texts)
    except ValueError as error:
        # The runtime puts a line with the path before the library's own sentence.
        reason = str(error).partition("\n")[2] or str(error)
        raise OptionError(f"the delegate was not created: {reason}") from error


def verify_model(content: bytes, label: str) -> None:
    """Check that `content` is a TFLite flatbuffer whose every offset is inside it.

    Some runtimes (tflite-runtime 2.14 among them) follow the offsets of a damaged file unchecked,
    out of its memory.

    Raises ModelError naming the model by `label`.
    """
    if not content:
        raise ModelError(f"{label}: expected a .tflite model, found an empty file")
    if content[4:8] != b"TFL3":
        raise ModelError(
            f"{label}: expected a .tflite model ('TFL3' at byte 4), found {content[4:8]!r}; "
            "give the file that a converter wrote"
        )
    if not _open(delegate_library()).verify_model(content):
        raise ModelError(
            f"{label}: the model is damaged or cut short ({len(content)} bytes): parts of it point "
            "outside it; copy or convert it again"
        )


def delegate_report(delegate: Any) -> dict[str, Any]:
    """The JSON report of a delegate made by `load_delegate`, as plain Python values."""
    return _open(delegate_library()).report(delegate._get_native_delegate_pointer())
