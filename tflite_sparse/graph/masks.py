"""Recognising the multiply that carries a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask

# By how much a stored 1 may be off: what mask-multiply.c allows.
_ROUNDING = 0.4 / 255


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


def mask_multiply(view: View, op: int, *, any_form: bool = False) -> MaskMultiply | None:
    """The operator as a multiply by a mask, or None if it is anything else.

    A mask is what the engine takes for one (native/engine/mask-multiply.c): a constant ``[1, H, W, 1]``
    or ``[H, W, 1]`` of nothing but 0 and 1.

    Args:
        view: the subgraph.
        op: the index of the operator.
        any_form: also take what converters make of a mask: repeated over channels or the batch.
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
            mask = constant_mask(view, constant, shape, any_form=any_form)
            if mask is not None:
                return MaskMultiply(op, data, constant, output, mask)
    return None


def constant_mask(
    view: View, constant: int, shape: tuple[int, ...], *, any_form: bool = False
) -> Mask | None:
    """A constant as the mask of an activation ``[N, H, W, C]``, or None; see mask_multiply."""
    if len(shape) != 4 or not 3 <= len(view.shape(constant)) <= 4:
        return None
    values = view.real_values(constant)
    if values is None or values.size == 0:
        return None
    values = values.reshape((1,) * (4 - values.ndim) + values.shape)
    if values.shape != (1, *shape[1:3], 1) and not (any_form and values.shape[1:3] == shape[1:3]):
        return None
    spatial = values[0, :, :, 0].astype(np.float64)
    if not (values == values[:1, :, :, :1]).all():
        return None
    source = view.constant_source(constant)
    # Quantisers store 1 as 127 steps of 1/127, which is 1 only up to rounding.
    is_quantised = source is not None and view.quantization(source)[0]
    rounded = np.round(spatial) if is_quantised else spatial
    if not ((rounded == 0) | (rounded == 1)).all() or np.abs(spatial - rounded).max() > _ROUNDING:
        return None
    return np.array(rounded != 0)
