"""The activation that a rate of one spike per step stands for, layer by layer."""

from __future__ import annotations

import math

import torch

from tflite_sparse.spiking.network import Neurons, SpikingNetwork


class UpperPercentile:
    """The percentile of a stream's nonzero values, exact: it keeps the few largest ones.

    Args:
        percentile: in (0, 100]; 100 is the maximum.
        elements: how many values will come at most.
    """

    def __init__(self, percentile: float, elements: int) -> None:
        self._beyond = 1 - percentile / 100
        # The percentile lies this far from the largest value, at most, and is interpolated.
        self._keep = math.floor(self._beyond * max(0, elements - 1)) + 2
        self._largest: torch.Tensor | None = None
        self._count = 0

    def add(self, values: torch.Tensor) -> None:
        """More values, not negative."""
        values = values[values != 0]
        self._count += values.numel()
        if self._largest is not None:
            values = torch.cat((self._largest, values))
        self._largest = torch.topk(values, min(self._keep, values.numel())).values

    def value(self) -> float:
        """As numpy.percentile of all nonzero values together; 0.0 if there were none."""
        if self._largest is None or not self._count:
            return 0.0
        position = self._beyond * (self._count - 1)
        lower, upper = math.floor(position), math.ceil(position)
        share = position - lower
        return float(self._largest[lower] * (1 - share) + self._largest[upper] * share)


def normalize(network: SpikingNetwork, batches: list[torch.Tensor], percentile: float) -> None:
    """Scale weights and biases so that the percentile of each layer's activations is a rate of 1.

    A layer that is always silent keeps its scale.

    Args:
        network: with all scales 1.
        batches: of the calibration set.
        percentile: of the layer's nonzero activations over all samples.

    Source: Rueckauer et al., "Conversion of Continuous-Valued Deep Networks to Efficient
    Event-Driven Networks for Image Classification", Frontiers in Neuroscience 2017, section 2.2.2.
    """
    samples = sum(map(len, batches))
    meters: dict[Neurons, UpperPercentile] = {}
    for batch in batches:
        for layer, values in network.activations(batch):
            if layer.fires:
                elements = samples * values[0].numel()
                meters.setdefault(layer, UpperPercentile(percentile, elements)).add(values)
    scales = [meters[layer].value() if layer in meters else 1.0 for layer in network.layers]
    for layer, scale in zip(network.layers, scales):
        layer.rescale(scale or 1.0)
    for layer in network.layers:
        for synapses in layer.synapses:
            if synapses.source is not None:
                synapses.scale(network.layers[synapses.source].scale)
