"""Zero weights in a Keras model in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tflite_sparse.errors import OptionError
from tflite_sparse.training.patterns import chosen
from tflite_sparse.training.pruning import Masks, Pruner, Weights


class WeightPruner(Pruner):
    """Prunes the smallest weights of a model, and keeps them zero while training goes on.

    The penalty ``weight * sum |w|`` is a regulariser of the kernels: in ``fit`` it is part of the
    loss by itself. Call :meth:`step` after each training step, for example in a callback:

        pruner = WeightPruner(model, weight=1e-5)
        step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: pruner.step())
        model.compile(...); model.fit(..., callbacks=[step])

    Args:
        model: the model, built.
        layers: one or several shell patterns of names of layers with a kernel.
        weight: of the penalty, at least 0.

    Raises:
        OptionError: a weight out of its range, or a pattern that matches nothing.
    """

    def __init__(self, model: Any, layers: str | Sequence[str] = "*", *, weight: float = 0.0):
        super().__init__()
        kernels = {
            layer.name: layer.kernel
            for layer in model._flatten_layers()
            if getattr(layer, "kernel", None) is not None
        }
        self._weights = {name: kernels[name] for name in chosen(list(kernels), layers)}
        self._scale = keras.Variable(0.0, trainable=False, dtype="float32")
        self.use(weight)
        for kernel in self._weights.values():
            kernel.regularizer = _Both(kernel.regularizer, self._scale)

    def use(self, weight: float) -> None:
        """Change the weight of the penalty ``sum |w|``, in a running fit too.

        Raises:
            OptionError: negative or not finite.
        """
        if not (math.isfinite(weight) and weight >= 0):
            raise OptionError(f"expected a weight that is finite and at least 0, found {weight}")
        self._scale.assign(weight)

    def _read(self) -> Weights:
        return {name: np.asarray(kernel) for name, kernel in self._weights.items()}

    def _write(self, masks: Masks) -> None:
        for name, mask in masks.items():
            kernel = self._weights[name]
            kernel.assign(ops.multiply(kernel, ops.cast(mask, kernel.dtype)))


class _Both:
    """The regulariser that a kernel has, and L1 of a weight that may change."""

    def __init__(self, own: Any, scale: Any) -> None:
        self._own = own
        self._scale = scale

    def __call__(self, kernel: Any) -> Any:
        l1 = self._scale * ops.cast(ops.sum(ops.abs(kernel)), "float32")
        return l1 if self._own is None else l1 + self._own(kernel)
