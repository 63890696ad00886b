"""What the activation regularisers of PyTorch and Keras share: penalty, weights, their change."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Union

from tflite_sparse.errors import OptionError
from tflite_sparse.training.patterns import by_pattern
from tflite_sparse.training.penalties import Penalty, make_penalty

MEANS = ("batch", "elements")

#: By name, with its parameters, or a function of activations [N, elements] that returns [N].
AnyPenalty = Union[str, Penalty, Callable[[Any], Any]]


class Regularizer(abc.ABC):
    """The penalty on the activations of one network, with a weight for each layer."""

    def _start(
        self,
        names: Sequence[str],
        penalty: AnyPenalty,
        weight: float | Mapping[str, float],
        mean: str,
    ) -> None:
        if mean not in MEANS:
            raise OptionError(f"unknown mean={mean!r}; expected one of {MEANS}")
        self._names = list(names)
        self._mean = mean
        self._penalty = checked_penalty(penalty)
        self._weights = self._checked(weight)

    @property
    def penalty(self) -> Penalty | Callable[[Any], Any]:
        """The penalty in force; :meth:`use` changes it."""
        return self._penalty

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each layer's penalty; :meth:`use` changes them."""
        return dict(self._weights)

    def use(
        self, penalty: AnyPenalty | None = None, weight: float | Mapping[str, float] | None = None
    ) -> None:
        """Change penalty, weights or both, from the next forward pass on.

        Raises:
            OptionError: as the constructor.
        """
        kind = self._penalty if penalty is None else checked_penalty(penalty)
        weights = self._weights if weight is None else self._checked(weight)
        self._penalty, self._weights = kind, weights

    @abc.abstractmethod
    def loss(self) -> Any:
        """The penalty of the last forward pass in training, a scalar."""

    @abc.abstractmethod
    def remove(self) -> None:
        """Take the regulariser off the model."""

    def _checked(self, weight: float | Mapping[str, float]) -> dict[str, float]:
        weights = by_pattern(weight, self._names, "weights")
        for name, value in weights.items():
            if not 0 <= value < float("inf"):
                raise OptionError(
                    f"expected a weight that is finite and at least 0, found {value} for {name!r}"
                )
        return weights


def checked_penalty(penalty: AnyPenalty) -> Penalty | Callable[[Any], Any]:
    """The penalty of a name, or ``penalty`` itself."""
    if isinstance(penalty, str):
        return make_penalty(penalty)
    if not callable(penalty):
        raise OptionError(
            f"expected a penalty's name, a penalty, or a function of activations; found {penalty!r}"
        )
    return penalty
