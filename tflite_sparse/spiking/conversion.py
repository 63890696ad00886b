"""From a trained PyTorch network with ReLUs to one of integrate-and-fire neurons."""

from __future__ import annotations

import math

import torch
from torch import nn

from tflite_sparse.convert.checking import TOLERANCES
from tflite_sparse.errors import ConversionError, OptionError
from tflite_sparse.spiking.network import SpikingNetwork
from tflite_sparse.spiking.normalization import normalize
from tflite_sparse.spiking.walk import neurons_of
from tflite_sparse.torch.observer import unobserved
from tflite_sparse.torch.record import evaluating, record_forward, unwrapped


def convert(
    model: nn.Module,
    calibration: torch.Tensor,
    percentile: float = 99.9,
    *,
    batch_size: int = 256,
) -> SpikingNetwork:
    """A spiking network whose rates of spikes tend to the model's activations.

    Each ReLU becomes a layer of integrate-and-fire neurons with reset by subtraction; weights and
    biases are normalised layer by layer so that a percentile of the calibration set's activations
    becomes a rate of one spike per step. The network's input is a constant current; its last
    layer never fires, and its potential is the result.

    Taken are ``Conv2d``, ``Linear`` and ``BatchNorm`` (folded) with ReLU, ReLU6 or any module or
    function that computes the same; :class:`~tflite_sparse.torch.ThresholdReLU` and its kind;
    average pooling (a layer of neurons); max pooling (passes on the spikes by which the largest
    count of a window grows); flatten; dropout; sums, of branches with different scales too; masks;
    a softmax at the end.

    Before it is handed out, the network with activations in place of rates must give the model's
    result on the calibration set.

    Args:
        model: or its ``torch.compile`` or DistributedDataParallel wrapper. It is not changed, and
            its training mode is restored.
        calibration: inputs ``[N, ...]``, as the model takes them; a part of the training data.
        percentile: in (0, 100], of each layer's nonzero activations over all samples together
            (zeros are left out, because with them the scale of a layer that is nearly silent
            would collapse); 100 takes the largest one. Activations above it are clipped.
        batch_size: how many calibration inputs are computed at once.

    Raises:
        OptionError: a percentile outside (0, 100], or no calibration inputs.
        MaskError: the model does not run on them.
        ConversionError: a layer or function has no spiking counterpart (its name, and what to do
            instead), or the check failed.

    Source: Rueckauer et al., "Conversion of Continuous-Valued Deep Networks to Efficient
    Event-Driven Networks for Image Classification", Frontiers in Neuroscience 2017.
    """
    if not 0 < percentile <= 100:
        raise OptionError(f"expected a percentile in (0, 100], found {percentile}")
    if not isinstance(calibration, torch.Tensor) or not calibration.numel():
        raise OptionError("expected calibration inputs as a tensor [N, ...] with N > 0")
    plain = unwrapped(model)
    record = record_forward(plain, [calibration[:1]])
    network = SpikingNetwork(neurons_of(record))
    batches = list(calibration.split(batch_size))
    with torch.no_grad():
        made_by = {value: node.operation for node in record.nodes for value in node.outputs}
        _check(plain, network, made_by[record.results[0]], batches)
        normalize(network, batches, percentile)
    return network


def _check(
    model: nn.Module, network: SpikingNetwork, last: str, batches: list[torch.Tensor]
) -> None:
    """Raise ConversionError unless both compute the same: something escaped the record."""
    error = size = 0.0
    with evaluating(model), unobserved(model):
        for batch in batches:
            wanted, found = model(batch), network(batch)
            if last == "softmax":
                found = found.softmax(1)
            elif last in {"log_softmax", "logsoftmax"}:
                found = found.log_softmax(1)
            error += float((found - wanted).double().square().sum())
            size += float(wanted.double().square().sum())
    found_error, tolerance = math.sqrt(error / size) if size else error, TOLERANCES[None]
    if not found_error <= tolerance:
        raise ConversionError(
            f"the converted network's activations differ from those of {type(model).__name__} by "
            f"{found_error:.2g} (relative Euclidean norm of the result), more than {tolerance:g}; "
            "something changes values where a record of layers and functions does not see it, "
            "such as a forward hook, control flow that depends on the input, or alpha= of "
            "torch.add; take it out of the model"
        )
