"""Every operation that the delegate takes, over its options, shapes and types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as fb

from tests.conformance.one_operation import Case, Value

ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}
SAME, VALID = 0, 1
QUANTISED = (np.int8, np.uint8)
SCALE, ZERO_POINT = 0.0625, {np.int8: -3, np.uint8: 125}


def draw(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    """Random multiples of 1/8 from -4 to 4, or any numbers of an 8-bit type."""
    generator = np.random.default_rng([seed, *shape])
    if dtype in QUANTISED:
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return (generator.integers(-32, 32, shape, endpoint=True) / 8).astype(dtype)


def variable(*shape: int, dtype: Any = np.float32, seed: int = 0, scale: float = SCALE) -> Value:
    """An input of the model."""
    if dtype in QUANTISED:
        return Value(draw(*shape, dtype=dtype, seed=seed), False, scale, ZERO_POINT[dtype])
    return Value(draw(*shape, seed=seed))


def constant(*shape: int, dtype: Any = np.float32, seed: int = 1, scale: float = SCALE) -> Value:
    """A constant of the type's kind."""
    if dtype in QUANTISED:
        return Value(draw(*shape, dtype=dtype, seed=seed), True, scale, ZERO_POINT[dtype])
    return Value(draw(*shape, dtype=dtype, seed=seed), True)


def integers(*values: Any, dtype: Any = np.int32) -> Value:
    """A constant tensor of whole numbers: axes, sizes, paddings."""
    return Value(np.array(values, dtype), True)


def scalar(value: int) -> Value:
    return Value(np.array(value, np.int32), True)


def options(kind: str, **fields: Any) -> Any:
    """An options table with its fields set."""
    table = getattr(fb, f"{kind}OptionsT")()
    for name, value in fields.items():
        assert hasattr(table, name), name
        setattr(table, name, value)
    return table


def short(dtype: Any) -> str:
    return np.dtype(dtype).name


def joined(*parts: Any) -> str:
    return "-".join(
        "x".join(map(str, part)) if isinstance(part, (tuple, list)) else str(part) for part in parts
    )


# --- convolutions -----------------------------------------------------------------------------------


def weights(shape: tuple[int, ...], axis: int, form: str) -> tuple[Value, Value]:
    """Weights and bias of a layer with `shape[axis]` output channels.

    `form` is float32, float16 (unpacked in the graph), int8 (per channel), int8-one (per tensor) or
    uint8.
    """
    channels = shape[axis]
    if form in ("float32", "float16"):
        return constant(*shape, dtype=np.dtype(form).type), constant(channels, seed=2)
    bias = np.random.default_rng(3).integers(-500, 500, channels, np.int32)
    if form == "int8":
        scale = np.linspace(0.01, 0.03, channels)
        weight = Value(np.maximum(draw(*shape, dtype=np.int8, seed=1), -127), True, scale, 0, axis)
        return weight, Value(bias, True, scale * SCALE)
    if form == "int8-one":
        weight = Value(np.maximum(draw(*shape, dtype=np.int8, seed=1), -127), True, 0.02)
        return weight, Value(bias, True, 0.02 * SCALE)
    weight = Value(draw(*shape, dtype=np.uint8, seed=1), True, 0.02, 131)
    return weight, Value(bias, True, 0.02 * SCALE)


FORMS = ("float32", "float16", "int8", "int8-one", "uint8")


def of_layer(form: str) -> dict[str, Any]:
    """Type, quantisation and tolerance of a layer's output."""
    if form.startswith("float"):
        return {}
    return {"scale": 0.7, "zero_point": 5 if form.startswith("int8") else 133, "tolerance": "step"}


def input_type(form: str) -> Any:
    return {"float": np.float32, "int8": np.int8, "uint8": np.uint8}[
        form.split("-")[0].rstrip("1236") if form.startswith("float") else form.split("-")[0]
    ]


