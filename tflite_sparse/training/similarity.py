"""How far a training has moved a network's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import OptionError


@dataclass(frozen=True)
class Similarity:
    """How two vectors of weights compare.

    Attributes:
        distance: Euclidean, the norm of their difference.
        cosine: of the angle between them, in [-1, 1]; NaN where one of them is zero.
    """

    distance: float
    cosine: float


def compare_weights(
    first: Mapping[str, npt.ArrayLike], second: Mapping[str, npt.ArrayLike]
) -> dict[str, Similarity]:
    """Distance and cosine similarity of two networks' weights, by name, and of all under ``""``.

        compare_weights(dict(before.named_parameters()), dict(after.named_parameters()))
        compare_weights(*({v.path: v for v in m.trainable_variables} for m in (before, after)))

    Args:
        first: ``{name: weights}``, arrays or tensors of either framework.
        second: the same of a network of the same architecture.

    Raises:
        OptionError: other names or shapes, or none at all.
    """
    if first.keys() != second.keys() or not first:
        odd = sorted(first.keys() ^ second.keys()) or ["no weights"]
        raise OptionError(f"expected the weights of two networks alike; only one has {odd[0]!r}")
    vectors = {name: (_vector(first[name]), _vector(second[name])) for name in first}
    for name, (one, other) in vectors.items():
        if one.shape != other.shape:
            raise OptionError(f"the weights {name!r} have {one.size} and {other.size} elements")
    both = [np.concatenate(parts) for parts in zip(*vectors.values())]
    return {
        "": _similarity(both[0], both[1]),
        **{name: _similarity(*pair) for name, pair in vectors.items()},
    }


def _vector(weights: Any) -> npt.NDArray[np.float64]:
    if hasattr(weights, "detach"):
        weights = weights.detach().cpu()
    return np.asarray(weights, np.float64).ravel()


def _similarity(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Similarity:
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    cosine = float(one @ other) / norms if norms else float("nan")
    return Similarity(float(np.linalg.norm(one - other)), cosine)
