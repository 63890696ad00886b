"""Recognising the multiply that carries a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask


@dataclass(frozen=True)
class MaskMultiply:
    """``output = input * mask``.

    Attributes:
        op: the index of the MUL.
        input: the tensor it masks.
        constant: the tensor that holds the mask.
        output: the masked tensor.
        mask: the mask, bool ``[H, W]``.
    """

    op: int
    input: int
    constant: int
    output: int
    mask: Mask


def mask_multiply(view: View, op: int) -> MaskMultiply | None:
    """The operator as a multiply by a mask, or None if it is anything else.

    A mask is a constant of nothing but 0 and 1 that has one value per pixel and
    is the same for all channels and the whole batch: ``[1, H, W, 1]``,
    ``[H, W, 1]``, or either repeated over channels.
    """
    if view.op_kind(op) != "MUL" or view.fused_activation(op) != "NONE":
        return None
    inputs = view.op_inputs(op)
    if len(inputs) != 2:
        return None
    (output,) = view.op_outputs(op)
    shape = view.shape(output)
    for data, constant in (inputs, inputs[::-1]):
        if view.shape(data) == shape and not view.is_constant(data):
            mask = constant_mask(view, constant, shape)
            if mask is not None:
                return MaskMultiply(op, data, constant, output, mask)
    return None


def constant_mask(view: View, constant: int, shape: tuple[int, ...]) -> Mask | None:
    """A constant as the mask of an activation ``[N, H, W, C]``, or None if it is none."""
    if len(shape) != 4 or not 3 <= len(view.shape(constant)) <= 4:
        return None
    values = view.real_values(constant)
    if values is None or values.size == 0:
        return None
    values = values.reshape((1,) * (4 - values.ndim) + values.shape)
    spatial = values[0, :, :, 0]
    if spatial.shape != shape[1:3] or not (values == spatial[None, :, :, None]).all():
        return None
    if not ((spatial == 0) | (spatial == 1)).all():
        return None
    return np.array(spatial != 0)
