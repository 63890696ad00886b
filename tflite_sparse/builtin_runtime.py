"""The runtime "built-in": TensorFlow Lite's interpreter out of the C library in this package.

It has what other runtimes' `interpreter` modules have: `Interpreter`, `load_delegate` and
`OpResolverType`, with the same methods. The library (docs/c.md) knows all builtin operations, needs
nothing but glibc, and works with any Python, because it is called through ctypes.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tflite_sparse.errors import DelegateError
from tflite_sparse.platform_check import check_complete, mismatch

# Overrides the library of the package: for development and tests.
LIBRARY_VARIABLE = "TFLITE_SPARSE_RUNTIME"
_LIBRARY_NAME = "libtensorflowlite_c.so"

Array = np.ndarray[Any, Any]

# By TfLiteType. Types without numbers (5: string) are handled apart.
_DTYPES: dict[int, type[np.generic]] = {
    1: np.float32, 2: np.int32, 3: np.uint8, 4: np.int64, 6: np.bool_, 7: np.int16, 8: np.complex64,
    9: np.int8, 10: np.float16, 11: np.float64, 12: np.complex128, 13: np.uint64, 16: np.uint32,
    17: np.uint16,
}  # fmt: skip
_STRING = 5

_pointer = ctypes.c_void_p
# name: (result, arguments)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "TfLiteModelCreateWithErrorReporter": (_pointer, [_pointer, ctypes.c_size_t, _pointer, _pointer]),
    "TfLiteModelDelete": (None, [_pointer]),
    "TfLiteInterpreterOptionsCreate": (_pointer, []),
    "TfLiteInterpreterOptionsDelete": (None, [_pointer]),
    "TfLiteInterpreterOptionsSetNumThreads": (None, [_pointer, ctypes.c_int32]),
    "TfLiteInterpreterOptionsSetErrorReporter": (None, [_pointer, _pointer, _pointer]),
    "TfLiteInterpreterCreate": (_pointer, [_pointer, _pointer]),
    "TfLiteInterpreterDelete": (None, [_pointer]),
    "TfLiteInterpreterModifyGraphWithDelegate": (ctypes.c_int, [_pointer, _pointer]),
    "TfLiteInterpreterAllocateTensors": (ctypes.c_int, [_pointer]),
    "TfLiteInterpreterInvoke": (ctypes.c_int, [_pointer]),
    "TfLiteInterpreterResetVariableTensors": (ctypes.c_int, [_pointer]),
    "TfLiteInterpreterGetInputTensorCount": (ctypes.c_int32, [_pointer]),
    "TfLiteInterpreterInputTensorIndices": (ctypes.POINTER(ctypes.c_int), [_pointer]),
    "TfLiteInterpreterGetOutputTensorCount": (ctypes.c_int32, [_pointer]),
    "TfLiteInterpreterOutputTensorIndices": (ctypes.POINTER(ctypes.c_int), [_pointer]),
    "TfLiteInterpreterGetSignatureRunner": (_pointer, [_pointer, ctypes.c_char_p]),
    "TfLiteSignatureRunnerResizeInputTensor": (
        ctypes.c_int, [_pointer, ctypes.c_char_p, _pointer, ctypes.c_int32],
    ),
    "TfLiteSignatureRunnerAllocateTensors": (ctypes.c_int, [_pointer]),
    "TfLiteSignatureRunnerInvoke": (ctypes.c_int, [_pointer]),
    "TfLiteSignatureRunnerDelete": (None, [_pointer]),
    "TfLiteTensorType": (ctypes.c_int, [_pointer]),
    "TfLiteTensorNumDims": (ctypes.c_int32, [_pointer]),
    "TfLiteTensorDim": (ctypes.c_int32, [_pointer, ctypes.c_int32]),
    "TfLiteTensorByteSize": (ctypes.c_size_t, [_pointer]),
    "TfLiteTensorData": (_pointer, [_pointer]),
    "TfLiteVersion": (ctypes.c_char_p, []),
    "tflite_sparse_free": (None, [_pointer]),
    "tflite_sparse_interpreter_details": (_pointer, [_pointer, ctypes.c_int32]),
    "tflite_sparse_interpreter_resize": (
        ctypes.c_int, [_pointer, ctypes.c_int32, _pointer, ctypes.c_int32, ctypes.c_bool],
    ),
    "tflite_sparse_interpreter_tensor": (_pointer, [_pointer, ctypes.c_int32, ctypes.c_int32]),
    "tflite_sparse_no_default_delegate": (None, [_pointer]),
    "tflite_sparse_take_errors": (_pointer, []),
    "tflite_sparse_tensor_set_bytes": (ctypes.c_int, [_pointer, ctypes.c_char_p, ctypes.c_size_t]),
}  # fmt: skip


class OpResolverType(enum.Enum):
    """Which delegate an interpreter applies by itself; all know the builtin operations."""

    AUTO = 0
    BUILTIN = 1
    BUILTIN_REF = 2
    BUILTIN_WITHOUT_DEFAULT_DELEGATES = 3


def runtime_library() -> Path:
    """Path of the C library: $TFLITE_SPARSE_RUNTIME, or the one in this package.

    It need not be there: `is_installed` tells.
    """
    override = os.environ.get(LIBRARY_VARIABLE)
    return Path(override) if override else Path(__file__).parent / "lib" / _LIBRARY_NAME


def is_installed() -> bool:
    """Whether this installation has the C library."""
    return runtime_library().is_file()


def version() -> str:
    """The version of TensorFlow Lite that the library is."""
    return str(_library().TfLiteVersion().decode())


@functools.cache
def _open(path: Path) -> ctypes.CDLL:
    try:
        check_complete(path)
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        reason = mismatch(path, str(error)) or str(error)
        raise DelegateError(
            f"{path}, the runtime built-in, does not load: {reason}. Reinstall the package, name "
            f"another runtime, or correct {LIBRARY_VARIABLE} if it is set"
        ) from error
    return library


def _library() -> ctypes.CDLL:
    return _open(runtime_library())


def _text(library: ctypes.CDLL, pointer: int | None) -> str:
    """A string that the library allocated; it is freed."""
    if not pointer:
        return ""
    try:
        return ctypes.string_at(pointer).decode("utf-8", "replace")
    finally:
        library.tflite_sparse_free(pointer)


def _check(library: ctypes.CDLL, done: object, otherwise: str) -> None:
    """Raise ValueError with what TFLite said, or `otherwise`, unless `done`."""
    said = " ".join(_text(library, library.tflite_sparse_take_errors()).split())
    if not done:
        raise ValueError(said or otherwise)


class _Delegate:
    """A delegate of any library with TFLite's plug-in interface."""

    def __init__(self, library: str, options: Mapping[str, str]) -> None:
        self._destroy: Callable[[int], None] | None = None
        plugin = ctypes.CDLL(library)
        count = len(options)
        strings = ctypes.c_char_p * count
        report = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
        create = plugin.tflite_plugin_create_delegate
        create.restype = _pointer
        create.argtypes = [strings, strings, ctypes.c_size_t, report]
        said: list[str] = []
        self._pointer: int | None = create(
            strings(*(key.encode() for key in options)),
            strings(*(value.encode() for value in options.values())),
            count,
            report(lambda message: said.append(message.decode("utf-8", "replace"))),
        )
        if not self._pointer:
            # Other runtimes too put a line with the path before the library's own sentence.
            raise ValueError(f"Failed to load delegate from {library}\n{' '.join(said)}")
        plugin.tflite_plugin_destroy_delegate.restype = None
        plugin.tflite_plugin_destroy_delegate.argtypes = [_pointer]
        self._destroy = plugin.tflite_plugin_destroy_delegate

    def __del__(self) -> None:
        if self._destroy is not None and self._pointer:
            self._destroy(self._pointer)

    def _get_native_delegate_pointer(self) -> int:
        assert self._pointer
        return self._pointer


