"""Multiply-accumulates of a model, counted from the shapes of its tensors."""

from __future__ import annotations

import math
from typing import Any

from tflite_sparse.runtime import Runtime


def count_macs(runtime: Runtime, content: bytes) -> int:
    """Multiply-accumulates of one inference in convolutions and fully connected layers.

    Masks do not lower the count; operations of other kinds count as none, like in the paper.
    `content` must be a verified model.
    """
    interpreter = runtime.module.Interpreter(
        model_content=content,
        experimental_op_resolver_type=runtime.module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    shapes = {
        tensor["index"]: [int(size) for size in tensor["shape"]]
        for tensor in interpreter.get_tensor_details()
    }
    return sum(_op_macs(op, shapes) for op in interpreter._get_ops_details())


def _op_macs(op: dict[str, Any], shapes: dict[int, list[int]]) -> int:
    kind = op["op_name"]
    inputs, outputs = [int(index) for index in op["inputs"]], [int(i) for i in op["outputs"]]
    if kind == "CONV_2D":  # weights [out, height, width, in / groups]
        return math.prod(shapes[outputs[0]]) * math.prod(shapes[inputs[1]][1:])
    if kind == "DEPTHWISE_CONV_2D":  # weights [1, height, width, channels]
        return math.prod(shapes[outputs[0]]) * math.prod(shapes[inputs[1]][1:3])
    if kind == "TRANSPOSE_CONV":  # inputs: output shape, weights [out, height, width, in], input
        return math.prod(shapes[inputs[2]]) * math.prod(shapes[inputs[1]][:3])
    if kind == "FULLY_CONNECTED":  # weights [out, in]
        return math.prod(shapes[outputs[0]]) * shapes[inputs[1]][-1]
    return 0
