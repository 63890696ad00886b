"""The walk over a recorded forward pass that finds layers of neurons and their synapses."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Union

import torch
from torch import nn

from tflite_sparse.errors import ConversionError, MaskError
from tflite_sparse.places import ADD, CONV, LINEAR, MASK, NONZERO, NORM, ZERO, Node, Record
from tflite_sparse.spiking.network import Neurons
from tflite_sparse.spiking.synapses import (
    AveragePooling,
    Convolution,
    Dense,
    OneToOne,
    Synapses,
    View,
)
from tflite_sparse.torch.mask import mask_at
from tflite_sparse.torch.relus import threshold_hook
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU

_FLATTEN = {"flatten", "view", "reshape"}
_MAX_POOLING = {
    *("maxpool2d", "adaptivemaxpool2d", "max_pool2d", "adaptive_max_pool2d", "amax"),
}
_AVERAGE_POOLING = {
    *("avgpool2d", "adaptiveavgpool2d", "avg_pool2d", "adaptive_avg_pool2d", "mean"),
}
#: Copies and changes of type, which leave values as they are.
_COPYING = {"contiguous", "clone", "detach", "to", "float"}
_SOFTMAX = {"softmax", "log_softmax", "logsoftmax"}
#: Where activations are compared with ReLUs.
_PROBES = (-1e4, -8.0, -3.5, -1.0, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.5, 8.0, 1e4)


@dataclass
class _Outputs:
    """What a layer of neurons gives, or (``layer`` None) the network's input, through views."""

    layer: int | None
    views: tuple[View, ...] = ()


@dataclass
class _Currents:
    """A sum of synapses that no neuron has read yet.

    Views belong behind the neurons that will: a ReLU of a maximum is the maximum of the ReLUs.

    Attributes:
        name: of the last layer with weights among them.
        size: without the batch, before the views.
        threshold: of a ThresholdReLU that stands as a hook in front of a ReLU function.
    """

    name: str
    size: tuple[int, ...]
    synapses: list[Synapses]
    bias: torch.Tensor | None = None
    views: tuple[View, ...] = ()
    threshold: torch.Tensor | None = None


_Value = Union[_Outputs, _Currents]


def neurons_of(record: Record) -> list[Neurons]:
    """The layers of neurons, scales all 1, in the order of their calls; the last is read out.

    Raises:
        ConversionError: something has no counterpart; its name, and what to do.
    """
    return _Walk(record).run()


