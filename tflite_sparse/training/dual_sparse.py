"""Zeros in weights and in activations, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tflite_sparse.errors import OptionError
from tflite_sparse.training.phases import Phases
from tflite_sparse.training.pruning import Pruner
from tflite_sparse.training.regularizer import AnyPenalty, Regularizer, checked_penalty


@dataclass(frozen=True)
class DualSparseOptions:
    """The options of :class:`DualSparse`, described there."""

    total_steps: int
    weight_sparsity: float = 0.6
    weights_from: float = 0.2
    prune_at: float = 0.5
    activations_from: float = 0.6
    weight_l1: float = 1e-5
    activation_weight: float = 1e-5


class DualSparse(Phases):
    """The schedule of dual sparse training, driven by :meth:`step`.

    Phases, by the fraction of the run where they begin:

    - ``"dense"`` (0): training as usual;
    - ``"weights"`` (``weights_from``): L1 on weights;
    - ``"pruned"`` (``prune_at``): the smallest weights are pruned, and the others fine-tuned;
    - ``"activations"`` (``activations_from``): a penalty on activations (Transformed-L1).

    Each step's loss is the task's, ``regularizer.loss()`` and ``pruner.loss()`` together:

        pruner, regularizer = WeightPruner(model), ActivationRegularizer(model)
        dual = DualSparse(pruner, regularizer, total_steps=len(loader) * 8)
        for images, labels in batches:
            loss = criterion(model(images), labels) + regularizer.loss() + pruner.loss()
            loss.backward(); optimizer.step(); dual.step()

    Args:
        pruner: of the model's weights; stepped here.
        regularizer: of the model's activations; its penalty and weights are set here.
        total_steps: the training steps of the whole run, at least 1.
        weight_sparsity: the share of weights to prune, in [0, 1).
        weights_from: where L1 on weights begins, in [0, 1].
        prune_at: where weights are pruned, not before that.
        activations_from: where the penalty on activations begins, not before that.
        weight_l1: of the L1 on weights.
        activation_weight: of the penalty on activations.
        penalty: on activations.

    Raises:
        OptionError: a value out of its range.

    Source: Yu, Tian, "Dual sparse training framework: inducing activation map sparsity via
    Transformed l1 regularization", arXiv:2405.19652 (2024), section 3.
    """

    def __init__(
        self,
        pruner: Pruner,
        regularizer: Regularizer,
        total_steps: int,
        *,
        weight_sparsity: float = DualSparseOptions.weight_sparsity,
        weights_from: float = DualSparseOptions.weights_from,
        prune_at: float = DualSparseOptions.prune_at,
        activations_from: float = DualSparseOptions.activations_from,
        weight_l1: float = DualSparseOptions.weight_l1,
        activation_weight: float = DualSparseOptions.activation_weight,
        penalty: AnyPenalty = "transformed_l1",
    ) -> None:
        if not 0 <= weight_sparsity < 1:
            raise OptionError(f"expected weight_sparsity in [0, 1), found {weight_sparsity}")
        self._pruner = pruner
        self._regularizer = regularizer
        self._penalty = checked_penalty(penalty)
        self._options = DualSparseOptions(
            total_steps,
            weight_sparsity,
            weights_from,
            prune_at,
            activations_from,
            weight_l1,
            activation_weight,
        )
        begins = {
            "dense": 0.0,
            "weights": weights_from,
            "pruned": prune_at,
            "activations": activations_from,
        }
        self._start(begins, total_steps)

    def step(self) -> None:
        """One training step is done. Call it once after each ``optimizer.step()``."""
        self._pruner.step()
        super().step()

    def state_dict(self) -> dict[str, Any]:  # noqa: D102 (inherited)
        return {**super().state_dict(), "pruned": self._pruner.state_dict()}

    def _enter(self, phase: str) -> None:
        if phase == "pruned":
            self._pruner.prune(self._options.weight_sparsity)
        self._set_weights(phase)

    def _resume(self, phase: str, state: Mapping[str, Any]) -> None:
        self._pruner.load_state_dict(state["pruned"])
        self._set_weights(phase)

    def _set_weights(self, phase: str) -> None:
        self._pruner.use(self._options.weight_l1 if phase == "weights" else 0.0)
        weight = self._options.activation_weight if phase == "activations" else 0.0
        self._regularizer.use(self._penalty, weight)

    def _run(self) -> Mapping[str, Any]:
        return asdict(self._options)
