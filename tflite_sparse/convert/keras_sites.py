"""Where in a Keras model the masks go, and running it with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflite_sparse.convert.data import check_keeps_some
from tflite_sparse.convert.reference import Array
from tflite_sparse.convert.resolve import check_size, only_call
from tflite_sparse.errors import MaskError
from tflite_sparse.masks.mask_set import Mask, MaskSet

MARKER = "tflite_sparse_mask_"
# What may stand between a convolution and its mask.
_FOLLOWING = (
    "BatchNormalization",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "Dropout",
    "SpatialDropout2D",
)


@dataclass
class Site:
    """A layer whose result is masked: under ``name`` in the file, by a copy of ``mask``."""

    name: str
    layer: Any
    mask: Mask
    in_model: bool


def find_sites(model: Any, masks: MaskSet | None, inputs: Sequence[Array]) -> list[Site]:
    """The places of a model's own masks and of those given by name.

    Raises:
        MaskError: an unknown or ambiguous layer, a mask of another size, two masks for one layer.
    """
    from tflite_sparse.convert.keras_layer import ActivationMask

    layers = [layer for layer in model._flatten_layers() if layer is not model]
    calls = _record_calls(model, layers, inputs)
    sites = [
        Site(layer.name, layer, np.asarray(layer.mask) != 0, in_model=True)
        for layer in layers
        if isinstance(layer, ActivationMask)
    ]
    for name, mask in [] if masks is None else masks.items():
        call = calls[only_call(name, calls, repr(model.name))]
        last = _after_activation(call, calls)
        check_size(name, mask, last, last.shape[1:3], repr(model.name))
        other = next((site for site in sites if site.layer is last.layer), None)
        if other is not None:
            raise MaskError(
                f"two masks for one layer of {model.name!r}: {other.name!r} and {name!r} both "
                f"mask the output of {last.layer.name!r}; give it one"
            )
        sites.append(Site(name, last.layer, mask, in_model=False))
    for site in sites:
        check_keeps_some(site.name, site.mask)
    return [site for site in sites if site.in_model or not site.mask.all()]


@dataclass
class _Call:
    """One call of a layer while the model ran."""

    layer: Any
    inputs: list[Any]
    output: Any

    @property
    def names(self) -> tuple[str, ...]:
        return self.layer.name, self.layer.path

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.output.shape)


def _record_calls(model: Any, layers: Sequence[Any], inputs: Sequence[Array]) -> list[_Call]:
    calls: list[_Call] = []

    def recorded(layer: Any, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            if hasattr(output, "shape"):
                calls.append(_Call(layer, flat(args, arrays=False), output))
            return output

        return run

    with _replaced_calls({layer: recorded(layer, layer.call) for layer in layers}):
        model(as_given(inputs), training=False)
    return calls


def _after_activation(call: _Call, calls: Sequence[_Call]) -> _Call:
    """The last of the BatchNormalization and activation layers that alone read this result."""
    while True:
        readers = [other for other in calls if any(value is call.output for value in other.inputs)]
        # A nested model is a reader too, of what its own first layer reads.
        readers = [other for other in readers if not hasattr(other.layer, "layers")]
        if len(readers) != 1 or type(readers[0].layer).__name__ not in _FOLLOWING:
            return call
        if _is_normalisation_behind_activation(call, readers[0]):
            return call
        if sum(other.layer is readers[0].layer for other in calls) > 1:
            raise MaskError(
                f"the activation layer {readers[0].layer.name!r} behind {call.layer.name!r} is used "
                "more than once, so its results cannot be masked apart; give each convolution a "
                "layer of its own, or put an ActivationMask layer where the mask belongs"
            )
        call = readers[0]


def _is_normalisation_behind_activation(call: _Call, reader: _Call) -> bool:
    # A BatchNormalization there folds into what follows, so the mask must stand before it.
    activation = getattr(getattr(call.layer, "activation", None), "__name__", "linear")
    return type(reader.layer).__name__ == "BatchNormalization" and (
        activation != "linear" or type(call.layer).__name__ in _FOLLOWING[1:]
    )


@contextlib.contextmanager
def masked_calls(sites: Sequence[Site]) -> Iterator[None]:
    """The model with every mask in place, each under a name scope that the file will show."""
    import keras

    from tflite_sparse.convert.keras_layer import masked

    def with_mask(index: int, site: Site, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            value = call(*args, **kwargs) if not site.in_model else args[0]
            with keras.name_scope(f"{MARKER}{index}"):
                return masked(value, site.mask.astype(np.float32))

        return run

    with _replaced_calls(
        {site.layer: with_mask(i, site, site.layer.call) for i, site in enumerate(sites)}
    ):
        yield


@contextlib.contextmanager
def _replaced_calls(calls: Mapping[Any, Any]) -> Iterator[None]:
    # Around Keras's own attribute tracking, so that the model is afterwards as it was.
    for layer, call in calls.items():
        object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        for layer in calls:
            object.__delattr__(layer, "call")


def as_given(inputs: Sequence[Array]) -> Any:
    """Inputs in the form that a model is called with."""
    return inputs[0] if len(inputs) == 1 else list(inputs)


def flat(value: Any, arrays: bool = True) -> list[Any]:
    """The leaves of a structure, as numpy arrays or as they are."""
    import keras

    leaves = keras.tree.flatten(value)
    return [np.asarray(leaf) for leaf in leaves] if arrays else leaves
