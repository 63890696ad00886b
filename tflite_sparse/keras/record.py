"""A record of one forward pass of a Keras model.

The pass really runs, and what is recorded is what its layers were called with: models that are
functional, sequential, subclassed or nested need nothing special. Functions of ``keras.ops`` are
seen where they are operations of a functional model, and not inside the ``call`` of a layer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import ConversionError, MaskError
from tflite_sparse.keras.mask import ActivationMask
from tflite_sparse.keras.observer import unobserved
from tflite_sparse.keras.threshold import LearnableThresholdReLU, ThresholdReLU
from tflite_sparse.places import (
    ADD,
    CONV,
    LINEAR,
    MASK,
    NONZERO,
    NORM,
    OTHER,
    TRANSPOSE,
    ZERO,
    Node,
    Record,
)

_KINDS: tuple[tuple[Any, str], ...] = (
    (keras.layers.Conv2DTranspose, TRANSPOSE),
    (
        (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D),
        CONV,
    ),
    (keras.layers.Dense, LINEAR),
    (keras.layers.BatchNormalization, NORM),
    (ActivationMask, MASK),
    (keras.layers.Add, ADD),
)
_ACTIVATIONS = (
    *(keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU),
    *(keras.layers.ELU, keras.layers.Dropout, keras.layers.SpatialDropout2D),
    *(keras.layers.Identity, ThresholdReLU, LearnableThresholdReLU),
)
_FUNCTIONS = {
    *("relu", "relu6", "leakyrelu", "elu", "selu", "celu", "gelu", "silu", "hardsilu", "hardtanh"),
    *("tanh", "sigmoid", "hardsigmoid", "softplus", "softsign", "logsigmoid", "clip", "mish"),
}

Array = npt.NDArray[Any]


def record_forward(model: Any, inputs: Sequence[Array]) -> Record:
    """What happens in one forward pass, not in training. Shapes are ``[N, H, W, C]``.

    Raises:
        MaskError: a convolution has its channels first.
    """
    recorder = _Recorder(repr(model.name))
    operations = operations_of(model)
    for operation in operations:
        if getattr(operation, "data_format", "channels_last") == "channels_first":
            raise MaskError(
                f"layer {operation.name!r} has its channels first; expected channels last, as "
                "TFLite has"
            )
    around = {op: recorder.around(op, op.call) for op in operations}
    with unobserved(model), replaced_calls(around):
        result = model(as_given(inputs), training=False)
    recorder.record.results = tuple(map(recorder.number, _arrays(result)))
    return recorder.record


def operations_of(model: Any) -> list[Any]:
    """The layers of a model without layers in them, and the functions of functional models."""
    found: dict[int, Any] = {}
    for layer in model._flatten_layers():
        inside = [other for other in layer._flatten_layers() if other is not layer]
        if not inside and not isinstance(layer, keras.layers.InputLayer):
            found[id(layer)] = layer
        for operation in getattr(layer, "operations", ()):
            if not isinstance(operation, keras.layers.Layer):
                found[id(operation)] = operation
    return list(found.values())


@contextlib.contextmanager
def replaced_calls(calls: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Layers and operations that compute something else, and afterwards are as they were."""
    # Around Keras's own attribute tracking, so that nothing of it is saved.
    before = {layer: vars(layer).get("call") for layer in calls}
    for layer, call in calls.items():
        object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        for layer, call in before.items():
            if call is None:
                object.__delattr__(layer, "call")
            else:
                object.__setattr__(layer, "call", call)


def as_given(inputs: Sequence[Array]) -> Any:
    """Inputs in the form that a model is called with."""
    return inputs[0] if len(inputs) == 1 else list(inputs)


def input_specs(model: Any) -> list[tuple[tuple[int | None, ...], np.dtype[Any]]]:
    """Shape and type of each input of a model, in the order in which it takes them.

    Raises:
        ConversionError: there is no shape yet, or one of open size.
    """
    try:
        inputs = keras.tree.flatten(model.inputs)
    except AttributeError:
        inputs = None
    if inputs:
        specs = [(tuple(value.shape), np.dtype(value.dtype)) for value in inputs]
    else:
        shapes = _flat_shapes(getattr(model, "_build_shapes_dict", None) or {})
        specs = [(shape, np.dtype(np.float32)) for shape in shapes]
    if not specs:
        raise ConversionError(
            f"{model.name!r} has no input shape yet: call it once on an input, or build it"
        )
    for shape, _ in specs:
        if None in shape[1:]:
            raise ConversionError(
                f"{model.name!r} leaves its input size open: {list(shape)}; masks need a fixed one. "
                "Build the model with Input((height, width, channels))"
            )
    return specs


def _flat_shapes(value: Any) -> list[tuple[int | None, ...]]:
    if isinstance(value, Mapping):
        return [shape for part in value.values() for shape in _flat_shapes(part)]
    if isinstance(value, (list, tuple)) and all(isinstance(v, (int, type(None))) for v in value):
        return [tuple(value)]
    return [shape for part in value for shape in _flat_shapes(part)]


class _Recorder:
    def __init__(self, where: str) -> None:
        self.record = Record(where)
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def number(self, value: Any) -> int:
        return self._numbers[id(value)] if id(value) in self._numbers else self._assign(value)

    def _assign(self, value: Any) -> int:
        # Kept, so that no other value gets its identity.
        self._kept.append(value)
        self._numbers[id(value)] = len(self._kept)
        return len(self._kept)

    def around(self, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            inputs = tuple(map(self.number, _arrays((args, kwargs))))
            output = call(*args, **kwargs)
            node = _node(layer, call, inputs)
            results = _arrays(output)
            node.outputs = tuple(map(self._assign, results))
            if results:
                node.shape = tuple(results[0].shape)
                if len(node.shape) == 4 and node.kind != LINEAR:
                    node.size = node.shape[1], node.shape[2]
                self.record.add(node)
            return output

        return run


def _node(layer: Any, call: Callable[..., Any], inputs: tuple[int, ...]) -> Node:
    operation = type(layer).__name__.lower()
    kind = next((kind for classes, kind in _KINDS if isinstance(layer, classes)), OTHER)
    if not isinstance(layer, keras.layers.Layer):
        node = Node(layer.name, ADD if operation == "add" else OTHER, operation, inputs)
        if operation in _FUNCTIONS:
            node.kind, node.function = _zero_or_not(call), call
        return node
    node = Node(layer.name, kind, operation, inputs, layer=layer)
    node.pointwise = tuple(getattr(layer, "kernel_size", ())) == (1, 1)
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if isinstance(layer, keras.layers.Activation):
        node.operation = "identity" if activation == "linear" else activation
        # Softmax is not a function of each element for itself.
        if "softmax" not in activation:
            node.kind, node.function = _zero_or_not(layer.activation), call
    elif isinstance(layer, _ACTIVATIONS):
        node.kind = ZERO
        if "dropout" not in operation:
            node.function = call
    elif activation != "linear":
        node.fused = activation
    return node


def _zero_or_not(function: Callable[[Any], Any]) -> str:
    return NONZERO if np.asarray(function(keras.ops.zeros((1, 1)))).any() else ZERO


def _arrays(values: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(values) if keras.ops.is_tensor(leaf)]
