"""Thresholds in the place of a Keras model's ReLUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tflite_sparse.errors import OptionError
from tflite_sparse.keras.mask import functional
from tflite_sparse.keras.relus import find_relus
from tflite_sparse.keras.threshold import LearnableThresholdReLU, ThresholdReLU
from tflite_sparse.places import Node, Place
from tflite_sparse.training.patterns import by_pattern
from tflite_sparse.training.threshold_search import EXPONENTS, ThresholdSearch, search

_THRESHOLDS = (ThresholdReLU, LearnableThresholdReLU)


def set_thresholds(
    model: Any,
    t: float | Mapping[str, float],
    *,
    learnable: bool = False,
    beta: float = 100.0,
) -> Any:
    """A model whose ReLUs have thresholds; or other ones for a model that has them already.

    ReLU layers and functions become :class:`ThresholdReLU` layers, which keep the layers' names;
    behind a layer with ``activation="relu"`` stands one named ``<layer>_threshold``. All other
    layers are those of ``model``, so the weights are shared. A model that has threshold layers is
    changed in place, in a running ``fit`` too.

        model = set_thresholds(model, 0.0)   # ReLUs still; now set_thresholds changes it in place
        model.compile(...)

    Args:
        model: functional or sequential, built; or of any kind with threshold layers of its own.
        t: the threshold of all, at least 0, where 0 is a ReLU; or ``{name or shell pattern of a
            ReLU: t}``, where the first match counts and ReLUs that none matches stay.
        learnable: whether thresholds are to be learned: :class:`LearnableThresholdReLU`.
        beta: of learnable ones, the steepness.

    Returns:
        The model with thresholds; ``model`` itself if it has some.

    Raises:
        OptionError: a threshold out of its range, a pattern that matches nothing, or a model
            without ReLUs.
        MaskError: the model is neither functional nor sequential.
        ConversionError: the model has no input of a known size.
    """
    own = {layer.name: layer for layer in model._flatten_layers() if isinstance(layer, _THRESHOLDS)}
    if own:
        wanted = by_pattern(t, list(own), "thresholds")
        for name, value in wanted.items():
            own[name].set_threshold(value)
        return model
    places = {place.name: place for place in find_relus(model)}
    wanted = by_pattern(t, list(places), "thresholds")
    if isinstance(t, Mapping):
        # The others can be changed later.
        wanted = {**dict.fromkeys(places, 0.0), **wanted}
    made = {
        id(_relu(places[name])): _made(places[name], value, learnable, beta)
        for name, value in wanted.items()
    }
    return _rebuilt(model, made)


def thresholds_of(model: Any) -> dict[str, float]:
    """The thresholds in force, by the name of their layer; of learnable ones the mean."""
    return {
        layer.name: layer.threshold
        for layer in model._flatten_layers()
        if isinstance(layer, _THRESHOLDS)
    }


def search_thresholds(
    model: Any,
    loss: Callable[[], float],
    budget: float,
    *,
    exponents: Sequence[int] = EXPONENTS,
    per_layer: bool = False,
) -> ThresholdSearch:
    """Find, without training, the largest thresholds of 2^n within a budget, and set them.

    First one for all ReLUs; then, with ``per_layer``, each is raised as far as the budget goes.

        model = set_thresholds(model, 0.0)
        search_thresholds(model, lambda: 1 - accuracy(model), budget=0.002)

    Args:
        model: with thresholds, from :func:`set_thresholds`.
        loss: evaluates the model as it now is, on held-out data; lower is better.
        budget: by how much the loss may rise, at least 0.
        exponents: the n to try, rising.
        per_layer: whether layers may differ.

    Raises:
        OptionError: a model without thresholds, a negative budget, or a loss that is not finite.
    """
    names = list(thresholds_of(model))
    if not names:
        raise OptionError(
            f"{model.name!r} has no thresholds to search for; make them with "
            "model = set_thresholds(model, 0.0)"
        )
    return search(
        names,
        lambda thresholds: set_thresholds(model, thresholds),
        loss,
        budget,
        exponents=exponents,
        per_layer=per_layer,
    )


def _relu(place: Place) -> Any:
    """The layer or operation that is the ReLU, or applies it."""
    node = _node(place)
    return node.layer if node.layer is not None else node.function.__self__  # type: ignore[union-attr]


def _node(place: Place) -> Node:
    node = place.activation
    assert node is not None
    return node


def _made(place: Place, t: float, learnable: bool, beta: float) -> tuple[Any, bool]:
    """The layer with the threshold, and whether it comes after the ReLU and not in its place."""
    node = _node(place)
    end = 6.0 if "relu6" in (node.operation, node.fused) else getattr(node.layer, "max_value", None)
    name = f"{place.name}_threshold" if node.fused or node.layer is None else node.name
    if learnable:
        return LearnableThresholdReLU(t, beta, max_value=end, name=name), bool(node.fused)
    return ThresholdReLU(t, end, name=name), bool(node.fused)


def _rebuilt(model: Any, made: Mapping[int, tuple[Any, bool]]) -> Any:
    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, keras.Model):
            return rebuilt(layer)(*args, **kwargs)
        if id(layer) not in made:
            return layer(*args, **kwargs)
        threshold, comes_after = made[id(layer)]
        return threshold(layer(*args, **kwargs) if comes_after else args[0])

    def rebuilt(part: Any) -> Any:
        return keras.models.clone_model(
            functional(part), clone_function=lambda layer: layer, call_function=call
        )

    return rebuilt(model)
