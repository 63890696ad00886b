"""Penalties on the activations of a Keras model in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from tflite_sparse.errors import OptionError
from tflite_sparse.keras.observer import ActivationObserver
from tflite_sparse.keras.relus import find_relus
from tflite_sparse.places import Place
from tflite_sparse.training.penalties import Penalty
from tflite_sparse.training.regularizer import AnyPenalty, Regularizer


class ActivationRegularizer(Regularizer):
    """Adds a penalty on the results of ReLUs to a training's loss, so that more of them are zero.

        regularizer = ActivationRegularizer(model, "transformed_l1", weight=1e-5)
        model.compile(...); model.fit(...)

    In ``fit`` the penalty is part of the loss by itself: it is in ``model.losses``. In a training
    loop of your own add ``sum(model.losses)``, or :meth:`loss`, which is this regulariser's part.

    The loss is the sum over ReLUs of ``weight * R(activations)``. R is a sum over the elements
    of a sample, the mean over the batch, in at least single precision. Activations are taken
    before a threshold, and without the pixels that a mask removes. Gradients flow through the
    activations only. Outside of training it costs nothing.

    Args:
        model: the model that is trained, with its masks and thresholds; built, of fixed input
            size. Compile it afterwards.
        penalty: a name of :data:`tflite_sparse.training.penalties.PENALTIES`, a penalty with
            parameters of its own, such as ``Lp(0.01)``, or a function of a tensor
            ``[N, elements]`` that returns ``[N]``.
        weight: a number, at least 0; or ``{name or shell pattern of a ReLU: number}``, where the
            first match counts and ReLUs that none matches are left alone. A ReLU that is an
            activation of a layer, or a function, has that layer's name.
        mean: ``"batch"``; ``"elements"`` divides by the number of a sample's elements as well
            (those that a mask keeps), as some papers do, so that a weight means the same for
            layers of any size.

    Raises:
        OptionError: an unknown penalty or option, a weight out of its range, a name that matches
            nothing, or a model without ReLUs.
        ConversionError: the model has no input of a known size.
    """

    def __init__(
        self,
        model: Any,
        penalty: AnyPenalty = "transformed_l1",
        weight: float | Mapping[str, float] = 1e-5,
        *,
        mean: str = "batch",
    ) -> None:
        places = find_relus(model)
        self._model = model
        # Variables, so that a compiled training step sees them change.
        self._scales = {
            place.name: keras.Variable(0.0, trainable=False, dtype="float32") for place in places
        }
        self._start([place.name for place in places], penalty, weight, mean)
        self._values: dict[str, Any] = {}
        self._assign()
        self._observer = ActivationObserver(places, self._observe, unmasked=True)

    def use(
        self, penalty: AnyPenalty | None = None, weight: float | Mapping[str, float] | None = None
    ) -> None:
        """Change penalty, weights or both, from the next training step on, in a running fit too.

        Raises:
            OptionError: as the constructor.
        """
        before = self._penalty
        super().use(penalty, weight)
        self._assign()
        if self._penalty != before and getattr(self._model, "train_function", None) is not None:
            self._model.make_train_function(force=True)

    def loss(self) -> Any:
        """The penalty of the last call of the model in training, a scalar.

        Raises:
            OptionError: the model has not been called with ``training=True`` since the
                regulariser was made.
        """
        if not self._values:
            raise OptionError(
                "no call of the model in training has been seen since the regulariser was made or "
                "removed; call it with training=True before loss()"
            )
        return sum(self._values.values())

    def remove(self) -> None:
        """Take the regulariser off the model, which then is as before; compile it again."""
        self._observer.remove()
        self._values = {}

    def _assign(self) -> None:
        for name, scale in self._scales.items():
            scale.assign(self._weights.get(name, 0.0))

    def _observe(self, place: Place, activation: Any, training: bool) -> None:
        if not training or place.name not in self._weights:
            return
        values = activation
        if keras.backend.standardize_dtype(values.dtype) not in ("float32", "float64"):
            values = ops.cast(values, "float32")
        elements = ops.prod(ops.shape(values)[1:])
        if place.mask is not None:
            kept = ops.cast(place.mask.layer.mask, values.dtype)[None, :, :, None]
            values = values * kept
            elements = ops.sum(kept) * values.shape[-1]
        flat = ops.reshape(values, (ops.shape(values)[0], -1))
        penalty = self._penalty
        result = ops.mean(penalty(flat, ops) if isinstance(penalty, Penalty) else penalty(flat))
        if self._mean == "elements":
            result = result / ops.cast(elements, result.dtype)
        term = result * ops.cast(self._scales[place.name], result.dtype)
        self._values[place.name] = term
        place.module.add_loss(term)
