"""STAR: L1 on activations, then thresholds and a penalty on what they nearly remove."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tflite_sparse.errors import OptionError
from tflite_sparse.training.penalties import L1, PartialL1
from tflite_sparse.training.phases import Phases
from tflite_sparse.training.regularizer import Regularizer


@dataclass(frozen=True)
class StarOptions:
    """The options of :class:`Star`, described there."""

    total_steps: int
    t: float = 2.0**-4
    switch_at: float = 0.5
    weight: float = 1e-7
    partial_weight: float | None = None


class Star(Phases):
    """The schedule of STAR, in two phases, driven by :meth:`step`.

    Phase 1 is trained with a penalty of L1 on all activations. At ``switch_at`` ReLUs get the
    threshold ``t``; phase 2 goes on with thresholds in force, and the penalty is on activations
    between 0 and t only, which pushes them below the threshold and leaves large ones alone.

        regularizer = ActivationRegularizer(model)
        star = Star(regularizer, partial(set_thresholds, model), total_steps=len(loader) * 8)
        for images, labels in batches:
            (criterion(model(images), labels) + regularizer.loss()).backward()
            optimizer.step(); star.step()

    An ``ActivationSparsifier`` and weight pruning can be stepped next to it.

    Args:
        regularizer: of the model, in either framework; its penalty and weights are set here.
        set_threshold: called with the threshold that the ReLUs are to have, 0 in phase 1.
        total_steps: the training steps of the whole run, at least 1.
        t: the threshold of phase 2, a power of two; the source has 2^-7 to 2^-1.
        switch_at: the fraction of the run at which phase 2 begins, in [0, 1].
        weight: of the penalty in phase 1; the source has 1e-8 to 1e-6, for a sum over all
            elements of a sample (of its networks, on ImageNet).
        partial_weight: of the penalty in phase 2; None takes ``weight``.

    Raises:
        OptionError: a value out of its range.

    Source: Zhu, Pourtaherian, Waeijen, Bondarev, Moreira, "STAR: Sparse Thresholded Activation
    under partial-Regularization for Activation Sparsity Exploration", CVPR workshops 2023.
    """

    def __init__(
        self,
        regularizer: Regularizer,
        set_threshold: Callable[[float], object],
        total_steps: int,
        *,
        t: float = StarOptions.t,
        switch_at: float = StarOptions.switch_at,
        weight: float = StarOptions.weight,
        partial_weight: float | None = None,
    ) -> None:
        if not (math.isfinite(t) and t > 0 and math.frexp(t)[0] == 0.5):
            raise OptionError(f"expected t to be a power of two, such as 2**-4, found {t}")
        self._regularizer = regularizer
        self._set_threshold = set_threshold
        self._options = StarOptions(total_steps, t, switch_at, weight, partial_weight)
        self._start({"l1": 0.0, "thresholds": switch_at}, total_steps)

    def _enter(self, phase: str) -> None:
        options = self._options
        if phase == "l1":
            self._set_threshold(0.0)
            self._regularizer.use(L1(), options.weight)
        else:
            self._set_threshold(options.t)
            weight = options.weight if options.partial_weight is None else options.partial_weight
            self._regularizer.use(PartialL1(options.t), weight)

    def _run(self) -> Mapping[str, Any]:
        return asdict(self._options)