def load_delegate(library: str, options: Mapping[str, Any] | None = None) -> Any:
    """A delegate out of a shared library; ValueError with the library's words if it refuses."""
    return _Delegate(library, {str(key): str(value) for key, value in (options or {}).items()})


class _View:
    """Memory of a tensor, for numpy; it keeps the interpreter that owns the memory."""

    def __init__(self, owner: object, address: int, shape: tuple[int, ...], dtype: Any) -> None:
        self._owner = owner
        self.__array_interface__ = {
            "version": 3,
            "data": (address, False),
            "shape": shape,
            "typestr": np.dtype(dtype).str,
        }


class _Native:
    """One native interpreter, freed with the last reference to it or to a view of its memory."""

    def __init__(
        self,
        library: ctypes.CDLL,
        content: bytes,
        threads: int,
        default_delegate: bool,
        delegates: Iterable[Any],
    ) -> None:
        self.pointer: int | None = None
        self.library = library
        self._model: int | None = None
        # They live as long, too.
        self._delegates = list(delegates)
        # TFLite reads weights where they are: the bytes live as long as the interpreter.
        self._content = content
        keep_errors = ctypes.cast(library.tflite_sparse_keep_error, _pointer)
        self._model = library.TfLiteModelCreateWithErrorReporter(
            content, len(content), keep_errors, None
        )
        _check(library, self._model, "Could not open the model")
        options = library.TfLiteInterpreterOptionsCreate()
        library.TfLiteInterpreterOptionsSetNumThreads(options, threads)
        library.TfLiteInterpreterOptionsSetErrorReporter(options, keep_errors, None)
        if not default_delegate:
            library.tflite_sparse_no_default_delegate(options)
        self.pointer = library.TfLiteInterpreterCreate(self._model, options)
        library.TfLiteInterpreterOptionsDelete(options)
        _check(library, self.pointer, "the interpreter could not be created")
        for delegate in self._delegates:
            self.ModifyGraphWithDelegate(delegate._get_native_delegate_pointer())

    def __del__(self) -> None:
        if self.pointer:
            self.library.TfLiteInterpreterDelete(self.pointer)
        if self._model:
            self.library.TfLiteModelDelete(self._model)

    def ModifyGraphWithDelegate(self, delegate_pointer: int) -> None:
        self.call("TfLiteInterpreterModifyGraphWithDelegate", delegate_pointer)

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of the interpreter that returns a TfLiteStatus; ValueError if not ok."""
        status = getattr(self.library, function)(self.pointer, *arguments)
        _check(self.library, status == 0, "")

    def details(self, subgraph: int) -> dict[str, Any]:
        text = self.library.tflite_sparse_interpreter_details(self.pointer, subgraph)
        if not text:
            raise ValueError(f"there is no subgraph {subgraph}")
        found: dict[str, Any] = json.loads(_text(self.library, text))
        return found

    def tensor(self, index: int, subgraph: int = 0) -> int:
        pointer = self.library.tflite_sparse_interpreter_tensor(self.pointer, subgraph, index)
        if not pointer:
            raise ValueError(f"Tensor index {index} is out of range in subgraph {subgraph}")
        return int(pointer)

    def shape(self, tensor: int) -> tuple[int, ...]:
        count = self.library.TfLiteTensorNumDims(tensor)
        return tuple(self.library.TfLiteTensorDim(tensor, i) for i in range(max(count, 0)))

    def dtype(self, tensor: int) -> Any:
        kind = self.library.TfLiteTensorType(tensor)
        if kind == _STRING:
            return np.bytes_
        if kind not in _DTYPES:
            raise ValueError(f"a tensor is of TfLiteType {kind}, which numpy does not have")
        return _DTYPES[kind]

    def view(self, tensor: int) -> Array:
        """The tensor's memory; ValueError if it has none."""
        address = self.library.TfLiteTensorData(tensor)
        shape, dtype = self.shape(tensor), self.dtype(tensor)
        if 0 in shape:
            return np.empty(shape, dtype)
        if not address:
            raise ValueError("Tensor data is null. Run allocate_tensors() first")
        expected, found = math.prod(shape) * np.dtype(dtype).itemsize, self._bytes(tensor)
        if found != expected:
            # Such as weights with zeros left out.
            raise ValueError(f"the tensor has {found} bytes, its shape {shape} needs {expected}")
        return np.asarray(_View(self, address, shape, dtype))

    def value(self, tensor: int) -> Array:
        """A copy of the tensor."""
        if self.dtype(tensor) is np.bytes_:
            return self._strings(tensor)
        return self.view(tensor).copy()

    def _bytes(self, tensor: int) -> int:
        return int(self.library.TfLiteTensorByteSize(tensor))

    def _strings(self, tensor: int) -> Array:
        address = self.library.TfLiteTensorData(tensor)
        if not address:
            raise ValueError("Tensor data is null. Run allocate_tensors() first")
        # Their number, where each starts and the last ends, and the bytes of all.
        content = ctypes.string_at(address, self._bytes(tensor))
        count = int.from_bytes(content[:4], "little")
        ends = np.frombuffer(content, "<i4", count + 1, 4)
        texts = np.empty(count, object)
        texts[:] = [content[a:b] for a, b in zip(ends[:-1], ends[1:])]
        return texts.reshape(self.shape(tensor))

    def set(self, tensor: int, value: Any, what: str) -> None:
        """Copy an array into a tensor; ValueError naming it by `what` if it does not fit."""
        dtype, shape = self.dtype(tensor), self.shape(tensor)
        array = np.asarray(value)
        if dtype is np.bytes_:
            if array.shape != shape:
                raise ValueError(f"Cannot set {what}: expected shape {shape}, found {array.shape}")
            self._set_strings(tensor, array)
            return
        if array.dtype != dtype:
            raise ValueError(
                f"Cannot set {what}: expected values of type {np.dtype(dtype)}, found {array.dtype}"
            )
        if array.shape != shape:
            raise ValueError(f"Cannot set {what}: expected shape {shape}, found {array.shape}")
        if array.size:
            self.view(tensor)[...] = array

    def _set_strings(self, tensor: int, array: Array) -> None:
        texts = [text.encode() if isinstance(text, str) else bytes(text) for text in array.flat]
        start = 4 * (len(texts) + 2)
        ends = start + np.cumsum([0, *(len(text) for text in texts)])
        header = np.asarray([len(texts), *ends], "<i4").tobytes()
        content = header + b"".join(texts)
        status = self.library.tflite_sparse_tensor_set_bytes(tensor, content, len(content))
        _check(self.library, status == 0, "there is no memory for the strings")


