"""Looking at activations where they arise.

Regularisers, meters and reports are clients of this one piece:

    record = record_forward(model, example_inputs)
    observer = ActivationObserver(choose_places(record, "all"), callback)
    ...; model.fit(images, ...)  # calls callback(place, activation, training) for each place
    observer.remove()
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tflite_sparse.keras.threshold import LearnableThresholdReLU, ThresholdReLU, rectified
from tflite_sparse.places import Place


class ActivationObserver:
    """Hands over the activation at each place, in every forward pass.

    ``callback(place, activation, training)`` is called as the model runs: the
    :class:`~tflite_sparse.places.Place`; its activation behind BatchNormalization and activation,
    ``[N, H, W, C]``, or what a Dense layer gives; and whether the model is in training.
    Activation functions (``keras.ops.relu``) are repeated on the layer's output. In ``fit`` and
    ``predict`` the callback runs while TensorFlow traces the step, on symbolic values: it makes
    operations that then run in every step, such as ``variable.assign_add(...)``, or
    ``place.module.add_loss(...)`` for a term of the loss.

    Observe before the model is compiled, or compile it again: a step that was traced before stays
    as it was; the same after :meth:`remove`. A layer that runs several times in a forward pass,
    with nothing behind it that runs once, is handed over in each run with its first place.

    Args:
        places: what to observe; :func:`~tflite_sparse.places.choose_places` picks them from a
            record, which must be of this very model or share its layers.
        callback: see above.
        unmasked: hand over what is there before an ActivationMask layer and before a threshold;
            else what is behind them, if the record is of a model with such layers.

    Raises:
        MaskError: a layer's activation runs several times behind a normalisation that does too.
    """

    def __init__(
        self,
        places: Sequence[Place],
        callback: Callable[[Place, Any, bool], object],
        *,
        unmasked: bool = False,
    ) -> None:
        self._added: list[tuple[_Observed, _Callback]] = []
        seen: set[int] = set()
        for place in places:
            node, following = place.anchor(exact=False, masked=not unmasked)
            if id(node.layer) not in seen:
                seen.add(id(node.layer))
                observed = _observed(node.layer)
                functions = [n.function for n in following if n.function is not None]
                observed.callbacks.append(_callback(place, functions, callback, unmasked))
                self._added.append((observed, observed.callbacks[-1]))

    def remove(self) -> None:
        """Observe no longer; the model is as before."""
        for observed, callback in self._added:
            observed.callbacks.remove(callback)
            if not observed.callbacks:
                object.__delattr__(observed.layer, "call")
        self._added = []


@contextlib.contextmanager
def unobserved(model: Any) -> Iterator[None]:
    """The model while no observer is called, for passes that are not the user's."""
    calls = [vars(layer).get("call") for layer in model._flatten_layers()]
    active = [call for call in calls if isinstance(call, _Observed) and call.is_active]
    for call in active:
        call.is_active = False
    try:
        yield
    finally:
        for call in active:
            call.is_active = True


_Callback = Callable[[Any, Any, bool], object]


def _callback(
    place: Place,
    functions: Sequence[Callable[[Any], Any]],
    callback: Callable[[Place, Any, bool], object],
    before_threshold: bool,
) -> _Callback:
    def run(given: Any, value: Any, training: bool) -> None:
        layer = place.module
        if before_threshold and isinstance(layer, (ThresholdReLU, LearnableThresholdReLU)):
            value = rectified(given, layer.max_value)
        for function in functions:
            value = function(value)
        callback(place, value, training)

    return run


class _Observed:
    """The call of a layer, whose output goes to callbacks too."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.callbacks: list[_Callback] = []
        self.is_active = True
        self._call = layer.call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        output = self._call(*args, **kwargs)
        for callback in self.callbacks if self.is_active else ():
            callback(
                args[0] if args else None, output, bool(self.layer._get_call_context().training)
            )
        return output


def _observed(layer: Any) -> _Observed:
    call = vars(layer).get("call")
    if not isinstance(call, _Observed):
        call = _Observed(layer)
        # Around Keras's own attribute tracking, so that nothing of it is saved.
        object.__setattr__(layer, "call", call)
    return call
