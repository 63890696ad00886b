"""A network of integrate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from tflite_sparse.spiking.synapses import Synapses


class Neurons(nn.Module):  # type: ignore[misc]
    """One layer of integrate-and-fire neurons with reset by subtraction, and its synapses.

    Currents are in units of the firing threshold, which is 1: a neuron spikes at most once in a
    step, so a rate of 1 stands for the activation ``scale`` of the original network.

    Attributes:
        name: of the PyTorch layer whose activation the rates are.
        synapses: all that the neurons read.
        bias: a constant current ``[1, C, ...]``; None for none.
        scale: the activation that a rate of 1 stands for.
        threshold: the activation, in units of the scale, up to which neurons are silent
            ``[1, C or 1, ...]``, from a :class:`~tflite_sparse.torch.ThresholdReLU`; None for a
            plain ReLU.
        ceiling: the activation, in units of the scale, where the original's activation ends, as
            in ReLU6; None for no end.
        fires: False for the last layer, whose potential is read and never reset.
        size: shape of the layer without the batch.
    """

    bias: torch.Tensor | None
    threshold: torch.Tensor | None

    def __init__(
        self,
        name: str,
        synapses: Iterable[Synapses],
        bias: torch.Tensor | None,
        size: tuple[int, ...],
        *,
        threshold: torch.Tensor | None = None,
        ceiling: float | None = None,
        fires: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.synapses = nn.ModuleList(synapses)
        self.register_buffer("bias", bias)
        self.register_buffer("threshold", threshold)
        self.size = size
        self.scale = 1.0
        self.ceiling = ceiling
        self.fires = fires

    def activation(self, currents: torch.Tensor) -> torch.Tensor:
        """The original network's activation of a sum of currents, in units of the scale."""
        if not self.fires:
            return currents
        values = torch.clamp(currents, 0.0, self.ceiling)
        return values if self.threshold is None else values * (values > self.threshold)

    def rescale(self, scale: float) -> None:
        """Let a rate of 1 stand for another activation; what reads this layer is not adapted."""
        ratio = self.scale / scale
        for synapses in self.synapses:
            synapses.scale(ratio)
        if self.bias is not None:
            self.bias = self.bias * ratio
        if self.threshold is not None:
            self.threshold = self.threshold * ratio
        if self.ceiling is not None:
            self.ceiling *= ratio
        self.scale = scale


class SpikingNetwork(nn.Module):  # type: ignore[misc]
    """What :func:`~tflite_sparse.spiking.convert` makes; :func:`~tflite_sparse.spiking.simulate` runs it.

    Attributes:
        layers: in an order in which each reads earlier ones only; the last one is read out.
    """

    def __init__(self, layers: Iterable[Neurons]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the rates tend to with the number of steps: the original network's result."""
        *_, (layer, result) = self.activations(images)
        return result * layer.scale

    def activations(self, images: torch.Tensor) -> Iterator[tuple[Neurons, torch.Tensor]]:
        """Each layer with the original network's activations ``[N, ...]``, in units of its scale.

        Args:
            images: what the original network takes.
        """
        results: list[torch.Tensor] = []
        for layer in self.layers:
            sources = (images if s.source is None else results[s.source] for s in layer.synapses)
            currents = [s(s.view(values)) for s, values in zip(layer.synapses, sources)]
            total = torch.stack(currents).sum(0) if len(currents) > 1 else currents[0]
            results.append(layer.activation(total if layer.bias is None else total + layer.bias))
            yield layer, results[-1]

    def __str__(self) -> str:
        """One line per layer."""
        return "\n".join(
            f"{layer.name}: {'x'.join(map(str, layer.size))} neurons, scale {layer.scale:.4g}, "
            f"reads {', '.join(synapses.name for synapses in layer.synapses)}"
            for layer in self.layers
        )
