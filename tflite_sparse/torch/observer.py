"""Looking at activations where they arise.

Regularisers, meters and reports are clients of this one piece:

    record = record_forward(model, example_inputs)
    observer = ActivationObserver(choose_places(record, "all"), callback)
    ...; model(images)  # calls callback(place, activation, training) for each place
    observer.remove()
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from tflite_sparse.places import Node, Place
from tflite_sparse.torch.threshold import LearnableThresholdReLU, ThresholdReLU, rectified


class ActivationObserver:
    """Hands over the activation at each place, in every forward pass.

    ``callback(place, activation, training)`` is called as the model runs: the
    :class:`~tflite_sparse.places.Place`; its activation behind BatchNorm, activation and mask, as
    the next layer reads it: ``[N, C, H, W]``, or what a linear layer gives; and whether the module
    is in training mode. Activation functions (``F.relu``) are repeated on the module's output.
    The activation is part of the graph of gradients, in autocast's type; what the callback makes
    of it may be added to the loss. It must not be changed in place.

    Works under autocast, DistributedDataParallel and DataParallel (whose replicas call from
    their threads, each with its part of the batch). ``torch.compile`` compiles the callback with
    the model where it can; decorate it with ``torch.compiler.disable`` where it cannot. A layer
    that runs several times in a forward pass, with nothing behind it that runs once, is handed
    over in each run with its first place. A copy of the model is not observed.

    Args:
        places: what to observe; :func:`~tflite_sparse.places.choose_places` picks them from a
            record, which must be of this very model.
        callback: see above.
        unmasked: hand over what is there before a mask, and before a threshold.

    Raises:
        MaskError: a batch normalisation called as a function stands between a layer and its
            activation, or one that runs several times.
    """

    def __init__(
        self,
        places: Sequence[Place],
        callback: Callable[[Place, torch.Tensor, bool], object],
        *,
        unmasked: bool = False,
    ) -> None:
        anchors: dict[Any, tuple[Place, list[Node]]] = {}
        for place in places:
            node, following = place.anchor(exact=False, masked=not unmasked)
            anchors.setdefault(node.layer, (place, following))
        self._handles = [
            module.register_forward_hook(
                _Hook(place, following, callback, unmasked), prepend=unmasked
            )
            for module, (place, following) in anchors.items()
        ]

    def remove(self) -> None:
        """Observe no longer; the model is as before."""
        for handle in self._handles:
            handle.remove()
        self._handles = []


@contextlib.contextmanager
def unobserved(model: torch.nn.Module) -> Iterator[None]:
    """The model while no observer is called, for passes that are not the user's."""
    hooks = [hook for child in model.modules() for hook in child._forward_hooks.values()]
    active = [hook for hook in hooks if isinstance(hook, _Hook) and hook.is_active]
    for hook in active:
        hook.is_active = False
    try:
        yield
    finally:
        for hook in active:
            hook.is_active = True


class _Hook:
    def __init__(
        self,
        place: Place,
        following: Sequence[Node],
        callback: Callable[[Place, torch.Tensor, bool], object],
        before_threshold: bool,
    ) -> None:
        self._place = place
        self._before_threshold = before_threshold
        self._functions = [node.function for node in following if node.function is not None]
        # Where the model, or a function repeated here, overwrites what the callback reads.
        self._copies = any(node.in_place for node in (*following, *place.readers))
        self._callback = callback
        self.is_active = True

    def __call__(self, module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        if not self.is_active:
            return
        if self._before_threshold and isinstance(module, (ThresholdReLU, LearnableThresholdReLU)):
            output = rectified(inputs[0], module.max_value)
        value = output.clone() if self._copies else output
        for function in self._functions:
            value = function(value)
        self._callback(self._place, value, module.training)

    def __deepcopy__(self, memo: Any) -> Callable[..., None]:
        return _ignore


def _ignore(*_: object) -> None:
    """The hook of a copy, which nobody observes."""
