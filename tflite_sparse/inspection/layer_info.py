"""What is known of the layers of a model, and what they add up to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tflite_sparse.graph.layers import CONVOLUTIONS
from tflite_sparse.masks.mask_set import Mask
from tflite_sparse.table import format_table, shorten


@dataclass(frozen=True)
class LayerInfo:
    """One layer, or one mask that follows no layer.

    Attributes:
        name: the name a mask set uses for it.
        kind: ``conv``, ``depthwise``, ``transpose``, ``add``, ``pool``, or the
            operator that a mask without a layer follows.
        shape: of the output, ``[N, H, W, C]``.
        kernel: height and width, None where there is none.
        kept: kept pixels of the mask; all where there is none.
        total: pixels of the output.
        macs_dense: multiply-accumulates of the layer without a mask.
        macs_kept: multiply-accumulates left when masked pixels are skipped.
        masked: whether a mask follows.
        skips: whether the engine skips the masked pixels; None if it could not be asked.
        reason: why it does not; empty where it does or nothing is masked.
        mask: the mask, bool ``[H, W]``; None where there is none that the engine can use.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    kernel: tuple[int, int] | None
    kept: int
    total: int
    macs_dense: int
    macs_kept: int
    masked: bool
    skips: bool | None
    reason: str
    mask: Mask | None

    @property
    def sparsity(self) -> float:
        """Masked pixels over all pixels, in [0, 1]."""
        return 1.0 - self.kept / self.total

    def to_dict(self) -> dict[str, Any]:
        """As plain values, the mask itself left out."""
        values = {field: getattr(self, field) for field in self.__dataclass_fields__}
        del values["mask"]
        return {**values, "sparsity": self.sparsity}


@dataclass(frozen=True)
class Totals:
    """Sums over a model.

    Attributes:
        layers: its convolutions.
        masked: its masks.
        skipping: masks whose pixels the engine skips.
        macs_dense: multiply-accumulates of the convolutions without masks.
        macs_kept: those left when masked pixels are skipped; unlike the sum over the layers it counts
            what a mask saves in the layers before its own.
        ideal_speed_up: macs_dense / macs_kept: the speed-up if nothing else took time.
    """

    layers: int
    masked: int
    skipping: int
    macs_dense: int
    macs_kept: int
    ideal_speed_up: float


@dataclass(frozen=True)
class Inspection:
    """A model's layers and what they add up to.

    Attributes:
        model: its path, for people.
        fingerprint: tells models apart; see graph/fingerprint.py.
        input_shape: of its first input.
        layers: in order of execution; masks that follow no layer come last.
        macs_saved: multiply-accumulates that skipping masked pixels leaves out.
        engine: why the engine could not be asked, so that all masks count as skipped; else empty.
    """

    model: str
    fingerprint: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerInfo, ...]
    macs_saved: int
    engine: str

    @property
    def totals(self) -> Totals:
        """Sums over the layers."""
        convolutions = [layer for layer in self.layers if layer.kind in CONVOLUTIONS]
        dense = sum(layer.macs_dense for layer in convolutions)
        kept = dense - self.macs_saved
        return Totals(
            layers=len(convolutions),
            masked=sum(layer.masked for layer in self.layers),
            skipping=sum(layer.skips is True for layer in self.layers),
            macs_dense=dense,
            macs_kept=kept,
            ideal_speed_up=dense / kept if kept else 1.0,
        )

    @property
    def summary(self) -> str:
        """The totals in a line."""
        totals = self.totals
        skipped = f"{totals.skipping} of them skipped by the engine"
        if self.engine:
            skipped = f"all counted as skipped, as the engine could not be asked ({self.engine})"
        return f"{totals.masked} masks, {skipped}, ideal speed-up {totals.ideal_speed_up:.2f}x"

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "input_shape": list(self.input_shape),
            "engine": self.engine,
            "layers": [layer.to_dict() for layer in self.layers],
            "totals": asdict(self.totals),
        }

    def __str__(self) -> str:
        """A table for a terminal."""
        rows = [
            (
                shorten(layer.name),
                layer.kind,
                "x".join(map(str, layer.shape[1:])),
                "x".join(map(str, layer.kernel)) if layer.kernel else None,
                f"{layer.sparsity:.1%}" if layer.masked else None,
                f"{layer.macs_dense / 1e6:.2f}",
                f"{layer.macs_kept / 1e6:.2f}",
                _engine_cell(layer),
            )
            for layer in self.layers
        ]
        headers = ["layer", "kind", "output", "kernel", "sparsity", "MMACs", "kept", "engine"]
        totals = self.totals
        return (
            f"{format_table(headers, rows)}\n\n"
            f"convolutions: {totals.macs_dense / 1e6:.1f} MMACs, {totals.macs_kept / 1e6:.1f} kept; "
            f"{self.summary}"
        )


def _engine_cell(layer: LayerInfo) -> str:
    if not layer.masked:
        return "no mask"
    return layer.reason if layer.skips is False else "skips" if layer.skips else "not asked"
