"""Multiply-accumulates of one operation, from the shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

Shape = Sequence[int]


def operation_macs(op: str, inputs: Sequence[Shape], output: Shape) -> int:
    """Multiply-accumulates of a convolution or fully connected layer; 0 for any other operation.

    Reads of padding count, and so do products that a transposed convolution cuts off at its edges;
    masks and zeros do not lower the count.

    Args:
        op: the operation's name in TFLite's schema, such as "CONV_2D".
        inputs: shapes of its inputs, in TFLite's order and layouts.
        output: shape of its output.
    """
    if op == "CONV_2D":  # weights [out, height, width, in / groups]
        return math.prod(output) * math.prod(inputs[1][1:])
    if op == "DEPTHWISE_CONV_2D":  # weights [1, height, width, channels]
        return math.prod(output) * math.prod(inputs[1][1:3])
    if op == "TRANSPOSE_CONV":  # inputs: output shape, weights [out, height, width, in], data
        return math.prod(inputs[2]) * math.prod(inputs[1][:3])
    if op == "FULLY_CONNECTED":  # weights [out, in]
        return math.prod(output) * inputs[1][-1]
    return 0
