"""How many activations of a Keras model are zero, and how many multiplications that leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from tflite_sparse.activity import ActivityMeter, ActivityReport, Multiplications
from tflite_sparse.errors import ModelError, OptionError
from tflite_sparse.keras.observer import unobserved
from tflite_sparse.keras.record import as_given, operations_of, replaced_calls

_CONVOLUTIONS = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
)
_TRANSPOSED = (
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
)


def measure_activity(
    model: Any, batches: Iterable[Any], *, label: str | None = None
) -> ActivityReport:
    """The zeros that each convolution and Dense layer reads, and the multiplications left.

    The report is the one that :func:`tflite_sparse.measure_activity` makes of a .tflite. The
    model is called as in inference, its thresholds hard and its masks in force.

    Args:
        model: built, channels last.
        batches: of inputs: an array, or a list or tuple of what the model is called with; each
            has samples along its first axis. Batches ``(images, labels)`` of a data set have to
            become images only.
        label: what the report calls the model; its own by default.

    Raises:
        OptionError: no batch was given.
        ModelError: no convolution or Dense layer ran, or one pads causally.
    """
    meter = ActivityMeter()
    counted = {
        layer: _counted(meter, layer)
        for layer in operations_of(model)
        if isinstance(layer, (*_CONVOLUTIONS, *_TRANSPOSED, keras.layers.Dense))
    }
    ran = False
    with unobserved(model), replaced_calls(counted):
        for batch in batches:
            model(as_given(batch if isinstance(batch, (tuple, list)) else [batch]), training=False)
            ran = True
    if not ran:
        raise OptionError("expected at least one batch to measure with, found none")
    report = meter.report(label or model.name, "batches")
    if not report.layers:
        raise ModelError(f"no convolution or Dense layer of {model.name!r} ran: nothing to count")
    return report


def _counted(meter: ActivityMeter, layer: Any) -> Callable[..., Any]:
    call = layer.call
    if getattr(layer, "padding", None) == "causal":
        raise ModelError(f"layer {layer.name!r} pads causally, which is not counted")

    def run(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        output = call(inputs, *args, **kwargs)
        values = np.asarray(inputs)
        work = _multiplications(layer, values.shape[1:-1], tuple(output.shape[1:-1]))
        sizes = values.shape if isinstance(layer, _TRANSPOSED) else output.shape
        dense = math.prod(sizes[1:]) * _per_element(layer)
        meter.add(layer.name, type(layer).__name__, values, work, dense)
        return output

    return run


def _is_depthwise(layer: Any) -> bool:
    return isinstance(layer, (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D))


def _per_element(layer: Any) -> int:
    """Multiply-accumulates of each element of the output; of the input where transposed."""
    shape = tuple(layer.kernel.shape)
    if _is_depthwise(layer):
        return math.prod(shape[:-2])
    # Of a transposed convolution [*kernel, out, in], else [*kernel, in / groups, out].
    return math.prod(shape[:-1])


def _multiplications(
    layer: Any, given: tuple[int, ...], output: tuple[int, ...]
) -> Multiplications:
    nonzero = np.asarray(layer.kernel) != 0
    if isinstance(layer, keras.layers.Dense):
        return Multiplications(nonzero.sum(1))
    transposed = isinstance(layer, _TRANSPOSED)
    if _is_depthwise(layer):  # [*kernel, in, multiplier]
        counts = nonzero.sum(-1)
    elif transposed:  # [*kernel, out, in]
        counts = nonzero.sum(-2)
    else:  # [*kernel, in / groups, out]
        groups = nonzero.reshape(*nonzero.shape[:-1], layer.groups, -1).sum(-1)
        counts = np.moveaxis(groups, -1, -2).reshape(*nonzero.shape[:-2], -1)
    strides, dilations = tuple(layer.strides), tuple(layer.dilation_rate)
    kernel = tuple(layer.kernel_size)
    sizes = zip(output, given) if transposed else zip(given, output)
    padding = tuple(
        max(0, (small - 1) * stride + dilation * (k - 1) + 1 - large) // 2
        for (large, small), k, stride, dilation in zip(sizes, kernel, strides, dilations)
    )
    if layer.padding == "valid":
        padding = (0,) * len(kernel)
    return Multiplications(counts, output, strides, dilations, padding, transposed)
