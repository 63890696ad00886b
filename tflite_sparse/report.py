"""What the delegate did with a model: an account per masked layer, per node, per operation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.table import format_table


@dataclass(frozen=True)
class LayerReport:
    """One masked layer.

    Attributes:
        layer: name of the tensor that the mask multiply writes.
        op: the operation whose pixels are masked.
        form: "compact" or "insert" where masked pixels are skipped, "dense" where they are not.
        kept: pixels of the mask that are computed.
        total: pixels of the mask.
        macs_dense: multiply-accumulates of the layer without its mask.
        macs_kept: multiply-accumulates of the pixels that are computed: those that are kept and
            that the windows of the next layers read.
        by_choice: whether it runs dense though it could skip: nothing is masked, or skipping would
            cost more than it saves.
        reason: why the form is what it is; empty where it is the one asked for.
    """

    layer: str
    op: str
    form: str
    kept: int
    total: int
    macs_dense: int
    macs_kept: int
    by_choice: bool
    reason: str

    @property
    def sparsity(self) -> float:
        """Masked pixels / all pixels."""
        return 1 - self.kept / self.total if self.total else 0.0

    @property
    def accelerated(self) -> bool:
        """Whether masked pixels are skipped."""
        return self.form != "dense"


@dataclass(frozen=True)
class ZeroLayerReport:
    """What one convolution or fully connected operator did about zeros in its input.

    Attributes:
        layer: name of the tensor that it writes.
        op: the operation.
        form: in the last inference: "zeros" where only nonzero activations were multiplied, "tiles"
            where all were except for those of masked pixels, "dense" where all were.
        zeros: share of zeros in its input, as far as it was looked at, the mean over the inferences
            so far in which it was; None if it never was.
        reason: why the form is not "zeros"; empty where it is.
    """

    layer: str
    op: str
    form: str
    zeros: float | None
    reason: str


@dataclass(frozen=True)
class NodeLeft:
    """A node that the delegate left to the interpreter, and why."""

    node: int
    op: str
    name: str
    reason: str


@dataclass(frozen=True)
class SparsityReport:
    """What the delegate took and skipped; printing it gives a table.

    Attributes:
        version: version of the delegate library.
        mode: "compact", "insert" or "off".
        skip_zeros: "auto", "always" or "never".
        num_threads: threads that the delegate runs on.
        nodes_total: nodes of the model (its first subgraph).
        nodes_taken: nodes that the delegate runs.
        left: the other nodes, with the reason for each.
        layers: one entry per masked layer.
        zero_layers: one entry per convolution and fully connected operator.
        arena_bytes: memory of the intermediate tensors.
        sparsity_bytes: memory of the tables that skipping masked pixels needs.
        list_bytes: memory that skipping zeros needs: lists and sums, a part of `arena_bytes`,
            and tables of windows.
    """

    version: str
    mode: str
    skip_zeros: str
    num_threads: int
    nodes_total: int
    nodes_taken: int
    left: tuple[NodeLeft, ...]
    layers: tuple[LayerReport, ...]
    zero_layers: tuple[ZeroLayerReport, ...]
    arena_bytes: int
    sparsity_bytes: int
    list_bytes: int

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SparsityReport:
        """Build a report from the delegate's JSON; entries it does not know are ignored."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["left"] = tuple(_build(NodeLeft, row) for row in data["left"])
        known["layers"] = tuple(_build(LayerReport, row) for row in data["layers"])
        known["zero_layers"] = tuple(_build(ZeroLayerReport, row) for row in data["zero_layers"])
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists, dictionaries and numbers, ready for json.dumps."""
        return {
            **asdict(self),
            "left": [asdict(node) for node in self.left],
            "layers": [asdict(layer) for layer in self.layers],
            "zero_layers": [asdict(layer) for layer in self.zero_layers],
            "mac_sparsity": self.mac_sparsity,
        }

    @property
    def mac_sparsity(self) -> float:
        """Masked layers' multiply-accumulates that masks save / all that these layers have."""
        dense = sum(layer.macs_dense for layer in self.layers)
        return 1 - sum(layer.macs_kept for layer in self.layers) / dense if dense else 0.0

    def not_accelerated(self) -> list[LayerReport]:
        """The masked layers that run dense."""
        return [layer for layer in self.layers if not layer.accelerated]

    def require_skipping(self, label: str) -> None:
        """Raise MaskError, with the reasons, if a masked layer of the model `label` cannot skip."""
        unable = [layer for layer in self.not_accelerated() if not layer.by_choice]
        if unable:
            reasons = "; ".join(f"{layer.layer}: {layer.reason}" for layer in unable)
            raise MaskError(
                f"{label}: strict, but {len(unable)} of {len(self.layers)} masked layers "
                f"cannot skip (mode={self.mode}): {reasons}"
            )

    def __str__(self) -> str:
        """The table, one row per masked layer."""
        threads = "1 thread" if self.num_threads == 1 else f"{self.num_threads} threads"
        lines = [
            f"nodes taken by the delegate: {self.nodes_taken} of {self.nodes_total} "
            f"(mode={self.mode}, skip_zeros={self.skip_zeros}, {threads})"
        ]
        if self.layers:
            rows = [
                (
                    layer.layer,
                    layer.op,
                    layer.form,
                    f"{layer.kept}/{layer.total}",
                    f"{layer.sparsity:.1%}",
                    f"{layer.macs_kept / 1e6:.2f}/{layer.macs_dense / 1e6:.2f}",
                    layer.reason,
                )
                for layer in self.layers
            ]
            headers = ("layer", "op", "form", "kept", "sparsity", "MMACs", "reason")
            lines += ["", format_table(headers, rows)]
        else:
            lines.append("masked layers: none")
        if self.zero_layers:
            zero_rows = [
                (
                    _end(layer.layer),
                    layer.op,
                    layer.form,
                    "" if layer.zeros is None else f"{layer.zeros:.1%}",
                    layer.reason,
                )
                for layer in self.zero_layers
            ]
            lines += ["", "zeros in activations:"]
            lines.append(format_table(("layer", "op", "form", "zeros", "reason"), zero_rows))
        if self.left:
            rows_left = [(node.node, node.op, node.name, node.reason) for node in self.left]
            lines += ["", "nodes left to the interpreter:"]
            lines.append(format_table(("node", "op", "name", "reason"), rows_left))
        return "\n".join(lines)