def convolutions() -> Iterator[Case]:
    shapes = (
        # input, output channels, kernel, stride, dilation, groups
        ((1, 7, 7, 136), 70, (3, 3), (1, 1), (1, 1), 1),
        ((1, 8, 9, 5), 6, (1, 1), (1, 1), (1, 1), 1),
        ((1, 8, 9, 5), 6, (1, 1), (2, 1), (1, 1), 1),
        ((2, 9, 8, 3), 17, (3, 3), (2, 2), (1, 1), 1),
        ((1, 9, 10, 4), 8, (3, 3), (1, 1), (2, 3), 1),
        ((1, 6, 7, 8), 12, (3, 3), (1, 2), (1, 1), 2),
        ((1, 11, 6, 3), 4, (5, 5), (3, 2), (1, 1), 1),
        ((1, 8, 8, 5), 6, (1, 7), (2, 2), (1, 1), 1),
        ((1, 8, 8, 5), 6, (3, 1), (1, 2), (1, 1), 1),
        ((1, 6, 8, 4), 8, (3, 2), (6, 4), (1, 1), 1),
        ((1, 1, 1, 64), 65, (1, 1), (1, 1), (1, 1), 1),
    )
    for (shape, channels, kernel, stride, dilation, groups), padding, form in itertools.product(
        shapes, (SAME, VALID), FORMS
    ):
        dtype = input_type(form)
        weight, bias = weights((channels, *kernel, shape[3] // groups), 0, form)
        yield Case(
            joined("conv", shape, channels, kernel, stride, dilation, groups, padding, form),
            "CONV_2D",
            (variable(*shape, dtype=dtype), weight, bias),
            options(
                "Conv2D",
                padding=padding,
                strideH=stride[0],
                strideW=stride[1],
                dilationHFactor=dilation[0],
                dilationWFactor=dilation[1],
            ),
            version=3 if form.startswith("int8") else 1,
            **of_layer(form),
        )
    for activation, form in itertools.product(ACTIVATIONS, FORMS):
        weight, bias = weights((6, 3, 3, 4), 0, form)
        yield Case(
            joined("conv", activation, form),
            "CONV_2D",
            (variable(1, 6, 5, 4, dtype=input_type(form)), weight, bias),
            options(
                "Conv2D",
                strideH=1,
                strideW=1,
                fusedActivationFunction=ACTIVATIONS[activation],
            ),
            version=3 if form.startswith("int8") else 1,
            **(of_layer(form) | ({"scale": 0.05} if form[:3] in ("int", "uin") else {})),
        )


def depthwise_convolutions() -> Iterator[Case]:
    shapes = (
        ((1, 7, 7, 33), 1, (3, 3), (1, 1), (1, 1)),
        ((2, 8, 9, 5), 2, (3, 3), (2, 2), (1, 1)),
        ((1, 9, 9, 8), 1, (5, 5), (1, 1), (1, 1)),
        ((1, 9, 10, 4), 1, (3, 3), (1, 1), (2, 2)),
        ((1, 8, 9, 1), 8, (3, 3), (1, 2), (1, 1)),
        ((1, 8, 9, 16), 1, (1, 1), (1, 1), (1, 1)),
        ((1, 11, 9, 6), 1, (7, 7), (1, 1), (1, 1)),
        ((1, 8, 8, 6), 1, (3, 1), (2, 2), (1, 1)),
        ((1, 6, 8, 4), 1, (2, 3), (4, 5), (1, 1)),
    )
    for (shape, multiplier, kernel, stride, dilation), padding, form in itertools.product(
        shapes, (SAME, VALID), FORMS
    ):
        channels = shape[3] * multiplier
        weight, bias = weights((1, *kernel, channels), 3, form)
        yield Case(
            joined("depthwise", shape, multiplier, kernel, stride, dilation, padding, form),
            "DEPTHWISE_CONV_2D",
            (variable(*shape, dtype=input_type(form)), weight, bias),
            options(
                "DepthwiseConv2D",
                padding=padding,
                strideH=stride[0],
                strideW=stride[1],
                dilationHFactor=dilation[0],
                dilationWFactor=dilation[1],
                depthMultiplier=multiplier,
                fusedActivationFunction=ACTIVATIONS["relu6"],
            ),
            version=3 if form.startswith("int8") else 2,
            **of_layer(form),
        )
    # The field is not used by TensorFlow Lite, which divides the channels.
    yield Case(
        "depthwise-wrong-multiplier",
        "DEPTHWISE_CONV_2D",
        (variable(1, 6, 8, 1), *weights((1, 3, 3, 8), 3, "float32")),
        options("DepthwiseConv2D", strideH=1, strideW=1, depthMultiplier=1),
        taken=False,
    )


def transposed_convolutions() -> Iterator[Case]:
    for kernel, stride, padding, form, bias in itertools.product(
        (2, 3, 4), (1, 2), (SAME, VALID), ("float32", "float16", "int8-one", "uint8"), (True, False)
    ):
        side = [4, 5]
        if padding == SAME:
            size = [n * stride for n in side]
        else:
            size = [(n - 1) * stride + kernel for n in side]
        weight, offset = weights((6, kernel, kernel, 5), 0, form)
        fused = options("TransposeConv", padding=padding, strideH=stride, strideW=stride)
        operands = (integers(1, *size, 6), weight, variable(1, *side, 5, dtype=input_type(form)))
        yield Case(
            joined("transposed", kernel, stride, padding, form, "bias" if bias else "none"),
            "TRANSPOSE_CONV",
            (*operands, offset) if bias else operands,
            fused,
            main=2,
            version=3 if bias else 1,
            **of_layer(form),
        )


def fully_connected() -> Iterator[Case]:
    for shape, keep, activation, form, bias in itertools.product(
        ((3, 20), (2, 3, 20), (1, 2, 2, 20)),
        (False, True),
        ("none", "relu"),
        ("float32", "float16", "int8-one", "uint8"),
        (True, False),
    ):
        weight, offset = weights((7, 20), 0, form)
        yield Case(
            joined("dense", shape, "keep" if keep else "flat", activation, form, bias),
            "FULLY_CONNECTED",
            (variable(*shape, dtype=input_type(form)), weight, offset if bias else None),
            options(
                "FullyConnected",
                keepNumDims=keep,
                fusedActivationFunction=ACTIVATIONS[activation],
            ),
            version=6 if not bias else 5 if keep else 4,
            **of_layer(form),
        )


# --- pooling and reductions -------------------------------------------------------------------------


def pooling() -> Iterator[Case]:
    for kind, (size, stride), padding, dtype, activation in itertools.product(
        ("MAX_POOL_2D", "AVERAGE_POOL_2D"),
        (((2, 2), (2, 2)), ((3, 2), (1, 2)), ((3, 3), (2, 1)), ((1, 1), (1, 1)), ((7, 8), (7, 8))),
        (SAME, VALID),
        (np.float32, *QUANTISED),
        ("none", "relu6"),
    ):
        if dtype in QUANTISED and activation != "none":
            continue
        average = kind == "AVERAGE_POOL_2D"
        yield Case(
            joined(kind.lower(), size, stride, padding, short(dtype), activation),
            kind,
            (variable(1, 7, 8, 19, dtype=dtype),),
            options(
                "Pool2D",
                padding=padding,
                filterHeight=size[0],
                filterWidth=size[1],
                strideH=stride[0],
                strideW=stride[1],
                fusedActivationFunction=ACTIVATIONS[activation],
            ),
            version=2 if dtype == np.int8 else 1,
            tolerance="exact" if not average else "float" if dtype == np.float32 else "step",
            taken=not average or dtype == np.float32,
        )


def reductions() -> Iterator[Case]:
    for kind, shape, axes, keep, dtype in itertools.product(
        ("MEAN", "SUM"),
        ((1, 4, 5, 6), (3, 7, 7, 33)),
        ((1, 2), (2, 1), (2,), (-3, -2), (3,), (1,)),
        (False, True),
        (np.float32, *QUANTISED),
    ):
        taken = axes in ((1, 2), (2, 1), (2,))
        value, scale = variable(*shape, dtype=dtype), SCALE if kind == "MEAN" else SCALE * 8
        expected = None
        if kind == "SUM" and dtype == np.int8:
            # The reference kernel adds the zero points of all addends but one.
            steps = np.sum(value.array.astype(int) - value.zero_point, axes, keepdims=keep) / 8
            expected = np.clip(np.round(steps) + value.zero_point, -128, 127).astype(np.int8)
        yield Case(
            joined(kind.lower(), shape, axes, "keep" if keep else "drop", short(dtype)),
            kind,
            (value, integers(*axes)),
            options("Reducer", keepDims=keep),
            scale=scale,
            expected=expected,
            tolerance="float" if dtype == np.float32 else "step",
            taken=taken,
            version=2 if dtype != np.float32 else 1,
        )


# --- elementwise ------------------------------------------------------------------------------------

UNARY = {
    "ABS": "exact",
    "CEIL": "exact",
    "ELU": "float",
    "FLOOR": "exact",
    "HARD_SWISH": "float",
    "LOGISTIC": "float",
    "NEG": "exact",
    "RELU": "exact",
    "RELU_N1_TO_1": "exact",
    "RELU6": "exact",
    "ROUND": "exact",
    "SQRT": "float",
    "SQUARE": "exact",
    "TANH": "float",
}
SHAPES = ((), (5,), (3, 7), (2, 3, 5), (1, 4, 5, 3), (2, 1, 3, 2, 5))


def unary() -> Iterator[Case]:
    for (kind, tolerance), shape in itertools.product(UNARY.items(), SHAPES):
        value = variable(*shape)
        if kind == "SQRT":
            value = Value(np.abs(value.array))
        table = {
            "ABS": "Abs",
            "HARD_SWISH": "HardSwish",
            "NEG": "Neg",
            "SQUARE": "Square",
        }.get(kind)
        yield Case(
            joined(kind.lower(), shape or "scalar"),
            kind,
            (value,),
            options(table) if table else None,
            tolerance=tolerance,
        )
    for shape, slope in itertools.product(SHAPES[1:], (0.1, 0.0, -0.5, 2.0)):
        yield Case(
            joined("leaky_relu", shape, slope),
            "LEAKY_RELU",
            (variable(*shape),),
            options("LeakyRelu", alpha=slope),
            tolerance="float",
            taken=slope != 0,
        )
    for kind, dtype in itertools.product(("LOGISTIC", "TANH", "LEAKY_RELU"), QUANTISED):
        scale, zero_point = (1 / 256, -128 if dtype == np.int8 else 0)
        if kind == "TANH":
            scale, zero_point = (1 / 128, 0 if dtype == np.int8 else 128)
        if kind == "LEAKY_RELU":
            scale, zero_point = 0.07, 4 if dtype == np.int8 else 131
        yield Case(
            joined(kind.lower(), short(dtype)),
            kind,
            (Value(np.arange(256).astype(np.uint8).view(dtype), False, SCALE, ZERO_POINT[dtype]),),
            options("LeakyRelu", alpha=0.2) if kind == "LEAKY_RELU" else None,
            scale=scale,
            zero_point=zero_point,
            tolerance="step",
            version=2 if dtype == np.int8 else 1,
        )


BROADCASTS = (
    ((1, 4, 5, 3), (1, 4, 5, 3)),
    ((1, 4, 5, 3), (3,)),
    ((1, 4, 5, 3), ()),
    ((2, 4, 5, 3), (2, 1, 1, 3)),
    ((1, 1, 1, 3), (2, 4, 5, 3)),
    ((4, 1), (1, 5)),
    ((2, 3, 4), (3, 1)),
    ((5,), (2, 3, 4, 5)),
    ((2, 1, 3, 2, 5), (2, 4, 1, 2, 5)),
    ((), (7,)),
)
BINARY = {
    "ADD": ("Add", "exact"),
    "SUB": ("Sub", "exact"),
    "MUL": ("Mul", "exact"),
    "DIV": ("Div", "float"),
    "MAXIMUM": ("MaximumMinimum", "exact"),
    "MINIMUM": ("MaximumMinimum", "exact"),
    "SQUARED_DIFFERENCE": ("SquaredDifference", "exact"),
}


def binary() -> Iterator[Case]:
    for (kind, (table, tolerance)), (a, b), second in itertools.product(
        BINARY.items(), BROADCASTS, (variable, constant)
    ):
        divisor = second(*b, seed=5)
        if kind == "DIV":
            divisor = Value(
                np.where(divisor.array == 0, 1, divisor.array).astype(np.float32), divisor.constant
            )
        yield Case(
            joined(kind.lower(), a or "scalar", b or "scalar", second.__name__),
            kind,
            (variable(*a), divisor),
            options(table),
            tolerance=tolerance,
        )
    for kind, activation in itertools.product(("ADD", "SUB", "MUL", "DIV"), ACTIVATIONS):
        table, tolerance = BINARY[kind]
        divisor = constant(1, 4, 5, 3)
        divisor = Value(np.where(divisor.array == 0, 1, divisor.array).astype(np.float32), True)
        yield Case(
            joined(kind.lower(), activation),
            kind,
            (variable(1, 4, 5, 3), divisor),
            options(table, fusedActivationFunction=ACTIVATIONS[activation]),
            tolerance=tolerance,
        )
    for kind, (a, b), dtype, activation in itertools.product(
        ("ADD", "SUB", "MUL"), BROADCASTS[:7], QUANTISED, ("none", "relu")
    ):
        yield Case(
            joined(kind.lower(), a, b or "scalar", short(dtype), activation),
            kind,
            (variable(*a, dtype=dtype), variable(*b, dtype=dtype, seed=4, scale=0.05)),
            options(BINARY[kind][0], fusedActivationFunction=ACTIVATIONS[activation]),
            scale=0.2,
            tolerance="step",
            version=2,
        )


def prelu() -> Iterator[Case]:
    for shape, slope, form in itertools.product(
        ((1, 4, 5, 3), (2, 3)), ((3,), (1, 1, 3)), (np.float32, np.float16)
    ):
        if len(slope) > len(shape):
            continue
        yield Case(
            joined("prelu", shape, slope, short(form)),
            "PRELU",
            (variable(*shape), constant(*slope, dtype=form)),
        )


def softmax() -> Iterator[Case]:
    for shape, beta in itertools.product(((3, 10), (2, 3, 4, 33), (2, 3, 7), (5,)), (1.0, 0.5)):
        yield Case(
            joined("softmax", shape, beta),
            "SOFTMAX",
            (variable(*shape),),
            options("Softmax", beta=beta),
            tolerance="float",
            taken=beta == 1.0,
        )


def conversions() -> Iterator[Case]:
    for dtype in QUANTISED:
        yield Case(
            joined("quantize", short(dtype)),
            "QUANTIZE",
            (variable(2, 3, 4, 5),),
            options("Quantize"),
            dtype=dtype,
            scale=0.03,
            zero_point=ZERO_POINT[dtype],
            tolerance="step",
        )
        yield Case(
            joined("dequantize", short(dtype)),
            "DEQUANTIZE",
            (variable(2, 3, 4, 5, dtype=dtype),),
            options("Dequantize"),
            dtype=np.float32,
            tolerance="exact",
            version=2,
        )
        for ratio in (1.0, 0.4, 3.0):
            yield Case(
                joined("requantize", short(dtype), ratio),
                "QUANTIZE",
                (variable(2, 3, 4, 5, dtype=dtype),),
                options("Quantize"),
                scale=SCALE / ratio,
                zero_point=7,
                tolerance="step",
                version=2,
            )


# --- moving data ------------------------------------------------------------------------------------


def moves(kind: str, name: Any, operands: Any, table: Any = None, **fields: Any) -> Iterator[Case]:
    """A case for each type; `operands` makes them from a type."""
    for dtype in (np.float32, *QUANTISED):
        yield Case(
            joined(kind.lower(), *name, short(dtype)),
            kind,
            tuple(operands(dtype)),
            table,
            version=2 if dtype == np.int8 and kind not in ("RESHAPE", "DEPTH_TO_SPACE") else 1,
            **fields,
        )


def data_movement() -> Iterator[Case]:
    for shape, new in (
        ((2, 3, 4, 5), (6, 20)),
        ((2, 3, 4, 5), (120,)),
        ((1, 1, 1, 7), (1, 7)),
        ((7,), (1, 1, 1, 1, 7)),
        ((2, 3, 4, 5), (2, -1, 5)),
    ):
        yield from moves(
            "RESHAPE",
            (shape, new),
            lambda t, s=shape, n=new: (variable(*s, dtype=t), integers(*n)),
            options("Reshape", newShape=list(new)),
        )
    for shape, paddings in (
        ((1, 4, 5, 3), ((0, 0), (1, 2), (2, 1), (0, 0))),
        ((2, 4, 5, 3), ((1, 0), (0, 1), (0, 0), (3, 2))),
        ((4, 5), ((1, 2), (0, 3))),
        ((6,), ((2, 3),)),
        ((1, 2, 3, 2, 5), ((0, 0), (1, 1), (0, 1), (2, 0), (1, 0))),
    ):
        yield from moves(
            "PAD",
            (shape, *paddings),
            lambda t, s=shape, p=paddings: (variable(*s, dtype=t), integers(*p)),
            options("Pad"),
        )
    for shape, order in (
        ((1, 4, 5, 3), (0, 3, 1, 2)),
        ((2, 4, 5, 3), (3, 2, 1, 0)),
        ((4, 5), (1, 0)),
        ((2, 3, 4), (1, 2, 0)),
        ((2, 3, 4), (-2, -1, 0)),
        ((2, 1, 3, 2, 5), (4, 0, 2, 3, 1)),
    ):
        yield from moves(
            "TRANSPOSE",
            (shape, order),
            lambda t, s=shape, o=order: (variable(*s, dtype=t), integers(*o)),
            options("Transpose"),
        )
    for shape, begin, size in (
        ((1, 6, 7, 3), (0, 1, 2, 0), (1, 4, 3, 3)),
        ((1, 6, 7, 3), (0, 1, 2, 1), (-1, -1, -1, 2)),
        ((5, 4), (2, 0), (3, 4)),
        ((9,), (8,), (1,)),
        ((2, 3, 4, 2, 5), (1, 0, 1, 0, 2), (1, 3, 2, 2, 3)),
    ):
        yield from moves(
            "SLICE",
            (shape, begin, size),
            lambda t, s=shape, b=begin, n=size: (
                variable(*s, dtype=t),
                integers(*b),
                integers(*n),
            ),
            options("Slice"),
        )
    for shape, begin, end, masks in (
        ((1, 6, 7, 3), (0, 1, 2, 0), (1, 5, 6, 3), {}),
        ((1, 6, 7, 3), (0, 0, 0, 0), (1, 2**31 - 1, 3, 3), {}),
        ((1, 6, 7, 3), (0, -4, 1, 0), (1, -1, 7, 3), {}),
        ((1, 6, 7, 3), (0, 3, 1, 0), (0, 2, 0, 0), {"beginMask": 9, "endMask": 15}),
        ((5, 4), (-100, 1), (100, 3), {}),
        ((9,), (3,), (4,), {}),
    ):
        yield from moves(
            "STRIDED_SLICE",
            (shape, begin, end, *masks),
            lambda t, s=shape, b=begin, e=end: (
                variable(*s, dtype=t),
                integers(*b),
                integers(*e),
                integers(*[1] * len(b)),
            ),
            options("StridedSlice", **masks),
        )
    for shape, axis, parts in (
        ((1, 4, 6, 8), 3, 2),
        ((1, 4, 6, 8), -1, 4),
        ((1, 4, 6, 8), 2, 3),
        ((4, 6), 0, 2),
        ((6,), 0, 3),
        ((2, 3, 4, 2, 6), 4, 2),
    ):
        yield from moves(
            "SPLIT",
            (shape, axis, parts),
            lambda t, s=shape, a=axis: (scalar(a), variable(*s, dtype=t)),
            options("Split", numSplits=parts),
            outputs=parts,
            main=1,
        )
    for shapes, axis in (
        (((1, 4, 5, 3), (1, 4, 5, 2)), 3),
        (((1, 4, 5, 3), (1, 4, 5, 2), (1, 4, 5, 1)), -1),
        (((1, 2, 5, 3), (1, 1, 5, 3), (1, 3, 5, 3), (1, 1, 5, 3)), 1),
        (((2, 3), (4, 3)), 0),
        (((4,), (2,)), 0),
        (((2, 1, 3, 2, 5), (2, 1, 3, 2, 4)), 4),
    ):
        yield from moves(
            "CONCATENATION",
            (*shapes, axis),
            lambda t, s=shapes: [variable(*n, dtype=t, seed=i) for i, n in enumerate(s)],
            options("Concatenation", axis=axis),
        )
    for kind, table, shape, block in (
        ("DEPTH_TO_SPACE", "DepthToSpace", (2, 3, 4, 12), 2),
        ("DEPTH_TO_SPACE", "DepthToSpace", (1, 3, 4, 18), 3),
        ("SPACE_TO_DEPTH", "SpaceToDepth", (2, 4, 6, 3), 2),
        ("SPACE_TO_DEPTH", "SpaceToDepth", (1, 6, 9, 2), 3),
    ):
        yield from moves(
            kind,
            (shape, block),
            lambda t, s=shape: (variable(*s, dtype=t),),
            options(table, blockSize=block),
        )


def resizing() -> Iterator[Case]:
    for size, (align, centres), dtype in itertools.product(
        ((8, 10), (3, 4), (7, 5), (1, 1)),
        ((False, False), (True, False), (False, True)),
        (np.float32, *QUANTISED),
    ):
        yield Case(
            joined(
                "resize", size, "align" if align else "", "half" if centres else "", short(dtype)
            ),
            "RESIZE_BILINEAR",
            (variable(1, 4, 5, 3, dtype=dtype), integers(*size)),
            options("ResizeBilinear", alignCorners=align, halfPixelCenters=centres),
            tolerance="float" if dtype == np.float32 else "step",
            version=3,
        )


def all_cases() -> list[Case]:
    """All of the above."""
    sources = (
        convolutions,
        depthwise_convolutions,
        transposed_convolutions,
        fully_connected,
        pooling,
        reductions,
        unary,
        binary,
        prelu,
        softmax,
        conversions,
        data_movement,
        resizing,
    )
    return [case for source in sources for case in source()]
