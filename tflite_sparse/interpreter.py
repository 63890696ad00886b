"""`Interpreter`: tf.lite.Interpreter's interface, with the sparse delegate inside."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np

from tflite_sparse.delegate import delegate_report, load_delegate
from tflite_sparse.errors import DelegateError, MaskError, ModelError, OptionError
from tflite_sparse.model_source import read_model
from tflite_sparse.report import NodeLeft, Profile, SparsityReport
from tflite_sparse.runtime import Runtime, find_runtime
from tflite_sparse.verify import verify_model


class Interpreter:
    """A stock TFLite interpreter whose masked pixels are skipped by the sparse delegate.

    It has the methods of `tf.lite.Interpreter` and adds `sparsity_report()`, `profile()` and
    `close()`. Calls from several threads wait for each other, so that results stay right; for
    parallel work make one interpreter per thread. It is also a context manager.

    A model whose shapes are known only while it runs is taken as the stock interpreter takes it,
    without any delegate; the report says so.

    Args:
        model_path: path of a .tflite file.
        model_content: its bytes, instead of a path.
        num_threads: threads of the inference; 0 means all cores.
        mode: "compact" (skip masked pixels and keep tensors small, the fastest), "insert"
            (skip, but write zeros back after each layer: the paper's way) or "off" (multiply by
            the masks as the file says).
        skip_zeros: whether convolutions and fully connected operations multiply only nonzero
            activations, found in each inference: "auto" (where that is faster), "always" (where it is
            possible) or "never". Results are equal; with zeros skipped, latency depends on the
            input.
        masks: masks to apply to the model in memory: a MaskSet, a mapping from layer names to
            arrays [H, W], or the path of a sidecar. Needs ai-edge-litert 2.1 or newer installed.
        runtime: "ai-edge-litert", "tflite-runtime", "tensorflow" or "built-in" (TensorFlow Lite 2.14
            out of this package); by default the first installed one of these, in this order.
        strict: raise MaskError if a masked layer cannot be accelerated; one that could, but is faster
            dense, is none of these.
        profile: measure each operation, for `profile()`; costs a little time per inference.
        int8: whether the delegate takes 8-bit models; without, the interpreter's own kernels do.
        experimental_delegates: further delegates, applied after this one.
        label: what errors call the model; by default its path, or "model_content".
        **runtime_options: handed to the runtime's Interpreter as they are. Its built-in delegate
            is off, so that it does not hide what ours left behind; to have it, pass
            `experimental_op_resolver_type=OpResolverType.AUTO` of that runtime.

    Raises:
        ModelError: the file is not a model, is damaged, or has an operation nobody knows.
        OptionError: an option has a value that is not allowed.
        MaskError: a mask does not fit the model, or `strict` found a layer that runs dense.
        DelegateError: no library for this platform, or no interpreter is installed.
        OSError: the file cannot be read.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        *,
        num_threads: int = 1,
        mode: str = "compact",
        skip_zeros: str = "auto",
        masks: Any = None,
        runtime: str | None = None,
        strict: bool = False,
        profile: bool = False,
        int8: bool = True,
        experimental_delegates: Iterable[Any] = (),
        label: str | None = None,
        **runtime_options: Any,
    ) -> None:
        self._lock = threading.RLock()
        self._interpreter: Any = None
        self._strict = strict
        self._profiling = profile
        content, self._label = read_model(model_path, model_content, masks, label)
        self.runtime: Runtime = find_runtime(runtime)
        self._delegate = load_delegate(
            runtime=self.runtime,
            num_threads=num_threads,
            mode=mode,
            skip_zeros=skip_zeros,
            int8=int8,
            profile=profile,
        )
        verify_model(content, self._label)
        runtime_options.setdefault(
            "experimental_op_resolver_type",
            self.runtime.module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._further_delegates = tuple(experimental_delegates)
        delegates = [self._delegate, *self._further_delegates]
        with _RuntimeErrors(self._label):
            self._interpreter = self.runtime.module.Interpreter(
                model_content=content,
                num_threads=num_threads or len(os.sched_getaffinity(0)),
                **runtime_options,
            )
            # With sizes left open, a graph may have no valid shapes before resize_tensor_input.
            shapes = [detail["shape_signature"] for detail in self._interpreter.get_input_details()]
            is_open = any(-1 in shape for shape in shapes)
            self._applied = self._apply(self._delegate, may_wait=is_open)
            for delegate in self._further_delegates:
                self._modify_graph(delegate)
        self._were_dropped = False
        # An array that views a tensor keeps the native interpreter alive beyond `close()`, but not
        # its delegates, which must outlive it: this finalizer holds them until it is gone.
        finalizer = weakref.finalize(self._interpreter._interpreter, _release, delegates)
        finalizer.atexit = False
        if self._applied or not is_open:
            self._check_strict()

    # --- the interface of tf.lite.Interpreter ---------------------------------------------------

    def allocate_tensors(self) -> None:
        """Plan the memory of all tensors; needed before the first inference and after a resize."""
        with self._lock, _RuntimeErrors(self._label):
            self._applied = self._applied or self._apply(self._delegate, may_wait=False)
            if self._were_dropped:
                for delegate in self._further_delegates:
                    self._modify_graph(delegate)
            self._were_dropped = False
            try:
                self._live().allocate_tensors()
            except (ValueError, RuntimeError):
                # When a shape does not fit, the runtime has dropped its delegates, but not the
                # memory plan made for them: without another one its next allocation would crash.
                self._applied, self._were_dropped = False, True
                raise
        self._check_strict()

    def invoke(self) -> None:
        """Run one inference on the inputs that were set; DelegateError if an operation fails."""
        with self._lock:
            interpreter = self._live()
            try:
                interpreter.invoke()
            except RuntimeError as error:
                text = " ".join(str(error).split())
                raise DelegateError(f"{self._label}: the inference failed: {text}") from error

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy an array into the input tensor `tensor_index`; ValueError if it does not fit."""
        with self._lock:
            self._live().set_tensor(tensor_index, value)

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> np.ndarray[Any, Any]:
        """A copy of a tensor. Outputs always have a value, intermediate tensors may not."""
        with self._lock:
            interpreter = self._live()
            if subgraph_index:
                value = interpreter.get_tensor(tensor_index, subgraph_index)
            else:
                value = interpreter.get_tensor(tensor_index)
        return np.asarray(value)

    def tensor(self, tensor_index: int) -> Callable[[], np.ndarray[Any, Any]]:
        """A function that gives a view of the tensor's memory; drop the view before `invoke`."""
        view: Callable[[], np.ndarray[Any, Any]] = self._live().tensor(tensor_index)
        return view

    def resize_tensor_input(
        self, input_index: int, tensor_size: Iterable[int], strict: bool = False
    ) -> None:
        """Give an input another shape; `strict` allows only dimensions that the model leaves open.

        Call `allocate_tensors` afterwards.
        """
        with self._lock:
            self._live().resize_tensor_input(input_index, list(tensor_size), strict)

    def get_input_details(self) -> list[dict[str, Any]]:
        """Name, index, shape, dtype and quantization of each input."""
        with self._lock:
            return list(self._live().get_input_details())

    def get_output_details(self) -> list[dict[str, Any]]:
        """Name, index, shape, dtype and quantization of each output."""
        with self._lock:
            return list(self._live().get_output_details())

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """A callable for one signature of the model; it takes and returns arrays by name."""
        with self._lock:
            return SignatureRunner(self._live().get_signature_runner(signature_key), self._lock)

    def __getattr__(self, name: str) -> Any:
        # The rest of the interface needs nothing from us. Reached only for names not found here.
        if name.startswith("__") or name in ("_interpreter", "_lock"):
            raise AttributeError(name)
        return getattr(self._live(), name)

    # --- what is new ----------------------------------------------------------------------------

    def sparsity_report(self) -> SparsityReport:
        """What the delegate took, and the form of each masked layer with the reason if dense."""
        with self._lock:
            interpreter = self._live()
            report = SparsityReport.from_dict(delegate_report(self._delegate))
            return report if self._applied else _nothing_taken(report, interpreter)

    def profile(self) -> Profile:
        """Mean time of each operation over all inferences so far, by XNNPACK's own profiling.

        Raises OptionError unless the interpreter was made with `profile=True` and has run.
        """
        if not self._profiling:
            raise OptionError("profiling is off; make the Interpreter with profile=True")
        with self._lock:
            self._live()
            report = delegate_report(self._delegate)
        return Profile.from_report(report)

    def close(self) -> None:
        """Free the interpreter and its delegate now; later calls raise ValueError."""
        with self._lock:
            self._interpreter = None
            self._delegate = None

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _live(self) -> Any:
        interpreter = self._interpreter
        if interpreter is None:
            raise ValueError("this Interpreter is closed; make another one")
        return interpreter

    def _apply(self, delegate: Any, may_wait: bool) -> bool:
        """Hand the graph to our delegate; False if the interpreter allows none, for now or at all.

        Interpreters keep delegates from a graph with tensors whose shape is known only while it
        runs, and say so on standard error only. Such a model runs without, as it does in stock.

        Args:
            delegate: ours.
            may_wait: whether what else is wrong may be mended until `allocate_tensors`.
        """
        try:
            self._modify_graph(delegate)
        except (ValueError, RuntimeError) as error:
            if may_wait:
                return False
            if str(error).strip():
                raise
            # A graph that fails for another reason does not prepare without a delegate either.
            self._live().allocate_tensors()
            return False
        return True

    def _modify_graph(self, delegate: Any) -> None:
        # What the runtime's own constructor does with `experimental_delegates`; but that one leaves
        # no interpreter behind if a delegate is refused.
        pointer = delegate._get_native_delegate_pointer()
        self._live()._interpreter.ModifyGraphWithDelegate(pointer)

    def _check_strict(self) -> None:
        if self._strict:
            if not self._applied:
                raise MaskError(f"{self._label}: strict, but nothing is skipped: {_SHAPES_UNKNOWN}")
            self.sparsity_report().require_skipping(self._label)


_SHAPES_UNKNOWN = (
    "shapes of its tensors are known only while it runs, and interpreters let no delegate take such "
    "a graph; give open input sizes a value with resize_tensor_input, or convert the model with a "
    "fixed batch size"
)


def _nothing_taken(report: SparsityReport, interpreter: Any) -> SparsityReport:
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    left = [
        NodeLeft(op["index"], op["op_name"], names.get(int(op["outputs"][0]), ""), _SHAPES_UNKNOWN)
        for op in interpreter._get_ops_details()
    ]
    return replace(report, nodes_total=len(left), left=tuple(left))


class SignatureRunner:
    """A runtime's signature runner that waits for other users of its interpreter."""

    def __init__(self, runner: Any, lock: threading.RLock) -> None:
        self._runner = runner
        self._lock = lock

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Run the signature on arrays by input name; outputs by name."""
        with self._lock:
            return dict(self._runner(**inputs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)


class _RuntimeErrors:
    """Turns what a runtime raises about a model into ModelError or DelegateError."""

    def __init__(self, label: str) -> None:
        self._label = label

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, (ValueError, RuntimeError)):
            text = " ".join(str(error).split()) or "it gives no reason; see standard error"
            if "custom op" in text.lower():
                text += " Remove the operation from the model, or pass a delegate that has it"
            raise ModelError(f"{self._label}: the interpreter refuses the model: {text}") from error


def _release(_: list[Any]) -> None:
    """Called when an interpreter is gone; the last reference to its delegates goes with it."""
