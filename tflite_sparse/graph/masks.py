"""Recognising the multiply that carries a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask

_ROUNDING = 1e-3


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
    spatial = values[0, :, :, 0].astype(np.float64)
    if spatial.shape != shape[1:3] or not (values == values[:1, :, :, :1]).all():
        return None
    # Quantisers store 1 as 127 steps of 1/127, which is 1 only up to rounding.
    rounded = np.round(spatial) if _is_quantised(view, constant) else spatial
    if not ((rounded == 0) | (rounded == 1)).all() or np.abs(spatial - rounded).max() > _ROUNDING:
        return None
    return np.array(rounded != 0)


def _is_quantised(view: View, constant: int) -> bool:
    while constant in view.producer:
        constant = view.op_inputs(view.producer[constant])[0]
    return bool(view.quantization(constant)[0])
