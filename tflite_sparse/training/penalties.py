"""Penalties whose descent makes activations zero, each written once for all frameworks.

A penalty is called with activations ``[N, elements]``, in float32 or float64, and the
namespace that computes on them: ``torch`` or ``keras.ops``. It returns one value per sample,
``[N]``. All are 0 where every element is 0, and all have a finite gradient there: 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tflite_sparse.errors import OptionError


@dataclass(frozen=True)
class Penalty:
    """What the penalties have in common: a name, and parameters that are the fields."""

    def __call__(self, x: Any, ops: Any) -> Any:
        """The penalty of each sample, ``[N]``, of activations ``[N, elements]``."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """The name in :data:`PENALTIES`."""
        return next(name for name, kind in PENALTIES.items() if kind is type(self))

    def state(self) -> dict[str, Any]:
        """Name and parameters, as :func:`make_penalty` takes them."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class L1(Penalty):
    """``sum |x|``.

    Source: Georgiadis, "Accelerating Convolutional Neural Networks via Activation Map
    Compression", CVPR 2019.
    """

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        return ops.sum(ops.abs(x), axis=1)


@dataclass(frozen=True)
class L2(Penalty):
    """``sqrt(sum x^2)``, the Euclidean norm of a sample: it makes activations small, not zero."""

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        return _root(ops.sum(ops.square(x), axis=1), ops)


@dataclass(frozen=True)
class Lp(Penalty):
    """``sum |x|^p``, for 0 < p <= 1 (the bridge penalty; p towards 0 counts nonzero elements).

    Its slope has no bound towards 0; at 0 itself it is taken as 0, so that zeros stay.

    Args:
        p: the exponent.

    Source: Frank, Friedman, "A Statistical View of Some Chemometrics Regression Tools",
    Technometrics 1993.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise OptionError(f"expected 0 < p <= 1 for the penalty lp, found {self.p}")

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        size = ops.abs(x)
        # Selected before the power: an infinite slope times 0 would be NaN.
        powers = ops.where(size > 0, size, 1.0) ** self.p
        return ops.sum(ops.where(size > 0, powers, 0.0), axis=1)


@dataclass(frozen=True)
class Hoyer(Penalty):
    """``sum |x| / sqrt(sum x^2)``: between 1 (one nonzero element) and sqrt(elements).

    It does not depend on the scale of the activations.

    Source: Hoyer, "Non-negative Matrix Factorization with Sparseness Constraints", JMLR 2004.
    """

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        squares = ops.sum(ops.square(x), axis=1)
        return ops.sum(ops.abs(x), axis=1) / ops.where(squares > 0, _root(squares, ops), 1.0)


@dataclass(frozen=True)
class HoyerSquare(Penalty):
    """``(sum |x|)^2 / sum x^2``: the number of nonzero elements, were they of one size.

    Source: Yang, Wen, Li, "DeepHoyer", ICLR 2020; on activations: Kurtz et al., "Inducing and
    Exploiting Activation Sparsity for Fast Neural Network Inference", ICML 2020.
    """

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        squares = ops.sum(ops.square(x), axis=1)
        return ops.square(ops.sum(ops.abs(x), axis=1)) / ops.where(squares > 0, squares, 1.0)


@dataclass(frozen=True)
class Scad(Penalty):
    """Smoothly clipped absolute deviation: l1 up to t, constant from alpha t, a parabola between.

    Per element, with s = |x|: ``t s`` for s <= t; ``(2 alpha t s - s^2 - t^2) / (2 (alpha - 1))``
    for t < s <= alpha t; ``t^2 (alpha + 1) / 2`` above. Large activations are left alone.

    Args:
        t: where the slope starts to fall, above 0.
        alpha: where it ends, in units of t; above 1 (the source's 3.7 by default).

    Source: Fan, Li, "Variable Selection via Nonconcave Penalized Likelihood", JASA 2001, (2.7).
    """

    t: float = 0.1
    alpha: float = 3.7

    def __post_init__(self) -> None:
        _check_positive("scad", "t", self.t)
        if not (math.isfinite(self.alpha) and self.alpha > 1):
            raise OptionError(f"expected alpha > 1 for the penalty scad, found {self.alpha}")

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        t, alpha, size = self.t, self.alpha, ops.abs(x)
        between = (2 * alpha * t * size - size * size - t * t) / (2 * (alpha - 1))
        above = ops.where(size > alpha * t, t * t * (alpha + 1) / 2, between)
        return ops.sum(ops.where(size <= t, t * size, above), axis=1)


@dataclass(frozen=True)
class PartialL1(Penalty):
    """``sum x`` over the elements with 0 < x < t: those that a threshold t would make zero.

    Args:
        t: the upper end, above 0.

    Source: Zhu, Pourtaherian, Waeijen, Bondarev, Moreira, "STAR: Sparse Thresholded Activation
    under partial-Regularization for Activation Sparsity Exploration", CVPR workshops 2023.
    """

    t: float = 0.125

    def __post_init__(self) -> None:
        _check_positive("partial_l1", "t", self.t)

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        return ops.sum(ops.where((x > 0) & (x < self.t), x, 0.0), axis=1)


@dataclass(frozen=True)
class TransformedL1(Penalty):
    """``sum (a + 1) |x| / (a + |x|)``: l1 for a towards infinity, the count of nonzeros towards 0.

    Args:
        a: above 0.

    Source: Yu, Tian, "Dual sparse training framework: inducing activation map sparsity via
    Transformed l1 regularization", arXiv:2405.19652 (2024), with their beta as a.
    """

    a: float = 1.0

    def __post_init__(self) -> None:
        _check_positive("transformed_l1", "a", self.a)

    def __call__(self, x: Any, ops: Any) -> Any:
        """``[N, elements]`` to ``[N]``."""
        size = ops.abs(x)
        return ops.sum((self.a + 1) * size / (self.a + size), axis=1)


#: The penalties by name.
PENALTIES: dict[str, type[Penalty]] = {
    "l1": L1,
    "l2": L2,
    "lp": Lp,
    "hoyer": Hoyer,
    "hoyer_square": HoyerSquare,
    "scad": Scad,
    "partial_l1": PartialL1,
    "transformed_l1": TransformedL1,
}


def make_penalty(name: str, parameters: Mapping[str, Any] | None = None) -> Penalty:
    """The penalty of a name, with its own parameters where they are not the defaults.

    Raises:
        OptionError: an unknown name or parameter, or a parameter out of its range.
    """
    if name not in PENALTIES:
        raise OptionError(
            f"unknown penalty {name!r}; expected one of {', '.join(PENALTIES)}, or a function of "
            "activations [N, elements] that returns [N]"
        )
    kind = PENALTIES[name]
    given = dict(parameters or {})
    unknown = sorted(given.keys() - kind.__dataclass_fields__.keys())
    if unknown:
        known = ", ".join(kind.__dataclass_fields__) or "none"
        raise OptionError(f"the penalty {name!r} has no parameter {unknown[0]!r}; it has {known}")
    return kind(**given)


def _root(squares: Any, ops: Any) -> Any:
    """The square root, with a slope of 0 at 0 where it is infinite."""
    return ops.where(squares > 0, ops.sqrt(ops.where(squares > 0, squares, 1.0)), 0.0)


def _check_positive(penalty: str, name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise OptionError(f"expected {name} > 0 for the penalty {penalty}, found {value}")
