"""Models of one operation, written straight into the file format, and how to run them.

Float inputs and weights are multiples of 1/8 of few bits: products and sums of thousands of them are
exact in float32, in any order, and so are the float16 forms of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as fb
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tflite_sparse as ts

TYPES = {
    np.dtype(np.float32): fb.TensorType.FLOAT32,
    np.dtype(np.float16): fb.TensorType.FLOAT16,
    np.dtype(np.int8): fb.TensorType.INT8,
    np.dtype(np.uint8): fb.TensorType.UINT8,
    np.dtype(np.int32): fb.TensorType.INT32,
    np.dtype(np.int64): fb.TensorType.INT64,
}

NOT_AMONG_REFERENCE_KERNELS = ("CEIL", "ELU", "ROUND")


@dataclass(frozen=True)
class Value:
    """An operand: an input of the model, or a constant of it."""

    array: np.ndarray
    constant: bool = False
    # Of a quantised one; one scale per channel along `axis`, or a single one.
    scale: Any = None
    zero_point: int = 0
    axis: int = 0


@dataclass(frozen=True)
class Case:
    """One operation with its operands.

    `tolerance` says how far results may lie from the reference kernels': "exact", "step" (one step
    of a quantised result: both round, and one may fall on the other side of a half) or "float" (both
    approximate a function or a quotient to a few units in the last place).
    """

    name: str
    kind: str
    operands: tuple[Value | None, ...]
    options: Any = None
    outputs: int = 1
    # The operand whose type and quantisation the output has, unless these say otherwise.
    main: int = 0
    dtype: Any = None
    scale: float | None = None
    zero_point: int | None = None
    tolerance: str = "exact"
    # What is right, where the reference kernels are not.
    expected: np.ndarray | None = None
    # Whether the delegate takes it; if not, it has to say why.
    taken: bool = True
    version: int = 1

    def __str__(self) -> str:
        return self.name


@dataclass
class _Builder:
    model: Any = field(default_factory=fb.ModelT)

    def __post_init__(self) -> None:
        self.model.version = 3
        self.model.buffers = [fb.BufferT()]
        self.model.operatorCodes = []
        self.graph = fb.SubGraphT()
        self.graph.name = b"main"
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, name, dtype, shape, scale=None, zero_point=0, axis=0, data=None) -> int:
        tensor = fb.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), list(shape), TYPES[np.dtype(dtype)]
        if scale is not None:
            tensor.quantization = fb.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(scale).astype(float).tolist()
            tensor.quantization.zeroPoint = [zero_point] * np.size(scale)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = fb.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(self, kind, inputs, outputs, options=None, version=1) -> None:
        code = fb.OperatorCodeT()
        code.builtinCode = getattr(fb.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.model.operatorCodes.append(code)
        op = fb.OperatorT()
        op.opcodeIndex = len(self.model.operatorCodes) - 1
        op.inputs, op.outputs = list(inputs), list(outputs)
        if options is not None:
            op.builtinOptions = options
            name = type(options).__name__.removesuffix("T")
            op.builtinOptionsType = getattr(fb.BuiltinOptions, name)
        self.graph.operators.append(op)

    def operand(self, position: int, value: Value | None) -> int:
        if value is None:
            return -1
        array = np.ascontiguousarray(value.array)
        shape = value.array.shape
        name = f"operand{position}"
        if not value.constant:
            index = self.tensor(name, array.dtype, shape, value.scale, value.zero_point)
            self.graph.inputs.append(index)
            return index
        index = self.tensor(
            name, array.dtype, shape, value.scale, value.zero_point, value.axis, array
        )
        if array.dtype != np.float16:
            return index
        unpacked = self.tensor(f"{name}/unpacked", np.float32, shape)
        self.op("DEQUANTIZE", [index], [unpacked], fb.DequantizeOptionsT())
        return unpacked

    def content(self) -> bytes:
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def content(case: Case, shapes: list[tuple[int, ...]] | None = None) -> bytes:
    """The model of a case.

    With the shapes of its outputs given, zeros of those shapes are added to them, so that the
    operation writes values inside a graph, whose shapes only XNNPACK knows.
    """
    builder = _Builder()
    inputs = [builder.operand(i, value) for i, value in enumerate(case.operands)]
    first = case.operands[case.main]
    assert first is not None
    dtype = np.dtype(case.dtype or first.array.dtype)
    scale = (case.scale or first.scale) if dtype != np.float32 else None
    zero_point = first.zero_point if case.zero_point is None else case.zero_point
    quantisation = (scale, zero_point if scale else 0)
    outputs = [builder.tensor(f"output{i}", dtype, [], *quantisation) for i in range(case.outputs)]
    builder.op(case.kind, inputs, outputs, case.options, case.version)
    for position, shape in enumerate(shapes or ()):
        zeros = np.full(shape, quantisation[1], dtype)
        constant = builder.tensor(f"zeros{position}", dtype, shape, *quantisation, data=zeros)
        total = builder.tensor(f"sum{position}", dtype, shape, *quantisation)
        builder.op("ADD", [outputs[position], constant], [total], fb.AddOptionsT(), version=2)
        outputs[position] = total
    builder.graph.outputs = outputs
    return builder.content()


def run(interpreter: Any, case: Case) -> list[np.ndarray]:
    """Outputs of one inference on the case's inputs."""
    interpreter.allocate_tensors()
    values = [value.array for value in case.operands if value is not None and not value.constant]
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def reference(model: bytes, case: Case) -> list[np.ndarray]:
    """What TensorFlow Lite's reference kernels compute, or its others, where it has none."""
    plain = case.kind in NOT_AMONG_REFERENCE_KERNELS
    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if plain else OpResolverType.BUILTIN_REF
    outputs = run(Interpreter(model_content=model, experimental_op_resolver_type=kind), case)
    return outputs if case.expected is None else [case.expected]


def stock(model: bytes, case: Case) -> list[np.ndarray]:
    """What LiteRT computes as it comes, with its own XNNPACK."""
    return run(Interpreter(model_content=model), case)


def ours(model: bytes, case: Case) -> tuple[list[np.ndarray], ts.SparsityReport]:
    """What the sparse delegate computes, and its report."""
    interpreter = ts.Interpreter(model_content=model, runtime="ai-edge-litert")
    outputs = run(interpreter, case)
    return outputs, interpreter.sparsity_report()


def allowed(expected: np.ndarray, tolerance: str) -> float:
    """The largest difference that a tolerance allows."""
    if tolerance == "exact":
        return 0.0
    if tolerance == "step":
        return 1.0
    largest = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    return 16 * float(np.finfo(np.float32).eps) * largest
