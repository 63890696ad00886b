"""The delegate under LiteRT's CompiledModel, which has no `load_delegate`.

LiteRT 2.2 and 2.3 ask the library `libLiteRtGpuAccelerator.so` in an environment's runtime folder
for an accelerator, and ask that one before their own for the CPU. An environment of
`litert_environment` finds the delegate's library there; other environments know nothing of it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import os
import platform
import re
import tempfile
import threading
import weakref
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tflite_sparse.delegate import delegate_library, library_version, option_texts, report_at
from tflite_sparse.errors import DelegateError, ModelError, OptionError
from tflite_sparse.model_source import read_model
from tflite_sparse.report import Profile, SparsityReport
from tflite_sparse.verify import verify_model, verify_ranks

_OLDEST = (2, 2)
_WANTED = "ai-edge-litert 2.2 or newer"
# The name is LiteRT's; the other places that it looks in are taken on some systems.
_SLOT = "libLiteRtGpuAccelerator.so"
_GPU_LIBRARY = "libLiteRtWebGpuAccelerator.so"
_AT_HWCAP, _HWCAP_ATOMICS = 16, 1 << 8
# Room that LiteRT has for a tensor's sizes; 2.2 writes further ones over its stack.
_MOST_DIMENSIONS = 8

_ours: weakref.WeakSet[Any] = weakref.WeakSet()


def litert_environment(*, compiler_plugin_path: str = "", dispatch_library_path: str = "") -> Any:
    """An environment of LiteRT whose models run on the sparse delegate.

        with tflite_sparse.litert_environment() as environment:
            model = tflite_sparse.compile_model("model.tflite", environment=environment)

    LiteRT's own `CompiledModel.from_file(path, environment=environment)` takes it too: such a model
    has the delegate's default options, and no report. The environment has no accelerator for a
    GPU; those that exist already, or are made in another way, stay as they are.

    Args:
        compiler_plugin_path: as in LiteRT's `Environment.create`.
        dispatch_library_path: as in LiteRT's `Environment.create`.

    Returns:
        LiteRT's own `Environment`.

    Raises:
        DelegateError: no library for this platform, or no ai-edge-litert of a version that can.
    """
    litert, _ = _litert()
    library_version()  # LiteRT would only log why a library does not load
    with tempfile.TemporaryDirectory(prefix="tflite-sparse-") as folder:
        Path(folder, _SLOT).symlink_to(delegate_library().resolve())
        try:
            environment = litert.Environment.create(
                runtime_path=folder,
                compiler_plugin_path=compiler_plugin_path,
                dispatch_library_path=dispatch_library_path,
            )
        except (RuntimeError, ValueError) as error:
            raise DelegateError(f"LiteRT makes no environment: {error}") from error
    _ours.add(environment)
    return environment


def compile_model(
    model_path: str | os.PathLike[str] | None = None,
    model_content: bytes | None = None,
    *,
    masks: Any = None,
    num_threads: int = 1,
    mode: str = "compact",
    skip_zeros: str = "auto",
    strict: bool = False,
    profile: bool = False,
    int8: bool = True,
    environment: Any = None,
    options: Any = None,
    label: str | None = None,
) -> CompiledModel:
    """Compile a model with LiteRT so that the sparse delegate runs it.

        model = tflite_sparse.compile_model("masked.tflite")
        inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        inputs[0].write(image)
        model.run_by_index(0, inputs, outputs)

    What the delegate leaves runs on LiteRT's own XNNPACK; `sparsity_report()` says what and why.

    Args:
        model_path: path of a .tflite file.
        model_content: its bytes, instead of a path.
        masks: masks to apply to the model in memory: a MaskSet, a mapping from layer names to
            arrays [H, W], or the path of a sidecar.
        num_threads: threads of the inference; 0 means all cores. LiteRT's own
            `CpuOptions.num_threads` is for the nodes that the delegate leaves.
        mode: "compact", "insert" or "off", as for `Interpreter`.
        skip_zeros: "auto", "always" or "never", as for `Interpreter`.
        strict: raise MaskError if a masked layer cannot skip.
        profile: measure each operation, for `profile()`; costs a little time per inference.
        int8: whether the delegate takes 8-bit models.
        environment: one of `litert_environment()`, to share it between models; by default the
            model gets its own.
        options: LiteRT's `Options`; by default those of the CPU with `num_threads`.
            `CpuOptions(kernel_mode=CpuKernelMode.BUILTIN)` keeps LiteRT's XNNPACK from what the
            delegate leaves.
        label: what errors call the model; by default its path, or "model_content".

    Raises:
        ModelError: the file is not a model, is damaged, or LiteRT refuses it.
        OptionError: an option has a value that is not allowed.
        MaskError: a mask does not fit the model, or `strict` found a layer that cannot skip.
        DelegateError: no library for this platform, no ai-edge-litert of a version that can, or
            LiteRT did not use the delegate, with the reason.
        OSError: the file cannot be read.
    """
    litert, version = _litert()
    content, label = read_model(model_path, model_content, masks, label)
    verify_model(content, label)
    verify_ranks(content, label, _MOST_DIMENSIONS, "LiteRT's CompiledModel")
    accelerator = _accelerator(delegate_library())
    accelerator.set_options(
        num_threads=num_threads, mode=mode, skip_zeros=skip_zeros, int8=int8, profile=profile
    )
    try:
        if environment is None:
            environment = litert_environment()
        _check_open(environment)
        if options is None:
            threads = num_threads or len(os.sched_getaffinity(0))
            options = litert.Options(cpu_options=litert.CpuOptions(num_threads=threads))
        elif not options.hardware_accelerators & litert.HardwareAccelerator.CPU:
            raise OptionError(
                "options.hardware_accelerators: expected at least HardwareAccelerator.CPU, "
                f"which the sparse delegate is for; found {options.hardware_accelerators!r}"
            )
        try:
            compiled = litert.CompiledModel.from_buffer(
                bytes(content), environment=environment, options=options
            )
        except RuntimeError as error:
            if accelerator.error():
                raise DelegateError(f"{label}: {accelerator.error()}") from error
            text = " ".join(str(error).split())
            raise ModelError(
                f"{label}: LiteRT refuses the model, for a reason on standard error: {text}. If "
                "shapes of its tensors are known only while it runs, as with an open batch size "
                "before a Reshape, convert it with fixed ones, or run it in "
                "tflite_sparse.Interpreter"
            ) from error
        delegate = accelerator.delegate()
        if delegate is None:
            reason = accelerator.error() or _why_not_asked(environment)
            raise DelegateError(
                f"{label}: LiteRT {version} compiled the model without the sparse delegate: {reason}"
            )
    finally:
        accelerator.set_options()
    model = CompiledModel(compiled, delegate, profiling=profile)
    if strict:
        model.sparsity_report().require_skipping(label)
    return model


class CompiledModel(AbstractContextManager["CompiledModel"]):
    """LiteRT's CompiledModel, run by the sparse delegate; `compile_model` makes it.

    It has the methods of `ai_edge_litert.compiled_model.CompiledModel` and adds `sparsity_report()`
    and `profile()`. It is also a context manager.
    """

    def __init__(self, compiled: Any, delegate: int, *, profiling: bool) -> None:
        self._lock = threading.Lock()
        self._compiled = compiled
        self._delegate = delegate
        self._profiling = profiling

    def __getattr__(self, name: str) -> Any:
        # Reached only for names not found here.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._live(), name)

    def sparsity_report(self) -> SparsityReport:
        """What the delegate took, and the form of each masked layer with the reason if dense."""
        return SparsityReport.from_dict(self._report())

    def profile(self) -> Profile:
        """Mean time of each operation over all inferences so far, by XNNPACK's own profiling.

        Raises OptionError unless the model was compiled with `profile=True` and has run.
        """
        if not self._profiling:
            raise OptionError("profiling is off; compile the model with profile=True")
        return Profile.from_report(self._report())

    def close(self) -> None:
        """Free the model and its delegate now; later calls raise ValueError.

        Buffers and the environment may be closed before or after.
        """
        with self._lock:
            if self._compiled is not None:
                self._compiled.close()
                self._compiled = None

    def __exit__(self, *error: object) -> None:
        self.close()

    def _live(self) -> Any:
        compiled = self._compiled
        if compiled is None:
            raise ValueError("this CompiledModel is closed; compile the model again")
        return compiled

    def _report(self) -> dict[str, Any]:
        with self._lock:
            self._live()  # the delegate is gone with it
            return report_at(self._delegate)


class _Accelerator:
    """The C interface of native/delegate/litert/tflite_sparse_litert.h, for the calling thread."""

    _Sink = ctypes.CFUNCTYPE(None, ctypes.c_char_p)

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        try:
            self._options = library.tflite_sparse_litert_options
            self._delegate = library.tflite_sparse_litert_delegate
            self._error = library.tflite_sparse_litert_error
        except AttributeError as error:
            raise DelegateError(
                f"{path} is of version {library_version()}, which does not know LiteRT's "
                f"CompiledModel; use the library of this package"
            ) from error
        self._delegate.restype = ctypes.c_void_p
        self._error.restype = ctypes.c_char_p

    def set_options(self, **options: object) -> None:
        """Options of the delegate that the next compilation creates; OptionError if one is bad."""
        texts = option_texts(options)
        strings = ctypes.c_char_p * len(texts)
        errors: list[str] = []
        self._options(
            strings(*(key.encode() for key in texts)),
            strings(*(value.encode() for value in texts.values())),
            ctypes.c_size_t(len(texts)),
            self._Sink(lambda text: errors.append(text.decode())),
        )
        if errors:
            raise OptionError(errors[0])

    def delegate(self) -> int | None:
        """Address of the delegate that the last compilation created."""
        address: int | None = self._delegate()
        return address

    def error(self) -> str:
        """Why it did not create one, if LiteRT asked."""
        return str(self._error().decode())


@functools.cache
def _accelerator(path: Path) -> _Accelerator:
    library_version()  # says why a library does not load
    return _Accelerator(path)


def _litert() -> tuple[Any, str]:
    """LiteRT's module with CompiledModel and Environment, and its version."""
    try:
        version = importlib.metadata.version("ai-edge-litert")
    except importlib.metadata.PackageNotFoundError as error:
        raise DelegateError(
            f"{_WANTED} is not installed; install it: pip install ai-edge-litert"
        ) from error
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) < _OLDEST:
        raise DelegateError(
            f"ai-edge-litert {version} cannot be given the sparse delegate under CompiledModel, "
            f"expected {_WANTED}: pip install --upgrade ai-edge-litert. tflite_sparse.Interpreter "
            "works with this version too"
        )
    try:
        module = importlib.import_module("ai_edge_litert.compiled_model")
    except ImportError as error:
        raise DelegateError(f"ai-edge-litert {version} does not import: {error}") from error
    _check_processor(Path(str(module.__file__)).parent, version)
    return module, version


