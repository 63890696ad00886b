"""The experiments: which networks are trained, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass

#: Those without "-keras" are trained in PyTorch.
NETWORKS = ("resnet", "mobilenet", "resnet-keras")
SPARSITIES = (0.0, 0.1, 0.2, 0.3, 0.5)
WIDTH, SIZE = 16, 28
#: Earlier than `ActivationSparsifier`'s 0.9: of a run this short, and with a learning rate that
#: ends at 0, the last tenth is too little to get used to the final masks.
FREEZE_FROM = 0.25


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
        seed: of weights, batches and masks.
    """

    network: str
    sparsity: float = 0.0
    width: int = WIDTH
    size: int = SIZE
    mask_source: str = "propagated"
    freeze_from: float = FREEZE_FROM
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


def freezing(network: str) -> list[Run]:
    """Masks that freeze later."""
    return [Run(network, s, freeze_from=freeze) for s in (0.1, 0.3) for freeze in (0.4, 0.9)]


def rivals(network: str) -> list[Run]:
    """Dense networks that are faster because they are smaller: narrower, or of smaller pictures."""
    return [Run(network, width=width) for width in (12, 8)] + [
        Run(network, size=size) for size in (24, 20)
    ]


GROUPS = {"table": table, "ablations": ablations, "freezing": freezing, "rivals": rivals}
