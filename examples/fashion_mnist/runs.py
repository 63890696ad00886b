"""The experiments: which networks are trained, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass

from tflite_sparse.training.penalties import (
    L1,
    L2,
    Hoyer,
    HoyerSquare,
    Lp,
    Penalty,
    TransformedL1,
)

#: Those without "-keras" are trained in PyTorch.
NETWORKS = ("resnet", "mobilenet", "lenet5", "resnet-keras")
SPARSITIES = (0.0, 0.1, 0.2, 0.3, 0.5)
WIDTH, SIZE = 16, 28
#: Earlier than `ActivationSparsifier`'s 0.9: of a run this short, and with a learning rate that
#: ends at 0, the last tenth is too little to get used to the final masks.
FREEZE_FROM = 0.25
#: On activations; "star" is a recipe of two.
PENALTIES: dict[str, Penalty] = {
    "l1": L1(),
    "l2": L2(),
    "lp0.5": Lp(0.5),
    "lp0.01": Lp(0.01),
    "hoyer": Hoyer(),
    "hoyersquare": HoyerSquare(),
    "tl1": TransformedL1(),
    "star": L1(),
}


@dataclass(frozen=True)
class Run:
    """One network, trained once.

    Attributes:
        network: one of NETWORKS.
        sparsity: share of masked pixels in each masked layer at the end.
        width: channels of the first layer.
        size: height and width of the pictures that the network sees.
        mask_source: see `ActivationSparsifier`.
        freeze_from: share of the run from which masks stay; 1.0: until the end they change.
        start: name of the run in `trained/` whose weights it goes on from; none: random weights.
        penalty: on activations, one of PENALTIES; none: no penalty.
        weight: of the penalty.
        threshold: of the ReLUs in the second phase of STAR.
        learnable: whether STAR's thresholds are learned.
        seed: of weights, batches and masks.
    """

    network: str
    sparsity: float = 0.0
    width: int = WIDTH
    size: int = SIZE
    mask_source: str = "propagated"
    freeze_from: float = FREEZE_FROM
    start: str = ""
    penalty: str = ""
    weight: float = 0.0
    threshold: float = 0.0
    learnable: bool = False
    seed: int = 0

    @property
    def variant(self) -> str:
        """What is special about the run, but for its seed; names a line of the table."""
        parts = [f"s{round(100 * self.sparsity)}" if self.sparsity else "dense"]
        if self.mask_source != "propagated":
            parts.append(self.mask_source)
        if self.freeze_from == 1.0:
            parts.append("unfrozen")
        elif self.freeze_from != FREEZE_FROM:
            parts.append(f"freeze{round(100 * self.freeze_from)}")
        if self.width != WIDTH:
            parts.append(f"width{self.width}")
        if self.size != SIZE:
            parts.append(f"size{self.size}")
        if self.start:
            parts.append("tuned")
        if self.penalty:
            parts.append(f"{self.penalty}-{self.weight:g}")
        if self.threshold:
            parts.append(f"t{self.threshold:g}")
        if self.learnable:
            parts.append("learned")
        return "-".join(parts)

    @property
    def name(self) -> str:
        """Unique among all runs; names its folder."""
        return f"{self.network}-{self.variant}-seed{self.seed}"


def table(network: str) -> list[Run]:
    """Accuracy over sparsity."""
    return [Run(network, sparsity) for sparsity in SPARSITIES]


def ablations(network: str) -> list[Run]:
    """The paper's section 4.4 at 30%: masks that layers do not share, masks that never freeze."""
    return [
        Run(network, 0.3, mask_source="independent"),
        Run(network, 0.3, freeze_from=1.0),
    ]


def patterns(network: str) -> list[Run]:
    """Regular masks beside the table's random ones."""
    return [
        Run(network, sparsity, mask_source=source)
        for sparsity in (0.5, 0.3)
        for source in ("alternating", "lattice")
    ]


def freezing(network: str) -> list[Run]:
    """Masks that freeze later."""
    return [Run(network, s, freeze_from=freeze) for s in (0.1, 0.3) for freeze in (0.4, 0.9)]


def rivals(network: str) -> list[Run]:
    """Dense networks that are faster because they are smaller: narrower, or of smaller pictures."""
    return [Run(network, width=width) for width in (12, 8)] + [
        Run(network, size=size) for size in (24, 20)
    ]


def zeros(network: str) -> list[Run]:
    """Penalties on the activations of the trained ResNet, and none, with the same budget."""
    start = f"{network}-dense-seed0"
    return [
        Run(network, start=start),
        *(Run(network, start=start, penalty="tl1", weight=w) for w in (1e-5, 2e-5, 3e-5, 5e-5)),
        *(Run(network, start=start, penalty="l1", weight=w) for w in (1e-5, 3e-5)),
    ]


def star(network: str) -> list[Run]:
    """STAR's table 7: a threshold after L1, as it is and learned."""
    start = f"{network}-dense-seed0"
    return [
        Run(network, start=start, penalty="star", weight=1e-5, threshold=t, learnable=learnable)
        for t, learnable in ((2**-4, False), (2**-2, False), (2**-4, True))
    ]


def both(network: str) -> list[Run]:
    """Masks and zeros: what was trained with masks goes on with a penalty; lattice masks from the start."""
    start, masked = f"{network}-dense-seed0", f"{network}-s30-seed0"
    return [
        *(Run(network, 0.3, start=masked, penalty="tl1", weight=w) for w in (1e-5, 2e-5)),
        *(
            Run(network, 0.3, mask_source="lattice", start=start, penalty="tl1", weight=w)
            for w in (1e-5, 2e-5)
        ),
    ]


def penalties(network: str) -> list[Run]:
    """Every penalty, each with four weights."""
    weights = {
        "l1": (1e-5, 1e-4, 1e-3, 3e-3),
        "l2": (1e-3, 1e-2, 1e-1, 3e-1),
        "lp0.5": (1e-5, 1e-4, 3e-4, 1e-3),
        "lp0.01": (1e-5, 1e-4, 3e-4, 1e-3),
        "hoyer": (1e-3, 3e-3, 1e-2, 3e-2),
        "hoyersquare": (1e-5, 1e-4, 3e-4, 1e-3),
        "tl1": (1e-5, 1e-4, 3e-4, 1e-3),
    }
    return [Run(network, penalty=name, weight=w) for name in weights for w in weights[name]]


GROUPS = {
    "table": table,
    "ablations": ablations,
    "patterns": patterns,
    "freezing": freezing,
    "rivals": rivals,
    "zeros": zeros,
    "star": star,
    "both": both,
    "penalties": penalties,
}
