"""When masks are drawn, and how sparse they are at each training step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflite_sparse.errors import OptionError


@dataclass(frozen=True)
class Schedule:
    """Dense, then rising sparsity with new masks, then frozen masks (the paper's Algorithm 1).

    Steps are counted from 0. With ``start = round(dense_until * total_steps)`` and
    ``freeze = round(freeze_from * total_steps)``:

    - steps below ``start`` are dense;
    - at step t of [start, freeze) masks have the fraction
      ``1 - (1 - (t - start) / (freeze - start)) ** power`` of their final sparsity,
      and are drawn again at ``start`` and each ``update_every`` steps after it;
    - at ``freeze`` the final masks are drawn; they stay for all later steps.

    Args:
        total_steps: the training steps of the whole run, at least 1.
        dense_until: the fraction of the run that is dense, in [0, 1].
        freeze_from: the fraction of the run from which masks stay, in [dense_until, 1].
        power: of the polynomial, positive; 1 is linear, 3 the paper's.
        update_every: steps between two draws, at least 1.

    Raises:
        OptionError: a value is out of its range.
    """

    total_steps: int
    dense_until: float = 0.1
    freeze_from: float = 0.9
    power: float = 3.0
    update_every: int = 1

    def __post_init__(self) -> None:
        for name in ("total_steps", "update_every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"expected {name} to be a whole number from 1, found {value!r}")
        if not 0.0 <= self.dense_until <= self.freeze_from <= 1.0:
            raise OptionError(
                "expected 0 <= dense_until <= freeze_from <= 1, fractions of total_steps; found "
                f"dense_until={self.dense_until} and freeze_from={self.freeze_from}"
            )
        if not (math.isfinite(self.power) and self.power > 0):
            raise OptionError(f"expected a power above 0, found {self.power}")

    @property
    def start(self) -> int:
        """The first step that is not dense."""
        return round(self.dense_until * self.total_steps)

    @property
    def freeze(self) -> int:
        """The first step with the final masks."""
        return round(self.freeze_from * self.total_steps)

    def drawn_at(self, step: int) -> int | None:
        """The step whose draw is in force at ``step``; None while training is dense."""
        if step >= self.freeze:
            return self.freeze
        if step < self.start:
            return None
        return step - (step - self.start) % self.update_every

    def fraction(self, step: int) -> float:
        """The fraction of the final sparsity that masks drawn at ``step`` have, in [0, 1]."""
        if step >= self.freeze:
            return 1.0
        if step < self.start:
            return 0.0
        progress = (step - self.start) / (self.freeze - self.start)
        return float(1.0 - (1.0 - progress) ** self.power)