class Interpreter:
    """tf.lite.Interpreter's interface, over the C library.

    Args:
        model_path: path of a .tflite file.
        model_content: its bytes, instead of a path.
        experimental_delegates: delegates to apply, in this order, before any other.
        num_threads: threads of TFLite's own kernels, and of the default delegate.
        experimental_op_resolver_type: with BUILTIN_WITHOUT_DEFAULT_DELEGATES or BUILTIN_REF, nothing
            but `experimental_delegates` is applied; otherwise the sparse delegate with its default
            options.

    Raises ValueError with TFLite's words if it refuses the model, OSError if it cannot be read.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        model_content: bytes | None = None,
        experimental_delegates: Iterable[Any] | None = None,
        num_threads: int | None = None,
        experimental_op_resolver_type: OpResolverType = OpResolverType.AUTO,
    ) -> None:
        if (model_path is None) == (model_content is None):
            raise ValueError("expected exactly one of model_path and model_content")
        content = Path(model_path).read_bytes() if model_path is not None else model_content
        assert content is not None
        by_itself = experimental_op_resolver_type in (OpResolverType.AUTO, OpResolverType.BUILTIN)
        self._interpreter = _Native(
            _library(), bytes(content), num_threads or 1, by_itself, experimental_delegates or ()
        )
        self._static: dict[int, dict[str, Any]] = {}

    def allocate_tensors(self) -> None:
        """Plan the memory of all tensors."""
        self._interpreter.call("TfLiteInterpreterAllocateTensors")

    def invoke(self) -> None:
        """Run one inference; RuntimeError with TFLite's words if it fails."""
        try:
            self._interpreter.call("TfLiteInterpreterInvoke")
        except ValueError as error:
            raise RuntimeError(str(error)) from None

    def reset_all_variables(self) -> None:
        """Set all variable tensors to their first values."""
        self._interpreter.call("TfLiteInterpreterResetVariableTensors")

    def resize_tensor_input(
        self, input_index: int, tensor_size: Iterable[int], strict: bool = False
    ) -> None:
        """Give an input another shape; `strict` allows only dimensions that the model leaves open."""
        shape = [int(size) for size in tensor_size]
        dims = (ctypes.c_int * len(shape))(*shape)
        index, count = int(input_index), len(shape)
        self._interpreter.call("tflite_sparse_interpreter_resize", index, dims, count, strict)

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Copy an array into a tensor; ValueError if type or shape differ."""
        native = self._interpreter
        native.set(native.tensor(int(tensor_index)), value, f"tensor {tensor_index}")

    def get_tensor(self, tensor_index: int, subgraph_index: int = 0) -> Array:
        """A copy of a tensor."""
        native = self._interpreter
        return native.value(native.tensor(int(tensor_index), subgraph_index))

    def tensor(self, tensor_index: int) -> Callable[[], Array]:
        """A function that gives a view of the tensor's memory."""
        native = self._interpreter
        return lambda: native.view(native.tensor(int(tensor_index)))

    def get_input_details(self) -> list[dict[str, Any]]:
        """Name, index, shape, dtype and quantization of each input."""
        return self._listed("Input")

    def get_output_details(self) -> list[dict[str, Any]]:
        """Name, index, shape, dtype and quantization of each output."""
        return self._listed("Output")

    def get_tensor_details(self) -> list[dict[str, Any]]:
        """The same of each tensor of the primary subgraph."""
        return [self._detail(index) for index in range(len(self._subgraph(0)["tensors"]))]

    def get_signature_list(self) -> dict[str, dict[str, list[str]]]:
        """{key: {"inputs": names, "outputs": names}} of the model's signatures."""
        return {
            signature["key"]: {side: sorted(signature[side]) for side in ("inputs", "outputs")}
            for signature in self._subgraph(0)["signatures"]
        }

    def get_signature_runner(self, signature_key: str | None = None) -> SignatureRunner:
        """A callable for one signature; ValueError if there is none of that name."""
        signatures = {item["key"]: item for item in self._subgraph(0)["signatures"]}
        if signature_key is None and len(signatures) == 1:
            (signature_key,) = signatures
        if signature_key not in signatures:
            raise ValueError(
                f"expected the key of a signature of the model ({', '.join(signatures) or 'it has none'}), "
                f"found {signature_key!r}"
            )
        return SignatureRunner(self, signatures[signature_key])

    def _get_ops_details(self) -> list[dict[str, Any]]:
        nodes = self._interpreter.details(0)["nodes"]
        return [
            {
                "index": index,
                "op_name": node["op"],
                "inputs": np.asarray(node["inputs"], np.int32),
                "outputs": np.asarray(node["outputs"], np.int32),
            }
            for index, node in enumerate(nodes)
        ]

    def _listed(self, side: str) -> list[dict[str, Any]]:
        native = self._interpreter
        count = getattr(native.library, f"TfLiteInterpreterGet{side}TensorCount")(native.pointer)
        indices = getattr(native.library, f"TfLiteInterpreter{side}TensorIndices")(native.pointer)
        return [self._detail(indices[i]) for i in range(count)]

    def _subgraph(self, subgraph: int) -> dict[str, Any]:
        if subgraph not in self._static:
            self._static[subgraph] = self._interpreter.details(subgraph)
        return self._static[subgraph]

    def _detail(self, index: int, subgraph: int = 0) -> dict[str, Any]:
        native = self._interpreter
        # Tensors that delegates add come later than the model's own.
        if index >= len(self._subgraph(subgraph)["tensors"]):
            del self._static[subgraph]
        known = self._subgraph(subgraph)["tensors"][index]
        tensor = native.tensor(index, subgraph)
        scales = np.asarray(known["scales"], np.float32)
        zero_points = np.asarray(known["zero_points"], np.int32)
        whole = scales.size == 1
        return {
            "name": known["name"],
            "index": index,
            "shape": np.asarray(native.shape(tensor), np.int32),
            "shape_signature": np.asarray(known["shape_signature"], np.int32),
            "dtype": native.dtype(tensor) if known["type"] in (*_DTYPES, _STRING) else None,
            "quantization": (float(scales[0]), int(zero_points[0])) if whole else (0.0, 0),
            "quantization_parameters": {
                "scales": scales,
                "zero_points": zero_points,
                "quantized_dimension": known["quantized_dimension"],
            },
            "sparsity_parameters": {},
        }


