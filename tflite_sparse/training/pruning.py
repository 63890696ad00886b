"""Which weights of a network are pruned, in whatever framework."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import OptionError

Weights = Mapping[str, npt.NDArray[Any]]
Masks = dict[str, npt.NDArray[np.bool_]]


def keep_largest(weights: Weights, sparsity: float) -> Masks:
    """True for the weights to keep: all layers' together, those of the largest magnitude.

    Exactly ``round(sparsity * number of weights)`` are pruned; of equal ones the first.

    Raises:
        OptionError: a sparsity outside [0, 1).
    """
    if not 0 <= sparsity < 1:
        raise OptionError(f"expected a sparsity of weights in [0, 1), found {sparsity}")
    sizes = np.concatenate([np.abs(values).ravel() for values in weights.values()])
    kept = np.ones(sizes.size, np.bool_)
    kept[np.argsort(sizes, kind="stable")[: round(sparsity * sizes.size)]] = False
    ends = np.cumsum([values.size for values in weights.values()])[:-1]
    parts = np.split(kept, ends)
    return {name: part.reshape(weights[name].shape) for name, part in zip(weights, parts)}


class Pruner(abc.ABC):
    """Prunes the weights of one network and keeps the pruned ones at zero in training.

    PyTorch and Keras have subclasses named WeightPruner.
    """

    def __init__(self) -> None:
        self._masks: Masks = {}

    @property
    def sparsity(self) -> float:
        """The share of weights that is pruned."""
        sizes = [mask.size for mask in self._masks.values()]
        kept = [int(mask.sum()) for mask in self._masks.values()]
        return 1 - sum(kept) / sum(sizes) if sizes else 0.0

    def prune(self, sparsity: float) -> None:
        """Set the smallest weights to zero, now and after each :meth:`step`.

        Raises:
            OptionError: a sparsity outside [0, 1).
        """
        self._masks = keep_largest(self._read(), sparsity)
        self._write(self._masks)

    def step(self) -> None:
        """A training step is done: pruned weights are zero again."""
        if self._masks:
            self._write(self._masks)

    @abc.abstractmethod
    def use(self, weight: float) -> None:
        """Change the weight of the penalty ``sum |w|``, at least 0."""

    def state_dict(self) -> dict[str, Any]:
        """The pruned weights, in plain types."""
        return {name: np.packbits(mask).tobytes().hex() for name, mask in self._masks.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The opposite of :meth:`state_dict`.

        Raises:
            OptionError: it is of a network with other weights.
        """
        weights = self._read() if state else {}
        if state.keys() != weights.keys():
            odd = sorted(state.keys() ^ weights.keys())[0]
            raise OptionError(f"the state is of a network with other weights: {odd!r}")
        masks = {}
        for name, values in weights.items():
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(state[name]), np.uint8))
            if len(bits) != -(-values.size // 8) * 8:
                raise OptionError(
                    f"the state is of a network with other weights: {name!r} has another size"
                )
            masks[name] = bits[: values.size].reshape(values.shape).astype(np.bool_)
        self._masks = masks
        self.step()

    @abc.abstractmethod
    def _read(self) -> Weights:
        """The weights that may be pruned, by name."""

    @abc.abstractmethod
    def _write(self, masks: Masks) -> None:
        """Multiply the weights by these masks, in place."""
