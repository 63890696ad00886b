"""The experiments: networks, penalties and their weights."""

from __future__ import annotations

from dataclasses import dataclass

from tflite_sparse.training.penalties import L1, L2, Hoyer, HoyerSquare, Lp, Penalty

#: On activations.
PENALTIES: dict[str, Penalty] = {
    "l2": L2(),
    "l1": L1(),
    "lp 0.5": Lp(0.5),
    "lp 0.01": Lp(0.01),
    "hoyer": Hoyer(),
    "hoyer_square": HoyerSquare(),
}
NETWORKS = ("perceptron", "lenet5")
#: By network and penalty, which is a sum over activations: of them LeNet-5 has 15 times as many.
WEIGHTS: dict[str, dict[str, tuple[float, ...]]] = {
    "perceptron": {
        "l2": (1e-2, 2e-2, 4e-2),
        "l1": (3e-3, 6e-3, 1.2e-2),
        "lp 0.5": (1e-3, 3e-3, 4e-3),
        "lp 0.01": (3e-3, 5e-3, 1e-2),
        "hoyer": (3e-3, 1e-2, 2e-2),
        "hoyer_square": (1e-3, 3e-3, 6e-3),
    },
    "lenet5": {
        "l2": (2e-2, 4e-2),
        "l1": (1e-3, 2e-3, 3e-3, 6e-3),
        "lp 0.5": (2e-4, 5e-4),
        "lp 0.01": (5e-4, 2e-3),
        "hoyer": (3e-3, 1e-2),
        "hoyer_square": (1e-4, 2e-4),
    },
}
EPOCHS = {
    ("digits", "perceptron"): 20,
    ("digits", "lenet5"): 12,
    ("fashion", "perceptron"): 4,
    ("fashion", "lenet5"): 2,
}
#: Test images that are simulated.
SIMULATED = {"perceptron": 2_000, "lenet5": 500}
#: Steps of the simulation that the tables are of, and those of networks without a penalty.
STEPS, LONG = 100, 400


@dataclass(frozen=True)
class Run:
    """One network, trained once and converted.

    Attributes:
        data: one of `data.NAMES`.
        network: one of NETWORKS.
        penalty: one of PENALTIES; none: trained without.
        weight: of the penalty.
        seed: of weights and batches.
        epochs: passes over the training set.
    """

    data: str
    network: str
    penalty: str = ""
    weight: float = 0.0
    seed: int = 0
    epochs: int = 1

    @property
    def name(self) -> str:
        """Unique among all runs."""
        penalty = f"{self.penalty.replace(' ', '')}-{self.weight:g}" if self.penalty else "none"
        return f"{self.data}-{self.network}-{penalty}-seed{self.seed}-{self.epochs}epochs"


def all_runs(data: str, network: str, seed: int, epochs: int) -> list[Run]:
    """One network without a penalty, and each penalty with each weight."""
    return [Run(data, network, seed=seed, epochs=epochs)] + [
        Run(data, network, penalty, weight, seed, epochs)
        for penalty, weights in WEIGHTS[network].items()
        for weight in weights
    ]
