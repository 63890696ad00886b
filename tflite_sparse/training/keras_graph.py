"""The graph of a functional Keras model, read and rebuilt with more layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tflite_sparse.errors import MaskError
from tflite_sparse.training.places import ADD, CONV, NONZERO, NORM, OTHER, ZERO, Node, Record

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
# A mask can stand behind any of these, also where the activation is not 0 at 0.
_ACTIVATIONS = (
    *(keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU),
    *(keras.layers.ELU, keras.layers.Dropout, keras.layers.SpatialDropout2D),
)
_FUNCTIONS = {
    *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Celu", "Gelu", "Silu", "HardSilu", "HardTanh"),
    *("Tanh", "Sigmoid", "HardSigmoid", "Softplus", "Softsign", "LogSigmoid", "Clip", "Mish"),
}

Call = Callable[..., Any]


def record_graph(model: Any) -> Record:
    """The calls of a functional or sequential model, those of models in it included.

    Raises:
        MaskError: the model is of another kind.
    """
    recorder = _Recorder()
    functional = _functional(model)
    copy = _rebuilt(functional, recorder.call)
    recorder.record.results = tuple(map(recorder.number, keras.tree.flatten(copy.outputs)))
    return recorder.record


def insert_after(model: Any, layers: Mapping[tuple[Any, int], Any]) -> Any:
    """A model of the same layers, with another layer behind each ``(layer, number of its call)``."""
    counts: dict[int, int] = {}

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_model(layer):
            return _rebuilt(_functional(layer), call)(*args, **kwargs)
        output = layer(*args, **kwargs)
        index = counts[id(layer)] = counts.get(id(layer), -1) + 1
        inserted = layers.get((layer, index))
        return output if inserted is None else inserted(output)

    return _rebuilt(_functional(model), call)


class _Recorder:
    def __init__(self) -> None:
        self.record = Record()
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def number(self, value: Any) -> int:
        if id(value) not in self._numbers:
            self._kept.append(value)
            self._numbers[id(value)] = len(self._kept)
        return self._numbers[id(value)]

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        given = _tensors((args, kwargs))
        if _is_model(layer):
            return self._call_model(layer, given, args, kwargs)
        output = layer(*args, **kwargs)
        results = _tensors(output)
        node = Node(layer.name, OTHER, tuple(map(self.number, given)), (), layer=layer)
        _classify(node, layer)
        node.outputs = tuple(map(self.number, results))
        if results and len(results[0].shape) == 4:
            height, width = results[0].shape[1:3]
            if node.kind == CONV and (height is None or width is None):
                raise MaskError(
                    f"layer {layer.name!r} has an output of open size {list(results[0].shape)}; a "
                    "mask needs a fixed one. Build the model with Input((height, width, channels))"
                )
            node.size = None if height is None or width is None else (int(height), int(width))
        self.record.add(node)
        return output

    def _call_model(self, model: Any, given: list[Any], args: Any, kwargs: Any) -> Any:
        """Its calls, its inputs and outputs being the values outside."""
        functional = _functional(model)
        inside = [keras.Input(batch_shape=v.shape, dtype=v.dtype) for v in functional.inputs]
        for value, outside in zip(inside, given):
            self._kept.append(value)
            self._numbers[id(value)] = self.number(outside)
        results = _run(functional, inside, self.call)
        output = model(*args, **kwargs)
        for value, result in zip(_tensors(output), results):
            self._kept.append(value)
            self._numbers[id(value)] = self.number(result)
        return output


def _classify(node: Node, layer: Any) -> None:
    if isinstance(layer, _CONVOLUTIONS):
        if layer.data_format != "channels_last":
            raise MaskError(
                f"layer {layer.name!r} has its channels first; expected channels last, as TFLite has"
            )
        node.kind = CONV
        node.pointwise = tuple(layer.kernel_size) == (1, 1)
    elif isinstance(layer, keras.layers.BatchNormalization):
        node.kind = NORM
    elif isinstance(layer, _ACTIVATIONS):
        node.kind = ZERO
    elif type(layer).__name__ == "Add":
        node.kind = ADD
    elif not isinstance(layer, keras.layers.Layer):
        node.layer = None
        if type(layer).__name__ in _FUNCTIONS:
            at_zero = np.asarray(layer.call(keras.ops.zeros((1,))))
            node.kind = NONZERO if at_zero.any() else ZERO


def _functional(model: Any) -> Any:
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    # A subclassed model has no graph to rebuild.
    if not hasattr(model, "_run_through_graph"):
        raise MaskError(
            f"{model.name!r} is not a functional or sequential model with an input of known size, "
            "so there is no graph to put masks into; put ActivationMask layers (from "
            "tflite_sparse.training.keras) behind its activations, or build it with Input(...)"
        )
    return model


def _is_model(layer: Any) -> bool:
    return isinstance(layer, keras.Model)


def _rebuilt(functional: Any, call: Call) -> Any:
    return keras.models.clone_model(
        functional, clone_function=lambda layer: layer, call_function=call
    )


def _run(functional: Any, inputs: list[Any], call: Call) -> list[Any]:
    copy = keras.models.clone_model(
        functional,
        input_tensors=keras.tree.pack_sequence_as(functional.input, inputs),
        clone_function=lambda layer: layer,
        call_function=call,
    )
    return list(keras.tree.flatten(copy.outputs))


def _tensors(values: Any) -> list[Any]:
    return [v for v in keras.tree.flatten(values) if isinstance(v, keras.KerasTensor)]
