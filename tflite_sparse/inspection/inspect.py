"""Inspecting a model: its layers from the graph, what becomes of their masks from the engine."""

from __future__ import annotations

from tflite_sparse.errors import DelegateError, ModelError
from tflite_sparse.graph.file import ModelFile, Source, read_source
from tflite_sparse.graph.fingerprint import fingerprint
from tflite_sparse.graph.layers import CONVOLUTIONS, Layer, subgraph_layers
from tflite_sparse.graph.masks import mask_multiply
from tflite_sparse.graph.view import View
from tflite_sparse.inspection.layer_info import Inspection, LayerInfo
from tflite_sparse.interpreter import Interpreter
from tflite_sparse.macs import operation_macs
from tflite_sparse.masks.mask_set import Mask
from tflite_sparse.report import LayerReport, NodeLeft


def inspect_model(tflite: Source) -> Inspection:
    """What each layer of a .tflite computes, what of it is masked, and whether that is skipped.

    What is skipped is the engine's own report, in mode "compact" on this machine. Without the
    delegate's library or an interpreter, or where the interpreter refuses the model, every mask
    counts as skipped, and ``Inspection.engine`` says why.

    Raises:
        ModelError: the file is damaged.
        OSError: the file cannot be read.
    """
    content, where = read_source(tflite)
    file = ModelFile.read(content, where)
    engine = _Engine(content, where)
    layers: list[LayerInfo] = []
    for subgraph in range(len(file.model.subgraphs)):
        view = View(file, subgraph)
        found = subgraph_layers(view)
        layers += [_layer_info(view, layer, engine) for layer in found]
        attached = {layer.multiply.op for layer in found if layer.multiply is not None}
        layers += [
            info
            for op in range(len(view.ops))
            if op not in attached and (info := _lone_mask(view, op, engine)) is not None
        ]
    main = View(file, 0)
    inputs = list(main.graph.inputs)
    saved = [layer.macs_dense - layer.macs_kept for layer in layers]
    if not engine.silent_because:
        saved = [row.macs_dense - row.macs_kept for row in engine.rows.values()]
    return Inspection(
        model=where,
        fingerprint=fingerprint(file),
        input_shape=main.shape(int(inputs[0])) if inputs else (),
        layers=tuple(layers),
        macs_saved=sum(saved),
        engine=engine.silent_because,
    )


class _Engine:
    """What the engine makes of a model's masks.

    Attributes:
        silent_because: why it could not be asked; empty if it was.
        rows: its masked layers, by the tensor that the mask's multiply writes.
        left: nodes left to the interpreter, by the tensor that they write.
    """

    def __init__(self, content: bytes, where: str) -> None:
        self.silent_because = ""
        self.rows: dict[str, LayerReport] = {}
        self.left: dict[str, NodeLeft] = {}
        try:
            with Interpreter(model_content=content, label=where) as interpreter:
                report = interpreter.sparsity_report()
        except (DelegateError, ModelError) as error:
            self.silent_because = str(error)
        else:
            self.rows = {row.layer: row for row in report.layers}
            self.left = {node.name: node for node in report.left}

    def verdict(self, view: View, multiply: int, layer: int | None) -> tuple[bool | None, str]:
        """Whether the pixels of a mask are skipped, and why not; None if it cannot be told.

        Args:
            view: the subgraph.
            multiply: the mask's operator.
            layer: the operator whose pixels it masks, if that is known.
        """
        if self.silent_because:
            return None, ""
        if layer is not None and view.name(view.op_outputs(layer)[0]) in self.left:
            dtypes = [view.dtype(tensor) for tensor in view.op_inputs(layer)[:2]]
            if dtypes == ["FLOAT32", "INT8"]:
                return False, (
                    "dynamic-range quantisation (int8 weights, float values) runs in the "
                    "interpreter's own kernels; quantise to int8 or float16 instead"
                )
            return False, _left(self.left[view.name(view.op_outputs(layer)[0])])
        name = view.name(view.op_outputs(multiply)[0])
        if name in self.rows:
            row = self.rows[name]
            return row.accelerated, "" if row.accelerated else row.reason
        if name in self.left:
            return False, _left(self.left[name])
        return False, "the delegate was not given this part of the model"


def _left(node: NodeLeft) -> str:
    return f"its {node.op} is left to the interpreter: {node.reason}"


def _layer_info(view: View, layer: Layer, engine: _Engine) -> LayerInfo:
    shape = view.shape(layer.output)
    total = shape[1] * shape[2]
    mask = None if layer.multiply is None else layer.multiply.mask
    kept = total if mask is None else int(mask.sum())
    skips: bool | None = False
    reason = ""
    if layer.multiply is not None:
        skips, reason = engine.verdict(view, layer.multiply.op, layer.op)
    macs = 0
    if layer.kind in CONVOLUTIONS:
        shapes = [view.shape(tensor) for tensor in view.op_inputs(layer.op)]
        macs = operation_macs(view.op_kind(layer.op), shapes, shape)
    return LayerInfo(
        name=layer.name,
        kind=layer.kind,
        shape=shape,
        kernel=_kernel(view, layer),
        kept=kept,
        total=total,
        macs_dense=macs,
        macs_kept=macs if skips is False else macs * kept // total,
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


def _lone_mask(view: View, op: int, engine: _Engine) -> LayerInfo | None:
    """A mask that follows no layer, or that the engine sees and cannot use; None for all else."""
    multiply = mask_multiply(view, op)
    if view.op_kind(op) != "MUL":
        return None
    (output,) = view.op_outputs(op)
    name, shape = view.name(output), view.shape(output)
    row = engine.rows.get(name)
    if len(shape) != 4 or (multiply is None and row is None):
        return None
    mask: Mask | None = None if multiply is None else multiply.mask
    data = view.op_inputs(op)[0] if multiply is None else multiply.input
    skips, reason = engine.verdict(view, op, None)
    total = shape[1] * shape[2]
    return LayerInfo(
        name=name,
        kind=view.op_kind(view.producer[data]) if data in view.producer else "input",
        shape=shape,
        kernel=None,
        kept=int(mask.sum()) if mask is not None else row.kept if row else total,
        total=total,
        macs_dense=0,
        macs_kept=0,
        masked=True,
        skips=skips,
        reason=reason,
        mask=mask,
    )