@dataclass(frozen=True)
class OpTime:
    """Time of one operation inside the delegate.

    Attributes:
        op: name of the operation.
        layer: name of the tensor that it writes; empty where the engine has none.
        form: "compact", "insert" or "dense" in a masked layer, else empty.
        microseconds: its time in one inference, the mean over all so far.
    """

    op: str
    layer: str
    form: str
    microseconds: float


@dataclass(frozen=True)
class Profile:
    """Time per operation of one inference; printing it gives a table, slowest first."""

    ops: tuple[OpTime, ...]

    @classmethod
    def from_report(cls, data: dict[str, Any]) -> Profile:
        """The profile in the delegate's JSON; OptionError if nothing has run yet."""
        if not data.get("profile"):
            raise OptionError("there is no profile yet; run the model first")
        forms = {layer["layer"]: layer["form"] for layer in data["layers"]}
        return cls(
            tuple(
                OpTime(row["op"], row["layer"], forms.get(row["layer"], ""), row["microseconds"])
                for row in data["profile"]
            )
        )

    @property
    def total_microseconds(self) -> float:
        """Sum over the operations."""
        return sum(op.microseconds for op in self.ops)

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain lists, dictionaries and numbers, ready for json.dumps."""
        return {
            "total_microseconds": self.total_microseconds,
            "ops": [asdict(op) for op in self.ops],
        }

    def __str__(self) -> str:
        """The table, slowest operation first."""
        total = self.total_microseconds or 1.0
        rows = [
            (op.op, op.layer, op.form, f"{op.microseconds:.1f}", f"{op.microseconds / total:.1%}")
            for op in sorted(self.ops, key=lambda op: -op.microseconds)
        ]
        rows.append(("total", "", "", f"{self.total_microseconds:.1f}", "100.0%"))
        return format_table(("op", "layer", "form", "microseconds", "share"), rows)


def _end(name: str) -> str:
    """The end of a tensor's name, which tells more than the start: converters join whole paths."""
    return name if len(name) <= 40 else f"...{name[-37:]}"


def _build(cls: Any, row: dict[str, Any]) -> Any:
    return cls(**{name: row[name] for name in cls.__dataclass_fields__})
