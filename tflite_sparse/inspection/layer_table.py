"""What is known of each layer of a model without running it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tflite_sparse.graph.file import ModelFile, Source
from tflite_sparse.graph.fingerprint import fingerprint
from tflite_sparse.graph.layers import CONVOLUTIONS, Layer, subgraph_layers
from tflite_sparse.graph.masks import MaskMultiply, mask_multiply
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask
from tflite_sparse.table import format_table


@dataclass(frozen=True)
class LayerInfo:
    """One layer, or one mask that stands behind no layer.

    Attributes:
        name: the name a mask set uses for it.
        kind: ``conv``, ``depthwise``, ``transpose``, ``add``, ``pool``, or the
            operator that a mask without a layer stands behind.
        shape: of the output, ``[N, H, W, C]``.
        kernel: height and width, None where there is none.
        kept: kept pixels of the mask; all where there is none.
        total: pixels of the output.
        macs_dense: multiply-adds of the layer without a mask.
        macs_kept: multiply-adds left when masked pixels are skipped.
        masked: whether a mask follows.
        skips: whether the engine can skip the masked pixels.
        reason: why it cannot; empty where it can or nothing is masked.
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
    skips: bool
    reason: str
    mask: Mask | None

    @property
    def sparsity(self) -> float:
        """Masked pixels over all pixels, in [0, 1]."""
        return 1.0 - self.kept / self.total

    def to_json(self) -> dict[str, Any]:
        """As plain values, the mask itself left out."""
        values = {field: getattr(self, field) for field in self.__dataclass_fields__}
        del values["mask"]
        return {**values, "sparsity": self.sparsity}


@dataclass(frozen=True)
class Totals:
    """Sums over the convolutions of a model."""

    layers: int
    masked: int
    skipping: int
    macs_dense: int
    macs_kept: int
    ideal_speedup: float


@dataclass(frozen=True)
class Inspection:
    """A model's layers and what they add up to."""

    model: str
    fingerprint: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerInfo, ...]

    @property
    def totals(self) -> Totals:
        """Sums over all convolutions; the ideal speed-up counts nothing but their multiply-adds."""
        convolutions = [layer for layer in self.layers if layer.kind in CONVOLUTIONS]
        dense = sum(layer.macs_dense for layer in convolutions)
        kept = sum(layer.macs_kept for layer in convolutions)
        return Totals(
            layers=len(convolutions),
            masked=sum(layer.masked for layer in self.layers),
            skipping=sum(layer.skips for layer in self.layers),
            macs_dense=dense,
            macs_kept=kept,
            ideal_speedup=dense / kept if kept else 1.0,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "input_shape": list(self.input_shape),
            "layers": [layer.to_json() for layer in self.layers],
            "totals": asdict(self.totals),
        }

    def to_text(self) -> str:
        """A table for a terminal."""
        rows = [
            (
                layer.name if len(layer.name) <= 48 else f"{layer.name[:22]}...{layer.name[-23:]}",
                layer.kind,
                "x".join(map(str, layer.shape[1:])),
                "x".join(map(str, layer.kernel)) if layer.kernel else None,
                f"{layer.sparsity:.1%}" if layer.masked else None,
                f"{layer.macs_dense / 1e6:.2f}",
                f"{layer.macs_kept / 1e6:.2f}",
                "skips" if layer.skips else layer.reason or "no mask",
            )
            for layer in self.layers
        ]
        headers = ["layer", "kind", "output", "kernel", "sparsity", "MMACs", "kept", "engine"]
        totals = self.totals
        return (
            f"{format_table(headers, rows)}\n\n"
            f"{totals.masked} masks, {totals.skipping} of them skipped by the engine; convolutions: "
            f"{totals.macs_dense / 1e6:.1f} MMACs, {totals.macs_kept / 1e6:.1f} kept; ideal "
            f"speed-up {totals.ideal_speedup:.2f}x"
        )


