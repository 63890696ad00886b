"""Running a spiking network step by step, and counting its spikes and synaptic operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tflite_sparse.errors import OptionError
from tflite_sparse.progress import Progress
from tflite_sparse.spiking.network import Neurons, SpikingNetwork
from tflite_sparse.spiking.synapses import Synapses
from tflite_sparse.table import format_table, shorten

Counts = npt.NDArray[np.int64]

#: Up to here every integer is a float32.
_EXACT_IN_FLOAT32 = 2**24


@dataclass(frozen=True)
class LayerSpikes:
    """What one layer of neurons did, per sample.

    Attributes:
        name: of the PyTorch layer whose activation it stands for.
        neurons: how many it has.
        spikes: that it fired, over all steps, int64 [N]; the last layer never fires.
        synops: synaptic operations that reached it: for each spike of a layer that it reads, the
            synapses with a nonzero weight that carry it, int64 [N].
        input_macs: multiplications of a nonzero element of the network's input with a nonzero
            weight, int64 [N]; done once, because the input is a constant current.
        rates: spikes per step of each neuron, [N, ...], where they are kept; None elsewhere.
    """

    name: str
    neurons: int
    spikes: Counts
    synops: Counts
    input_macs: Counts
    rates: npt.NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Simulation:
    """The result of :func:`simulate`; printing it gives a table.

    Attributes:
        steps: how many there were.
        outputs: potential of the last layer over the number of steps, [N, ...]: what tends to the
            original network's result.
        predictions: the largest output of each sample after the last step, int64 [N].
        predictions_over_time: after each step, int64 [steps, N].
        synops_over_time: synaptic operations up to each step, int64 [steps, N].
        layers: one entry per layer, in the order of execution.
    """

    steps: int
    outputs: npt.NDArray[np.floating]
    predictions_over_time: Counts
    synops_over_time: Counts
    layers: tuple[LayerSpikes, ...]

    @property
    def predictions(self) -> Counts:
        """The largest output of each sample after the last step, int64 [N]."""
        last: Counts = self.predictions_over_time[-1]
        return last

    @property
    def spikes(self) -> Counts:
        """All layers' spikes, int64 [N]."""
        total: Counts = np.sum([layer.spikes for layer in self.layers], axis=0)
        return total

    @property
    def synops(self) -> Counts:
        """All layers' synaptic operations, int64 [N]."""
        total: Counts = np.sum([layer.synops for layer in self.layers], axis=0)
        return total

    def __str__(self) -> str:
        """The table, one row per layer, means per sample."""
        rows = [
            (
                shorten(layer.name),
                layer.neurons,
                f"{layer.spikes.mean():.1f}",
                f"{layer.spikes.mean() / layer.neurons / self.steps:.4f}",
                f"{layer.synops.mean():.0f}",
                f"{layer.input_macs.mean():.0f}",
            )
            for layer in self.layers
        ]
        headers = ("layer", "neurons", "spikes", "rate", "synops", "input MACs")
        return (
            f"{len(self.predictions)} samples, {self.steps} steps; means per sample\n\n"
            f"{format_table(headers, rows)}\n\n{self.spikes.mean():.1f} spikes, "
            f"{self.synops.mean():.0f} synaptic operations"
        )


def simulate(
    network: SpikingNetwork,
    images: torch.Tensor,
    steps: int = 100,
    *,
    batch_size: int = 256,
    keep_rates: bool = False,
    progress: bool = True,
) -> Simulation:
    """Run a spiking network on inputs that stay for a number of steps.

    In each step, layer by layer, a neuron adds its currents to its potential, spikes if that is
    at least 1 and then subtracts 1; a spike arrives within the step. A neuron of a ReLU with a
    threshold t waits, besides, while the mean of its currents up to now is not above t.

    Where no activation is above its layer's scale, the number of spikes after T steps differs from
    T times the activation (in units of the scale) by less than 1 in the first layer, and in later
    ones by less than ``1 + sum_i |w_i| d_i``, with d_i the bound of the neurons that are read.
    Thresholds have no such bound: activations next to them need more steps.

    Args:
        network: of :func:`~tflite_sparse.spiking.convert`, on the device that is to compute.
        images: as the original network takes them, ``[N, ...]``; on any device.
        steps: at least 1.
        batch_size: how many images are simulated at once.
        keep_rates: whether the result has the rate of each neuron for each image.
        progress: whether to tell on standard error how far it is.

    Raises:
        OptionError: fewer than one step, or no images.
    """
    if steps < 1 or not len(images):
        raise OptionError(f"expected steps >= 1 and images, found {steps} and {len(images)} images")
    device = next(network.buffers()).device
    batches = images.split(batch_size)
    runs = []
    with (
        torch.no_grad(),
        Progress(progress).step(f"simulating {len(images)} images for {steps} steps") as done,
    ):
        for number, batch in enumerate(batches):
            runs.append(_Run(network, batch.to(device)).after(steps, keep_rates))
            done((number + 1) / len(batches))
    return Simulation(
        steps=steps,
        outputs=np.concatenate([run.outputs for run in runs]),
        predictions_over_time=np.concatenate([run.predictions_over_time for run in runs], axis=1),
        synops_over_time=np.concatenate([run.synops_over_time for run in runs], axis=1),
        layers=tuple(_joined(parts) for parts in zip(*(run.layers for run in runs))),
    )


