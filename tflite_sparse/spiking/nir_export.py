"""Spiking networks in the Neuromorphic Intermediate Representation, for simulators and chips."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tflite_sparse.errors import ConversionError
from tflite_sparse.spiking.network import Neurons, SpikingNetwork
from tflite_sparse.spiking.synapses import (
    AveragePooling,
    Convolution,
    Dense,
    OneToOne,
    Synapses,
)

_ADVICE = "simulate it with tflite_sparse.spiking.simulate instead"


def to_nir(network: SpikingNetwork, input_size: tuple[int, ...]) -> Any:
    """A ``nir.NIRGraph`` of a spiking network; ``nir.write`` writes it to a file.

    Each layer is an ``IF`` node with a threshold of 1, and a node for each set of synapses that it
    reads. The representation's ``IF`` leaves the reset to the simulator: **it has to subtract**. The
    potentials of the last layer are the graph's output, in units of its result.

    Args:
        network: of :func:`~tflite_sparse.spiking.convert`.
        input_size: shape of the input without the batch.

    Raises:
        ImportError: the package ``nir`` is not installed.
        ConversionError: max pooling, thresholds or masks, which the representation lacks, or an
            average pooling whose windows are not all alike.

    Source: Pedersen et al., "Neuromorphic intermediate representation: A unified instruction set
    for interoperable brain-inspired computing", Nature Communications 2024.
    """
    try:
        import nir
    except ImportError as error:
        raise ImportError(
            f"to_nir needs the package nir ({error}); install it: pip install 'tflite-sparse[nir]'"
        ) from error
    builder = _Builder(nir)
    sizes = [input_size]
    nodes = ["input"]
    builder.nodes["input"] = nir.Input(np.array(input_size))
    for layer in network.layers:
        _check(layer)
        sizes.append(layer.size)
        nodes.append(builder.add_layer(layer, nodes, sizes))
    builder.nodes["output"] = nir.Output(np.array(sizes[-1]))
    builder.edges.append((nodes[-1], "output"))
    # Its check takes kernels to be square and without groups.
    return nir.NIRGraph(builder.nodes, builder.edges, type_check=False)


class _Builder:
    def __init__(self, nir: Any) -> None:
        self.nir = nir
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def add_layer(self, layer: Neurons, sources: list[str], sizes: list[tuple[int, ...]]) -> str:
        """The nodes of a layer; returns the name of the one that others read."""
        ends = []
        weighted = [isinstance(synapses, (Convolution, Dense)) for synapses in layer.synapses]
        biased = weighted.index(True) if any(weighted) else 0
        for number, synapses in enumerate(layer.synapses):
            index = 0 if synapses.source is None else synapses.source + 1
            source, size = sources[index], sizes[index]
            name = f"{layer.name}.synapses{number}".replace("/", "_")
            for view in synapses.views:
                if view.operation != "flatten":
                    raise ConversionError(
                        f"layer {layer.name!r} reads through {view.operation}, which the "
                        f"representation lacks; {_ADVICE}, or train with average pooling"
                    )
                source = self._add(f"{name}.flatten", self._flatten(size), source)
                size = (int(np.prod(size)),)
            bias = layer.bias if number == biased else None
            end = self._add(name, self._synapses(layer, synapses, bias, size), source)
            if isinstance(synapses, AveragePooling):
                end = self._add(f"{name}.gain", self._gain(synapses, layer.size), end)
            ends.append(end)
        if not layer.fires and len(ends) == 1:
            return ends[0]
        shape = layer.size
        ones = np.ones(shape, np.float32)
        node = self.nir.IF(ones, ones) if layer.fires else self.nir.Scale(ones)
        name = f"{layer.name}.neurons".replace("/", "_")
        self.nodes[name] = node
        self.edges += [(end, name) for end in ends]
        return name

    def _add(self, name: str, node: Any, source: str) -> str:
        self.nodes[name] = node
        self.edges.append((source, name))
        return name

    def _flatten(self, size: tuple[int, ...]) -> Any:
        return self.nir.Flatten({"input": np.array(size)}, 0, -1)

    def _gain(self, synapses: OneToOne | AveragePooling, size: tuple[int, ...]) -> Any:
        return self.nir.Scale(_array(synapses.amplified(synapses.gain.new_ones((1, *size)))[0]))

    def _synapses(
        self, layer: Neurons, synapses: Synapses, bias: torch.Tensor | None, size: tuple[int, ...]
    ) -> Any:
        if isinstance(synapses, Dense):
            weight = _array(synapses.weight)
            if bias is None:
                return self.nir.Linear(weight)
            return self.nir.Affine(weight, _array(bias).reshape(-1))
        if isinstance(synapses, Convolution):
            weight = _array(synapses.weight)
            constant = np.zeros(len(weight), weight.dtype)
            if bias is not None:
                constant = _array(bias).reshape(-1)
            return self.nir.Conv2d(input_shape=size[1:], weight=weight, bias=constant,
                                   **synapses.options)  # fmt: skip
        if bias is not None:
            raise ConversionError(
                f"layer {layer.name!r} adds a bias to a shortcut, which the representation lacks; "
                f"{_ADVICE}"
            )
        if isinstance(synapses, OneToOne):
            return self._gain(synapses, size)
        assert isinstance(synapses, AveragePooling)
        kernel, stride = zip(*(_regular(layer, each) for each in synapses.windows(*size[1:])))
        return self.nir.AvgPool2d(np.array(kernel), np.array(stride), np.zeros(2, int))


def _regular(layer: Neurons, windows: torch.Tensor) -> tuple[int, int]:
    """Length and distance of windows ``[elements, windows]`` along one axis."""
    lengths = windows.sum(0).long().tolist()
    starts = windows.argmax(0).tolist()
    stride = starts[1] if len(starts) > 1 else lengths[0]
    if len(set(lengths)) > 1 or starts != [stride * number for number in range(len(starts))]:
        raise ConversionError(
            f"layer {layer.name!r} averages windows that are not all alike, such as those at a "
            f"padded border, which the representation lacks; {_ADVICE}"
        )
    return lengths[0], stride


def _check(layer: Neurons) -> None:
    """Raise ConversionError if the representation lacks what a layer is."""
    problem = None
    if layer.threshold is not None:
        problem = "has a threshold below which it is silent"
    elif any(getattr(synapses, "mask", None) is not None for synapses in layer.synapses):
        problem = "has a mask"
    if problem is not None:
        raise ConversionError(
            f"layer {layer.name!r} {problem}, which the representation lacks; {_ADVICE}"
        )


def _array(values: torch.Tensor) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = values.detach().cpu().numpy().copy()
    return array