def inspect_model(tflite: Source) -> Inspection:
    """What each layer of a .tflite computes, what of it is masked, and whether that is skipped.

    Whether the engine skips a mask follows from the graph; what it made of it in
    a session is in ``Interpreter.sparsity_report()``.

    Raises:
        ModelError: the file is damaged.
        OSError: the file cannot be read.
    """
    file = ModelFile.read(tflite)
    layers: list[LayerInfo] = []
    for subgraph in range(len(file.model.subgraphs)):
        view = View(file, subgraph)
        found = subgraph_layers(view)
        layers += [_layer_info(view, layer) for layer in found]
        attached = {layer.multiply.op for layer in found if layer.multiply is not None}
        for op in range(len(view.ops)):
            multiply = mask_multiply(view, op)
            if multiply is not None and op not in attached:
                layers.append(_stray_mask(view, multiply))
    main = View(file, 0)
    inputs = list(main.graph.inputs)
    return Inspection(
        model=file.where,
        fingerprint=fingerprint(file),
        input_shape=main.shape(int(inputs[0])) if inputs else (),
        layers=tuple(layers),
    )


def _layer_info(view: View, layer: Layer) -> LayerInfo:
    shape = view.shape(layer.output)
    total = shape[1] * shape[2]
    mask = None if layer.multiply is None else layer.multiply.mask
    kept = total if mask is None else int(np.count_nonzero(mask))
    reason = "" if layer.multiply is None else _why_not(view, layer, layer.multiply)
    skips = mask is not None and not reason
    macs = _macs(view, layer)
    return LayerInfo(
        name=layer.name,
        kind=layer.kind,
        shape=shape,
        kernel=_kernel(view, layer),
        kept=kept,
        total=total,
        macs_dense=macs,
        macs_kept=macs * kept // total if skips else macs,
        masked=mask is not None,
        skips=skips,
        reason=reason,
        mask=mask,
    )


def _kernel(view: View, layer: Layer) -> tuple[int, int] | None:
    if layer.kind in CONVOLUTIONS:
        _, height, width, _ = view.shape(view.op_inputs(layer.op)[1])
        return height, width
    options = view.ops[layer.op].builtinOptions
    if layer.kind == "pool" and hasattr(options, "filterHeight"):
        return int(options.filterHeight), int(options.filterWidth)
    return None


def _macs(view: View, layer: Layer) -> int:
    if layer.kind not in CONVOLUTIONS:
        return 0
    outputs, height, width, depth = view.shape(view.op_inputs(layer.op)[1])
    batch, rows, columns, channels = view.shape(layer.output)
    if layer.kind == "transpose":
        # Its third input is the data; every input pixel meets the whole kernel.
        _, rows, columns, _ = view.shape(view.op_inputs(layer.op)[2])
        return batch * rows * columns * height * width * outputs * depth
    if layer.kind == "depthwise":
        depth = 1
    return batch * rows * columns * channels * height * width * depth


def _why_not(view: View, layer: Layer, multiply: MaskMultiply) -> str:
    """Why the engine cannot skip this mask's pixels, empty if it can."""
    if multiply.mask.all():
        return "the mask keeps every pixel"
    if not multiply.mask.any():
        return "the mask keeps no pixel"
    operator = view.op_kind(layer.op)
    if operator in {"TRANSPOSE_CONV", "AVERAGE_POOL_2D"}:
        return f"{operator} computes every pixel"
    dtype = view.dtype(multiply.input)
    if dtype not in {"FLOAT32", "INT8", "UINT8"}:
        return f"XNNPACK does not run layers of type {dtype}"
    if layer.kind in CONVOLUTIONS:
        weights = view.op_inputs(layer.op)[1]
        if dtype == "FLOAT32" and view.dtype(weights) != "FLOAT32":
            return "dynamic-range quantisation computes every pixel"
    if view.quantization(multiply.input) != view.quantization(multiply.output):
        return "the multiply requantises; run tflite-sparse convert on the file"
    return ""


def _stray_mask(view: View, multiply: MaskMultiply) -> LayerInfo:
    producer = view.producer.get(multiply.input)
    kind = "input" if producer is None else view.op_kind(producer)
    readers = len(view.consumers[multiply.input])
    also = multiply.input in view.outputs
    reason = f"it stands behind {kind}, not behind a convolution"
    if readers > 1 or also:
        reason = "the unmasked result is " + ("an output too" if also else "read elsewhere too")
    shape = view.shape(multiply.output)
    return LayerInfo(
        name=view.name(multiply.output),
        kind=kind,
        shape=shape,
        kernel=None,
        kept=int(np.count_nonzero(multiply.mask)),
        total=multiply.mask.size,
        macs_dense=0,
        macs_kept=0,
        masked=True,
        skips=False,
        reason=reason,
        mask=multiply.mask,
    )
