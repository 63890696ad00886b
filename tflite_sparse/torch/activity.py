"""How many activations of a PyTorch model are zero, and how many multiplications that leaves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from tflite_sparse.activity import ActivityMeter, ActivityReport, Multiplications
from tflite_sparse.errors import ModelError, OptionError
from tflite_sparse.torch.record import evaluating, unwrapped

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def measure_activity(
    model: nn.Module, batches: Iterable[Any], *, label: str | None = None
) -> ActivityReport:
    """The zeros that each convolution and linear module reads, and the multiplications left.

    The report is the one that :func:`tflite_sparse.measure_activity` makes of a .tflite. The
    model runs in evaluation mode, its thresholds hard and its masks in force; the mode is put back.

    Args:
        model: the model, or its ``torch.compile`` or DistributedDataParallel wrapper.
        batches: of inputs: a tensor, or a tuple of what the model is called with; each has
            samples along its first axis. Batches ``(images, labels)`` of a data loader have to
            become images only.
        label: what the report calls the model; its class by default.

    Raises:
        OptionError: no batch was given.
        ModelError: no Conv or Linear module ran, or one pads with something other than zeros.
    """
    plain = unwrapped(model)
    meter = ActivityMeter()
    handles = [
        module.register_forward_hook(_Counter(meter, layer, module))
        for layer, module in plain.named_modules()
        if isinstance(module, (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear))
    ]
    ran = False
    try:
        with evaluating(plain), torch.no_grad():
            for batch in batches:
                plain(*(batch if isinstance(batch, (tuple, list)) else (batch,)))
                ran = True
    finally:
        for handle in handles:
            handle.remove()
    if not ran:
        raise OptionError("expected at least one batch to measure with, found none")
    report = meter.report(label or type(plain).__name__, "batches")
    if not report.layers:
        raise ModelError(
            f"no Conv or Linear module of {type(plain).__name__} ran: nothing to count"
        )
    return report


class _Counter:
    """A forward hook that counts what one module reads."""

    def __init__(self, meter: ActivityMeter, layer: str, module: nn.Module) -> None:
        self.meter = meter
        self.layer = layer
        if getattr(module, "padding_mode", "zeros") != "zeros":
            raise ModelError(
                f"layer {layer!r} pads with padding_mode={module.padding_mode!r}, whose "
                'multiplications are not counted; expected "zeros"'
            )

    def __call__(self, module: Any, inputs: Any, output: torch.Tensor) -> None:
        """Count one call."""
        # Channels last, as the meter has them; a linear module has them so.
        values = inputs[0].float().cpu().numpy()
        if not isinstance(module, nn.Linear):
            values = np.moveaxis(values, 1, -1)
        work = _multiplications(module, output)
        dense = _dense(module, inputs[0], output)
        self.meter.add(self.layer, type(module).__name__, values, work, dense)


def _multiplications(module: Any, output: torch.Tensor) -> Multiplications:
    nonzero = (module.weight != 0).cpu().numpy()
    if isinstance(module, nn.Linear):
        return Multiplications(nonzero.sum(0))
    transposed = isinstance(module, _TRANSPOSED)
    if transposed:  # weights [in, out / groups, *kernel]
        counts = np.moveaxis(nonzero.sum(1), 0, -1)
    else:  # weights [out, in / groups, *kernel]
        groups = nonzero.reshape(module.groups, -1, *nonzero.shape[1:]).sum(1)
        counts = np.moveaxis(groups.reshape(-1, *nonzero.shape[2:]), 0, -1)
    return Multiplications(
        counts,
        output=tuple(output.shape[2:]),
        strides=module.stride,
        dilations=module.dilation,
        padding=_padding(module),
        transposed=transposed,
    )


def _padding(module: Any) -> tuple[int, ...]:
    if module.padding == "same":
        return tuple(d * (k - 1) // 2 for d, k in zip(module.dilation, module.kernel_size))
    return (0,) * len(module.kernel_size) if module.padding == "valid" else tuple(module.padding)


def _dense(module: Any, given: torch.Tensor, output: torch.Tensor) -> int:
    """Multiply-accumulates of one sample, padding included, as for a .tflite."""
    per_element = math.prod(module.weight.shape[1:])
    sizes = given.shape if isinstance(module, _TRANSPOSED) else output.shape
    return int(math.prod(sizes[1:]) * per_element)