def _joined(parts: Sequence[LayerSpikes]) -> LayerSpikes:
    """One layer's batches together."""

    def together(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return LayerSpikes(
        name=parts[0].name,
        neurons=parts[0].neurons,
        spikes=together("spikes"),
        synops=together("synops"),
        input_macs=together("input_macs"),
        rates=None if parts[0].rates is None else together("rates"),
    )


class _Run:
    """One batch."""

    def __init__(self, network: SpikingNetwork, images: torch.Tensor) -> None:
        self._images = images
        self._layers = [_State(layer, images) for layer in network.layers]

    def after(self, steps: int, keep_rates: bool) -> Simulation:
        predictions, synops = [], []
        total = torch.zeros(len(self._images), dtype=torch.int64, device=self._images.device)
        readout = self._layers[-1]
        for step in range(1, steps + 1):
            for layer in self._layers:
                total += layer.advance(step, self._layers)
            predictions.append(readout.potential.flatten(1).argmax(1))
            synops.append(total.clone())
        return Simulation(
            steps=steps,
            outputs=(readout.potential * (readout.layer.scale / steps)).cpu().numpy(),
            predictions_over_time=torch.stack(predictions).cpu().numpy(),
            synops_over_time=torch.stack(synops).cpu().numpy(),
            layers=tuple(layer.counted(steps, keep_rates) for layer in self._layers),
        )


class _State:
    """The neurons of one layer: potentials, and how often each has spiked."""

    def __init__(self, layer: Neurons, images: torch.Tensor) -> None:
        self.layer = layer
        samples = len(images)
        self.potential = images.new_zeros((samples, *layer.size))
        self.spikes = torch.zeros_like(self.potential)
        self.counts = torch.zeros_like(self.potential)
        self._synops = images.new_zeros(samples, dtype=torch.int64)
        self._input_macs = torch.zeros_like(self._synops)
        self._constant = torch.zeros_like(self.potential)
        if layer.bias is not None:
            self._constant += layer.bias
        self._readers: list[_Reader] = []
        for synapses in layer.synapses:
            if synapses.source is None:
                values = synapses.view(images)
                self._constant += synapses(values)
                fan_out = synapses.fan_out(values.shape[1:])
                self._input_macs += _reached(values != 0, fan_out.double())
            else:
                self._readers.append(_Reader(synapses, synapses.source))

    def advance(self, step: int, layers: list[_State]) -> torch.Tensor:
        """One step; returns the synaptic operations of each sample, int64 [N]."""
        made = torch.zeros_like(self._synops)
        self.potential += self._constant
        for reader in self._readers:
            spikes = reader.read(layers[reader.source])
            self.potential += reader.synapses(spikes)
            made += reader.synops(spikes)
        self._synops += made
        if self.layer.fires:
            fires = self.potential >= 1
            if self.layer.threshold is not None:
                # The sum of currents is what is left and what was fired.
                fires &= self.potential + self.counts > self.layer.threshold * step
            self.spikes = fires.to(self.potential.dtype)
            self.potential -= self.spikes
            self.counts += self.spikes
        return made

    def counted(self, steps: int, keep_rates: bool) -> LayerSpikes:
        return LayerSpikes(
            self.layer.name,
            self.potential[0].numel(),
            self.counts.flatten(1).sum(1, dtype=torch.float64).long().cpu().numpy(),
            self._synops.cpu().numpy(),
            self._input_macs.cpu().numpy(),
            (self.counts / steps).cpu().numpy() if keep_rates else None,
        )


class _Reader:
    """One set of synapses, and what it has seen of the counts of its source."""

    def __init__(self, synapses: Synapses, source: int) -> None:
        self.synapses = synapses
        self.source = source
        self._before: torch.Tensor | None = None
        self._fan_out: torch.Tensor | None = None

    def read(self, source: _State) -> torch.Tensor:
        """The spikes of this step, through the views."""
        if not self.synapses.views:
            return source.spikes
        counts = self.synapses.view(source.counts)
        spikes = counts if self._before is None else counts - self._before
        # A view without arithmetic would change with the counts.
        self._before = counts.clone()
        return spikes

    def synops(self, spikes: torch.Tensor) -> torch.Tensor:
        """Synaptic operations of each sample, int64 [N]; exact."""
        if self._fan_out is None:
            fan_out = self.synapses.fan_out(spikes.shape[1:])
            small = fan_out.sum() < _EXACT_IN_FLOAT32
            self._fan_out = fan_out.to(torch.float32 if small else torch.float64)
        return _reached(spikes, self._fan_out)


def _reached(spikes: torch.Tensor, fan_out: torch.Tensor) -> torch.Tensor:
    counts: torch.Tensor = spikes.flatten(1).to(fan_out.dtype) @ fan_out.flatten()
    return counts.long()
