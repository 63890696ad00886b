"""Penalties on the activations of a PyTorch model in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from tflite_sparse.errors import OptionError
from tflite_sparse.places import Place
from tflite_sparse.torch.mask import mask_at
from tflite_sparse.torch.observer import ActivationObserver
from tflite_sparse.torch.record import unwrapped
from tflite_sparse.torch.relus import find_relus
from tflite_sparse.training.penalties import Penalty
from tflite_sparse.training.regularizer import AnyPenalty, Regularizer


class ActivationRegularizer(Regularizer):
    """Adds a penalty on the results of ReLUs to a training's loss, so that more of them are zero.

        regularizer = ActivationRegularizer(model, "transformed_l1", weight=1e-5)
        for images, labels in batches:
            loss = criterion(model(images), labels) + regularizer.loss()
            loss.backward(); ...

    The loss is the sum over ReLUs of ``weight * R(activations)``. R is a sum over the elements
    of a sample, the mean over the batch, in at least single precision. Activations are taken
    before a threshold, and without the pixels that a mask removes. Gradients flow through the
    activations only.

    Works under autocast, ``torch.compile`` (which also makes it cheap; make the regulariser
    before the compiled model first runs), DistributedDataParallel (each process adds the loss of
    its own batch) and gradient accumulation (add :meth:`loss` after each forward pass). Forward
    passes in evaluation mode or without gradients cost nothing.

    Args:
        model: the model, or its ``torch.compile`` or DistributedDataParallel wrapper.
        penalty: a name of :data:`tflite_sparse.training.penalties.PENALTIES`, a penalty with
            parameters of its own, such as ``Lp(0.01)``, or a function of a tensor
            ``[N, elements]`` that returns ``[N]``.
        weight: a number, at least 0; or ``{name or shell pattern of a ReLU: number}``, where the
            first match counts and ReLUs that none matches are left alone.
        mean: ``"batch"``; ``"elements"`` divides by the number of a sample's elements as well
            (those that a mask keeps), as some papers do, so that a weight means the same for
            layers of any size.
        example_inputs: what the model is called with once, so that ReLUs called as functions
            are seen; those are named by the module before them. None sees modules only.

    Raises:
        OptionError: an unknown penalty or option, a weight out of its range, a name that matches
            nothing, or a model without ReLUs.
        MaskError: the model does not run on ``example_inputs``.
    """

    def __init__(
        self,
        model: nn.Module,
        penalty: AnyPenalty = "transformed_l1",
        weight: float | Mapping[str, float] = 1e-5,
        *,
        mean: str = "batch",
        example_inputs: Sequence[torch.Tensor] | None = None,
    ) -> None:
        plain = unwrapped(model)
        places = find_relus(plain, example_inputs)
        self._start([place.name for place in places], penalty, weight, mean)
        self._values: dict[str, torch.Tensor] = {}
        self._seen = False
        self._begins = plain.register_forward_pre_hook(self._begin)
        self._observer = ActivationObserver(places, self._observe, unmasked=True)

    def loss(self) -> torch.Tensor:
        """The penalty of the last forward pass, a scalar to be added to the task's loss.

        Raises:
            OptionError: the model has not run in training mode, with gradients, since the
                regulariser was made.
        """
        if not self._seen:
            raise OptionError(
                "no forward pass has been seen since the regulariser was made or removed; call "
                "the model in training mode, with gradients, before loss()"
            )
        terms = [self._weights[name] * value for name, value in self._values.items()]
        return torch.stack(terms).sum() if terms else torch.zeros(())

    def remove(self) -> None:
        """Take the regulariser off the model, which then is as before."""
        self._begins.remove()
        self._observer.remove()
        self._values = {}
        self._seen = False

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        if module.training and torch.is_grad_enabled():
            self._values = {}
            self._seen = True

    def _observe(self, place: Place, activation: torch.Tensor, training: bool) -> None:
        if not training or not torch.is_grad_enabled() or not self._weights.get(place.name):
            return
        values = activation
        if values.dtype not in (torch.float32, torch.float64):
            values = values.float()
        elements = values[0].numel()
        kept = mask_at(place)
        if kept is not None:
            values = torch.where(kept, values, 0.0)
            elements = values.shape[1] * kept.sum()
        flat = values.flatten(1)
        penalty = self._penalty
        result = penalty(flat, torch) if isinstance(penalty, Penalty) else penalty(flat)
        result = result.mean() / elements if self._mean == "elements" else result.mean()
        # A module that runs several times counts as often.
        known = self._values.get(place.name)
        self._values[place.name] = result if known is None else known + result
