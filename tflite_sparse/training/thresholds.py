"""Checks of a threshold's parameters, alike in both frameworks."""

from __future__ import annotations

import math

from tflite_sparse.errors import OptionError


def checked_threshold(t: float) -> float:
    """``t`` itself.

    Raises:
        OptionError: not a finite number from 0.
    """
    if not (math.isfinite(t) and t >= 0):
        raise OptionError(f"expected a threshold t that is finite and at least 0, found {t}")
    return float(t)


def checked_ceiling(max_value: float | None, t: float) -> float | None:
    """``max_value`` itself.

    Raises:
        OptionError: not above the threshold, so that nothing could pass.
    """
    if max_value is not None and not max_value > t:
        raise OptionError(
            f"expected max_value above the threshold t={t}, found {max_value}; nothing would pass"
        )
    return max_value


def checked_beta(beta: float) -> float:
    """``beta`` itself.

    Raises:
        OptionError: not a finite number above 0.
    """
    if not (math.isfinite(beta) and beta > 0):
        raise OptionError(f"expected a steepness beta that is finite and above 0, found {beta}")
    return float(beta)