def _check_processor(litert: Path, version: str) -> None:
    """Raise DelegateError where LiteRT ends the process: it loads its library for GPUs on any."""
    library = litert / _GPU_LIBRARY
    if platform.machine() == "aarch64" and not _has_atomics() and library.exists():
        raise DelegateError(
            f"ai-edge-litert {version}'s CompiledModel ends the process on this processor, with or "
            f"without the sparse delegate: its {library} is compiled for newer ones (Armv8.1's "
            "atomics). Remove that file, which is for GPUs only, or use tflite_sparse.Interpreter"
        )


def _has_atomics() -> bool:
    """Whether an Arm processor has the atomic instructions of Armv8.1 (LSE)."""
    hardware = ctypes.CDLL(None).getauxval
    hardware.argtypes, hardware.restype = [ctypes.c_ulong], ctypes.c_ulong
    return bool(hardware(_AT_HWCAP) & _HWCAP_ATOMICS)


def _check_open(environment: Any) -> None:
    try:
        environment.capsule  # noqa: B018  raises if it is closed
    except (AttributeError, ValueError) as error:
        raise OptionError(
            f"environment: expected an open one of litert_environment(), found {environment!r}: "
            f"{error}"
        ) from error


def _why_not_asked(environment: Any) -> str:
    if environment not in _ours:
        return "its environment was not made by tflite_sparse.litert_environment()"
    return (
        "the place where LiteRT looks for an accelerator is taken, or this version looks elsewhere "
        "(known are 2.2 and 2.3)"
    )