@dataclass
class _Walk:
    record: Record
    layers: list[Neurons] = field(default_factory=list)
    values: dict[int, _Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sizes: dict[int, tuple[int, ...]] = {}
        self.masks: dict[int, torch.Tensor] = {}
        for place in self.record.places():
            with contextlib.suppress(MaskError):  # A place that can have no mask has none.
                mask = mask_at(place)
                if mask is not None:
                    self.masks[place.chain[-1].outputs[0]] = mask
        weights = [n.layer.weight for n in self.record.nodes if n.kind in {CONV, LINEAR}]
        if not weights:
            raise ConversionError(
                f"{self.record.where} has no Conv2d or Linear layer, so there is nothing to "
                "convert; give it a model with weights"
            )
        #: A parameter, for its type and device.
        self.like = weights[0].detach()

    def run(self) -> list[Neurons]:
        """See `neurons_of`."""
        nodes, results = self.record.nodes, self.record.results
        if len(results) != 1:
            raise ConversionError(
                f"expected a model that returns one tensor, {self.record.where} returns "
                f"{len(results)}; wrap it in a module that returns the one to be read out"
            )
        self.values[nodes[0].inputs[0]] = _Outputs(None)
        for node in nodes:
            given = [self.values[value] for value in node.inputs if value in self.values]
            if given:
                made = self._convert(node, given)
                self.values[node.outputs[0]] = self._masked(node, made)
                self.sizes[node.outputs[0]] = node.shape[1:]
        self._read_out(results[0])
        return self.layers

    def _convert(self, node: Node, given: list[_Value]) -> _Value:
        if node.kind == ADD:
            return self._sum(node)
        source = given[0]
        if len(node.outputs) != 1:
            raise _refused(node, "gives several results", "let it give one")
        if node.operation in _SOFTMAX and node.outputs == self.record.results:
            return source
        if node.kind in {CONV, LINEAR}:
            return self._weights(node, source)
        if node.kind == NORM:
            return self._normalized(node, source)
        if node.kind in {ZERO, NONZERO}:
            return self._activated(node, source)
        if node.kind == MASK or node.operation in _COPYING:
            return source
        if node.operation in _FLATTEN:
            return self._flattened(node, source)
        if node.operation in _MAX_POOLING:
            return self._max_pooled(node, source)
        if node.operation in _AVERAGE_POOLING:
            return self._average_pooled(node, source)
        raise _refused(
            node,
            "has no counterpart among spiking neurons",
            "use Conv2d, Linear, BatchNorm, ReLU, ThresholdReLU, average or max pooling, flatten "
            "and sums",
        )

    def _weights(self, node: Node, source: _Value) -> _Currents:
        module = node.layer
        outputs = self._spikes(node, source)
        if getattr(module, "padding_mode", "zeros") != "zeros":
            raise _refused(node, f"pads with padding_mode={module.padding_mode!r}", 'use "zeros"')
        make = Convolution if node.kind == CONV else Dense
        read = module if node.kind == CONV else module.weight
        synapses = make(node.name, outputs.layer, outputs.views, read)
        bias = None
        if module.bias is not None:
            bias = _by_channel(module.bias, len(node.shape), last=node.kind == LINEAR)
        return self._hooked(node, _Currents(node.name, node.shape[1:], [synapses], bias))

    def _hooked(self, node: Node, currents: _Currents) -> _Currents:
        """With the threshold that a hook of the module computes in front of a ReLU function."""
        hook = threshold_hook(node.layer) if node.layer is not None else None
        if hook is not None:
            currents.threshold = self._threshold(hook.t, len(node.shape))
        return currents

    def _normalized(self, node: Node, source: _Value) -> _Currents:
        module = node.layer
        advice = "use BatchNorm layers, each right behind its convolution or linear layer"
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise _refused(node, "is no BatchNorm layer", advice)
        if not isinstance(source, _Currents) or source.views:
            raise _refused(node, "does not follow a convolution or linear layer directly", advice)
        if module.running_mean is None:
            raise _refused(node, "keeps no running mean", "train it with track_running_stats=True")
        factor = torch.rsqrt(module.running_var + module.eps)
        if module.weight is not None:
            factor = factor * module.weight
        shift = -module.running_mean * factor
        if module.bias is not None:
            shift = shift + module.bias
        folded = copy.deepcopy(source.synapses)  # Something else may read what is not normalised.
        for synapses in folded:
            synapses.scale(factor.detach())
        dimensions = len(node.shape)
        bias = _by_channel(shift, dimensions)
        if source.bias is not None:
            bias = bias + source.bias * _by_channel(factor, dimensions)
        return self._hooked(node, replace(source, synapses=folded, bias=bias))

    def _activated(self, node: Node, source: _Value) -> _Value:
        module = node.layer
        passes, ceiling, threshold = False, None, None
        if isinstance(module, (ThresholdReLU, LearnableThresholdReLU)):
            threshold, ceiling = self._threshold(module.t, len(node.shape)), module.max_value
        elif isinstance(module, nn.Threshold) and module.value == 0 <= module.threshold:
            threshold = self._threshold(module.threshold, len(node.shape))
        else:
            passes, ceiling = _as_relu(node, self.like)
        if passes:
            return source
        if isinstance(source, _Outputs):
            if source.layer is not None and threshold is None and ceiling is None:
                return source  # A ReLU of what is not negative.
            raise _refused(node, "does not follow a layer with weights", "take it out")
        if source.threshold is not None:
            threshold = source.threshold
        return self._fire(source, threshold, ceiling)

    def _fire(
        self, source: _Currents, threshold: torch.Tensor | None = None, ceiling: float | None = None
    ) -> _Outputs:
        return self._layer(source, True, threshold=threshold, ceiling=ceiling)

    def _layer(self, source: _Currents, fires: bool, **options: Any) -> _Outputs:
        names = {layer.name for layer in self.layers}
        name = next(
            name for count in range(len(names) + 1)
            if (name := source.name + (f"#{count + 1}" if count else "")) not in names
        )  # fmt: skip
        bias = None if source.bias is None else source.bias.detach().clone()
        # Each reader of the same sum has its own, also one that reads it twice.
        synapses = [copy.deepcopy(each) for each in source.synapses]
        self.layers.append(Neurons(name, synapses, bias, source.size, fires=fires, **options))
        return _Outputs(len(self.layers) - 1, source.views)

    def _sum(self, node: Node) -> _Currents:
        sources = [self.values.get(value) for value in node.inputs]
        known = [source for source in sources if source is not None]
        if len(known) != len(sources) or len(known) < 2:
            raise _refused(node, "adds something that is not computed from the input",
                    "use the bias of a layer")  # fmt: skip
        parts: list[_Currents] = []
        for value, source in zip(node.inputs, known):
            if self.sizes.get(value, node.shape[1:]) != node.shape[1:]:
                raise _refused(node, "adds tensors of different shapes", "add equal shapes")
            if isinstance(source, _Currents):
                if source.views:
                    raise _refused(
                        node, "adds what was pooled before its ReLU", "put the ReLU first"
                    )
                parts.append(source)
            else:
                synapses = OneToOne(node.name, source.layer, source.views, self.like)
                parts.append(_Currents(node.name, node.shape[1:], [synapses]))
        biases = [part.bias for part in parts if part.bias is not None]
        named = [part for part in parts if not isinstance(part.synapses[-1], OneToOne)]
        return _Currents(
            (named or parts)[0].name,
            node.shape[1:],
            [synapses for part in parts for synapses in part.synapses],
            sum(biases[1:], biases[0]) if biases else None,
        )

    def _threshold(self, t: float | torch.Tensor, dimensions: int) -> torch.Tensor | None:
        """Of one layer or of each channel; None for the threshold of a plain ReLU."""
        value = t.detach() if isinstance(t, torch.Tensor) else self.like.new_full((1,), t)
        return _by_channel(value, dimensions) if (value > 0).any() else None

    def _flattened(self, node: Node, source: _Value) -> _Value:
        size = self.sizes.get(node.inputs[0])
        if len(node.shape) != 2 or (size is not None and math.prod(size) != node.shape[1]):
            raise _refused(node, f"gives the shape {list(node.shape)}", "flatten all but the batch")
        return _viewed(source, View("flatten", lambda values: values.flatten(1)))

    def _max_pooled(self, node: Node, source: _Value) -> _Value:
        function = self._pooling(node)
        return _viewed(source, View("max pooling", function))

    def _average_pooled(self, node: Node, source: _Value) -> _Value:
        function = self._pooling(node)
        if isinstance(source, _Outputs) and source.layer is None:
            return _viewed(source, View("average pooling", function))
        outputs = self._spikes(node, source)
        synapses = AveragePooling(
            node.name, outputs.layer, outputs.views, self.like, _kept(function)
        )
        currents = _Currents(node.name, node.shape[1:], [synapses])
        if len(node.shape) == 2:  # a mean over the pixels
            currents.size = (*node.shape[1:], 1, 1)
            currents.views = (View("flatten", lambda values: values.flatten(1)),)
        return self._fire(currents)

    def _pooling(self, node: Node) -> Callable[[torch.Tensor], torch.Tensor]:
        size = self.sizes.get(node.inputs[0])
        is_global = node.shape[1:] in ({size[:1], (size[0], 1, 1)} if size else set())
        if (size is not None and len(size) != 3) or node.function is None:
            raise _refused(node, "does not pool [N, C, H, W]", "use a pooling layer")
        if node.operation in {"mean", "amax"} and not is_global:
            raise _refused(node, "does not reduce height and width", "use a pooling layer")
        return node.function

    def _spikes(self, node: Node, source: _Value) -> _Outputs:
        """What a layer's synapses read; refused where that has a sign."""
        if isinstance(source, _Outputs):
            return source
        positive = all(
            isinstance(synapses, OneToOne) and synapses.source is not None
            for synapses in source.synapses
        )
        if positive and source.bias is None:  # A sum of spikes without a ReLU.
            return self._fire(source)
        raise _refused(
            node,
            f"reads the result of {source.name!r} without a ReLU between them, and spikes have "
            "no sign",
            "put a ReLU behind that layer",
        )

    def _masked(self, node: Node, value: _Value) -> _Value:
        mask = self.masks.get(node.outputs[0])
        if node.kind == MASK and mask is None:
            raise _refused(
                node, "masks what is no layer's result", "put it behind a layer's activation"
            )
        if mask is None:
            return value
        holder: Any = value
        if isinstance(value, _Outputs):
            if value.layer is None or value.views:
                raise _refused(node, "is masked behind a pooling", "mask a layer's activation")
            holder = self.layers[value.layer]
        factor = mask.to(self.like)
        for synapses in holder.synapses:
            synapses.mask = factor if synapses.mask is None else synapses.mask * factor
        if holder.bias is not None:
            holder.bias = holder.bias * factor
        return value

    def _read_out(self, result: int) -> None:
        value = self.values.get(result)
        if value is None:
            raise ConversionError(
                f"the result of {self.record.where} is not computed from its input by recorded "
                "layers and functions; compute it by modules"
            )
        if isinstance(value, _Outputs):
            synapses = OneToOne("output", value.layer, value.views, self.like)
            value = _Currents("output", self.sizes[result], [synapses])
        if value.views:
            raise ConversionError(
                f"the result of {self.record.where} is {value.name!r} pooled or flattened without "
                "a ReLU; put a ReLU behind that layer"
            )
        self._layer(value, False)


def _viewed(source: _Value, view: View) -> _Value:
    return replace(source, views=(*source.views, view))


def _by_channel(values: torch.Tensor, dimensions: int, last: bool = False) -> torch.Tensor:
    return values.view(1, *(1,) * (dimensions - 2), -1) if last else values.view(
        1, -1, *(1,) * (dimensions - 2)
    )  # fmt: skip


def _as_relu(node: Node, like: torch.Tensor) -> tuple[bool, float | None]:
    """Whether an activation does nothing, and where it ends if it is a ReLU; refused otherwise."""
    if node.function is None:  # dropout
        return True, None
    values = like.new_tensor(_PROBES)
    probes = (like.new_full((1, *node.shape[1:]), value) for value in _PROBES)
    found = torch.cat([node.function(probe).flatten()[:1] for probe in probes]).detach()
    if torch.equal(found, values):
        return True, None
    top = float(found[-1])
    if torch.equal(found, values.clamp(0.0, top)) and top > 0:
        return False, None if top == _PROBES[-1] else top
    raise _refused(
        node,
        "is no ReLU, and rates of spikes are neither negative nor bent",
        "train the network with nn.ReLU or ThresholdReLU there",
    )


def _kept(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A pooling with its result as ``[N, C, H', W']``."""

    def pooled(values: torch.Tensor) -> torch.Tensor:
        made = function(values)
        return made if made.ndim == 4 else made[..., None, None]

    return pooled


def _refused(node: Node, problem: str, advice: str) -> ConversionError:
    kind = f" ({node.operation})" if node.operation != node.name else ""
    what = f"layer {node.name!r}{kind}" if node.layer is not None else f"the call of {node.name}"
    return ConversionError(f"{what} {problem}; {advice}")
