"""Zero weights in a PyTorch model in training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from tflite_sparse.errors import OptionError
from tflite_sparse.torch.record import unwrapped
from tflite_sparse.training.patterns import chosen
from tflite_sparse.training.pruning import Masks, Pruner, Weights

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)


class WeightPruner(Pruner):
    """Prunes the smallest weights of a model, and keeps them zero while training goes on.

        pruner = WeightPruner(model, weight=1e-5)          # L1 on the weights
        loss = criterion(model(images), labels) + pruner.loss()
        loss.backward(); optimizer.step(); pruner.step()
        pruner.prune(0.6)                                  # later, once

    The weights themselves become zero, so the model's state_dict has them and nothing has to be
    removed before conversion. In DistributedDataParallel each process makes one.

    Args:
        model: the model, or its ``torch.compile`` or DistributedDataParallel wrapper.
        layers: one or several shell patterns of names of Conv and Linear modules.
        weight: of the penalty ``sum |w|``, at least 0.

    Raises:
        OptionError: a weight out of its range, or a pattern that matches nothing.
    """

    def __init__(
        self, model: nn.Module, layers: str | Sequence[str] = "*", *, weight: float = 0.0
    ) -> None:
        super().__init__()
        modules = {
            name: module
            for name, module in unwrapped(model).named_modules()
            if isinstance(module, _LAYERS)
        }
        self._weights = {name: modules[name].weight for name in chosen(list(modules), layers)}
        self.use(weight)

    def use(self, weight: float) -> None:
        """Change the weight of the penalty ``sum |w|``.

        Raises:
            OptionError: negative or not finite.
        """
        if not (math.isfinite(weight) and weight >= 0):
            raise OptionError(f"expected a weight that is finite and at least 0, found {weight}")
        self._weight = weight

    def loss(self) -> torch.Tensor:
        """The penalty on the weights as they are, a scalar to be added to the task's loss."""
        if not self._weight:
            return torch.zeros((), device=next(iter(self._weights.values())).device)
        sums = [values.abs().sum() for values in self._weights.values()]
        return self._weight * torch.stack(sums).sum()

    def _read(self) -> Weights:
        return {name: w.detach().float().cpu().numpy() for name, w in self._weights.items()}

    def _write(self, masks: Masks) -> None:
        with torch.no_grad():
            for name, mask in masks.items():
                weights = self._weights[name]
                weights.mul_(torch.from_numpy(mask).to(weights.device))