class SignatureRunner:
    """One signature of a model: takes and returns arrays by name."""

    def __init__(self, interpreter: Interpreter, signature: dict[str, Any]) -> None:
        self._owner = interpreter
        self._native = interpreter._interpreter
        self._signature = signature
        library = self._native.library
        self._runner = library.TfLiteInterpreterGetSignatureRunner(
            self._native.pointer, signature["key"].encode()
        )
        _check(library, self._runner, f"the signature {signature['key']!r} cannot be run")

    def __del__(self) -> None:
        if getattr(self, "_runner", None):
            self._native.library.TfLiteSignatureRunnerDelete(self._runner)

    def get_input_details(self) -> dict[str, dict[str, Any]]:
        """Details of each input, by name."""
        return self._details("inputs")

    def get_output_details(self) -> dict[str, dict[str, Any]]:
        """Details of each output, by name."""
        return self._details("outputs")

    def __call__(self, **inputs: Any) -> dict[str, Array]:
        """Run the signature; ValueError if an input is missing, unknown or does not fit."""
        indices, subgraph = self._signature["inputs"], self._signature["subgraph"]
        if set(inputs) != set(indices):
            raise ValueError(
                f"expected the inputs {', '.join(sorted(indices))}, found {', '.join(sorted(inputs))}"
            )
        arrays = {name: np.asarray(value) for name, value in inputs.items()}
        for name, array in arrays.items():
            dims = (ctypes.c_int * array.ndim)(*array.shape)
            self._call("ResizeInputTensor", name.encode(), dims, array.ndim)
        self._call("AllocateTensors")
        for name, array in arrays.items():
            tensor = self._native.tensor(indices[name], subgraph)
            self._native.set(tensor, array, f"input {name!r}")
        self._call("Invoke")
        return {
            name: self._native.value(self._native.tensor(index, subgraph))
            for name, index in self._signature["outputs"].items()
        }

    def _details(self, side: str) -> dict[str, dict[str, Any]]:
        subgraph = self._signature["subgraph"]
        return {
            name: self._owner._detail(index, subgraph)
            for name, index in self._signature[side].items()
        }

    def _call(self, function: str, *arguments: object) -> None:
        library = self._native.library
        status = getattr(library, f"TfLiteSignatureRunner{function}")(self._runner, *arguments)
        _check(library, status == 0, f"the signature {self._signature['key']!r} failed")
