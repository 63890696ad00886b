"""One subgraph with its links resolved."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import ModelError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.schema import flatbuffer_utils, schema

Array = npt.NDArray[Any]

_NUMPY_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "BOOL": np.bool_,
}
# The operators that this package looks into, by the inputs that it relies on.
_KERNEL_SECOND = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
_LEAST_INPUTS = {
    **dict.fromkeys(_KERNEL_SECOND, 2),
    **dict.fromkeys(("SELECT", "SELECT_V2", "TRANSPOSE_CONV"), 3),
    **dict.fromkeys(("ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "PRELU"), 2),
    **dict.fromkeys(
        ("AVERAGE_POOL_2D", "DEQUANTIZE", "ELU", "GELU", "HARD_SWISH", "LEAKY_RELU"), 1
    ),
    **dict.fromkeys(("LOGISTIC", "MAX_POOL_2D", "RELU", "RELU6", "RELU_0_TO_1"), 1),
    **dict.fromkeys(("RELU_N1_TO_1", "TANH"), 1),
}


class View:
    """A subgraph's operators with who produces and who consumes each tensor.

    A picture of one moment: make a new one after changing the graph.

    Attributes:
        producer: tensor index -> index of the operator that writes it.
        consumers: tensor index -> indices of the operators that read it, each once.
        outputs: the subgraph's output tensors.
    """

    def __init__(self, file: ModelFile, subgraph: int) -> None:
        self.file = file
        self.subgraph = subgraph
        self.graph = file.model.subgraphs[subgraph]
        self.ops: list[Any] = list(self.graph.operators or [])
        self.outputs = set(map(int, self.graph.outputs if self.graph.outputs is not None else []))
        self.producer: dict[int, int] = {}
        self.consumers: dict[int, list[int]] = {}
        for index in range(len(self.ops)):
            for tensor in self.op_outputs(index):
                self.producer[tensor] = index
            for tensor in dict.fromkeys(self.op_inputs(index)):
                self.consumers.setdefault(tensor, []).append(index)
        for index in range(len(self.ops)):
            self._check_order(index)
            self._check_arity(index)

    def _check_order(self, op: int) -> None:
        # Operators run in the order of the file; without this, following them could go in circles.
        for tensor in self.op_inputs(op):
            if self.producer.get(tensor, -1) >= op:
                raise ModelError(
                    f"operator {op} of {self.file.where} reads the tensor {self.name(tensor)!r} "
                    f"before operator {self.producer[tensor]} writes it: the file is damaged"
                )

    def _check_arity(self, op: int) -> None:
        kind = self.op_kind(op)
        least = _LEAST_INPUTS.get(kind)
        if least is None:
            return
        inputs, outputs = self.op_inputs(op), self.op_outputs(op)
        if len(inputs) < least or len(outputs) != 1:
            raise ModelError(
                f"operator {op} of {self.file.where} is a {kind} with {len(inputs)} inputs and "
                f"{len(outputs)} outputs; expected at least {least} and 1: the file is damaged"
            )
        if kind in _KERNEL_SECOND and len(self.shape(inputs[1])) != 4:
            raise ModelError(
                f"operator {op} of {self.file.where} is a {kind} with a kernel of shape "
                f"{list(self.shape(inputs[1]))}; expected four sizes: the file is damaged"
            )

    def op_inputs(self, op: int) -> list[int]:
        """The operator's input tensors, those left out omitted."""
        inputs = self.ops[op].inputs
        return [] if inputs is None else [int(tensor) for tensor in inputs if tensor >= 0]

    def op_outputs(self, op: int) -> list[int]:
        """The operator's output tensors."""
        outputs = self.ops[op].outputs
        return [] if outputs is None else [int(tensor) for tensor in outputs]

    def op_kind(self, op: int) -> str:
        """The operator's name in the schema, such as ``CONV_2D``; a custom one's own name."""
        code = self.file.model.operatorCodes[self.ops[op].opcodeIndex]
        if code.customCode:
            return str(_text(code.customCode))
        builtin = flatbuffer_utils().get_builtin_code_from_operator_code(code)
        return _operator_names().get(builtin, f"operator {builtin}")

    def fused_activation(self, op: int) -> str:
        """The activation fused into the operator, ``NONE`` where there is none."""
        options = self.ops[op].builtinOptions
        code = getattr(options, "fusedActivationFunction", 0)
        return _activation_names().get(code, f"activation {code}")

    def name(self, tensor: int) -> str:
        """The tensor's name."""
        return _text(self.graph.tensors[tensor].name or b"")

    def shape(self, tensor: int) -> tuple[int, ...]:
        """The tensor's shape as stored (unknown sizes as 1)."""
        shape = self.graph.tensors[tensor].shape
        return () if shape is None else tuple(int(size) for size in shape)

    def dynamic(self, tensor: int) -> tuple[bool, ...]:
        """Per dimension, whether its size is left open."""
        signature = self.graph.tensors[tensor].shapeSignature
        if signature is None or len(signature) == 0:
            return (False,) * len(self.shape(tensor))
        return tuple(int(size) < 0 for size in signature)

    def dtype(self, tensor: int) -> str:
        """The tensor's type in the schema, such as ``FLOAT32``."""
        code = self.graph.tensors[tensor].type
        return _type_names().get(code, f"type {code}")

    def quantization(self, tensor: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Scales and zero points, both empty for a tensor that is not quantised."""
        parameters = self.graph.tensors[tensor].quantization
        if parameters is None or parameters.scale is None or len(parameters.scale) == 0:
            return (), ()
        scales = tuple(float(scale) for scale in parameters.scale)
        points = parameters.zeroPoint
        if points is None or len(points) == 0:
            return scales, (0,) * len(scales)
        return scales, tuple(int(point) for point in points)

    def stored(self, tensor: int) -> Array | None:
        """A constant's elements as stored, or None for a tensor that is computed.

        Also None for a constant of a type that no mask can have.
        """
        if tensor in self.producer:
            return None
        dtype = _NUMPY_TYPES.get(self.dtype(tensor))
        data = self.file.model.buffers[self.graph.tensors[tensor].buffer].data
        if dtype is None or data is None or self.graph.tensors[tensor].sparsity is not None:
            return None
        shape = self.shape(tensor)
        content = np.frombuffer(memoryview(data), np.uint8)
        if content.size != int(np.prod(shape)) * np.dtype(dtype).itemsize:
            return None
        return content.view(dtype).reshape(shape)

    def real_values(self, tensor: int) -> Array | None:
        """A constant's values, dequantised, or None for a tensor that is computed.

        Looks through the DEQUANTIZE that float16 and int8 constants of a float
        graph arrive by.
        """
        source = self.constant_source(tensor)
        if source is None:
            return None
        values = self.stored(source)
        scales, points = self.quantization(source)
        if values is None or not scales:
            return values
        # One scale for all, or one for each index of the quantised dimension.
        shape = [1] * values.ndim
        if len(scales) > 1:
            shape[self.graph.tensors[source].quantization.quantizedDimension] = len(scales)
        steps = values.astype(np.float64) - np.reshape(points, shape)
        real: Array = steps * np.reshape(scales, shape)
        return real

    def is_constant(self, tensor: int) -> bool:
        """Whether the tensor is a constant, possibly through DEQUANTIZE."""
        return self.constant_source(tensor) is not None

    def constant_source(self, tensor: int) -> int | None:
        """The stored constant that a tensor is, possibly through DEQUANTIZE; None if computed."""
        while tensor in self.producer:
            producer = self.producer[tensor]
            if self.op_kind(producer) != "DEQUANTIZE":
                return None
            tensor = self.op_inputs(producer)[0]
        data = self.file.model.buffers[self.graph.tensors[tensor].buffer].data
        return tensor if data is not None and len(data) > 0 else None


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _names(enumeration: Any) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(enumeration).items()
        if isinstance(value, int) and not name.startswith("_")
    }


@cache
def _operator_names() -> dict[int, str]:
    return _names(schema().BuiltinOperator)


@cache
def _activation_names() -> dict[int, str]:
    return _names(schema().ActivationFunctionType)


@cache
def _type_names() -> dict[int, str]:
    return _names(schema().TensorType)
