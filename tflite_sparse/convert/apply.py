"""Writing masks into a .tflite."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.convert.multiply import NUMPY_TYPES, MaskWriter
from tflite_sparse.convert.names import resolve_names
from tflite_sparse.errors import ConversionError, MaskError
from tflite_sparse.graph.file import ModelFile, Source
from tflite_sparse.graph.fingerprint import fingerprint
from tflite_sparse.graph.layers import Layer, find_layers
from tflite_sparse.graph.schema import schema
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask, MaskSet

_UNMASKED = "/unmasked"


def apply_masks(
    tflite: Source,
    masks: MaskSet | Mapping[str, npt.ArrayLike],
    *,
    any_model: bool = False,
) -> bytes:
    """A .tflite with a mask after each named layer: ``CONV -> [activation] -> MUL(mask)``.

    The result is an ordinary .tflite: any runtime gives the same numbers, with a
    masked pixel exactly zero (the zero point where quantised), and an
    interpreter with this project's delegate skips the masked pixels. Tensor
    names, signatures, metadata and attached files stay as they were; the
    unmasked tensor gets the suffix ``/unmasked``. Constants of equal masks are
    shared. A mask for a layer that is masked already keeps the pixels that both
    keep. A masked pixel must be finite before the mask: infinity times zero is
    not zero.

    Args:
        tflite: a path or the bytes of a .tflite: float32, float16 or int8
            weights, or int8, uint8 or int16 throughout.
        masks: ``{layer: [H, W]}``; a layer is named by its output tensor, after
            or before the activation, as ``tflite-sparse inspect`` lists it.
        any_model: accept masks whose fingerprint is another model's, say the
            float model's for its int8 version.

    Raises:
        MaskError: an unknown or ambiguous layer, a mask of another size than its
            layer, masks of another model.
        ModelError: the file is damaged, too large, or a layer is of a kind that
            cannot carry a mask.
        ConversionError: the result does not hold every mask (a defect of this package).
        OSError: the file cannot be read.
    """
    file = ModelFile.read(tflite)
    mask_set = masks if isinstance(masks, MaskSet) else MaskSet(masks)
    if not any_model:
        _check_fingerprint(mask_set, file)
    put_masks(file, mask_set)
    return file.to_bytes()


def put_masks(file: ModelFile, masks: Mapping[str, Mask]) -> None:
    """Write masks into a parsed model; see :func:`apply_masks`."""
    make_masks_exact(file)
    chosen = resolve_names(masks, find_layers(file), file.where)
    views = [View(file, index) for index in range(len(file.model.subgraphs))]
    for layer, mask in chosen:
        _check_shape(views[layer.subgraph], layer, mask, file.where)
    for subgraph, view in enumerate(views):
        _put(view, [pair for pair in chosen if pair[0].subgraph == subgraph])
    _check_result(file, {layer.name: mask for layer, mask in chosen})


def _check_fingerprint(masks: MaskSet, file: ModelFile) -> None:
    if masks.fingerprint is None:
        return
    found = fingerprint(file)
    if found != masks.fingerprint:
        raise MaskError(
            f"the masks belong to another model: expected the fingerprint {masks.fingerprint}, "
            f"{file.where} has {found}. Where that is meant, as for the int8 version of a float "
            "model, pass any_model=True (--any-model)"
        )


def _check_shape(view: View, layer: Layer, mask: Mask, where: str) -> None:
    shape = view.shape(layer.output)
    if any(view.dynamic(layer.output)[1:3]):
        raise MaskError(
            f"layer {layer.name!r} of {where} leaves its height or width open; a mask needs fixed "
            "ones: export the model with a fixed input size"
        )
    if mask.shape != shape[1:3]:
        turned = "; it looks transposed" if mask.shape[::-1] == shape[1:3] else ""
        raise MaskError(
            f"the mask of layer {layer.name!r} has the shape {list(mask.shape)}, but the layer's "
            f"output in {where} is {list(shape)}, so expected {list(shape[1:3])}{turned}"
        )
    dtype = view.dtype(layer.output)
    scales, _ = view.quantization(layer.output)
    if dtype not in NUMPY_TYPES or len(scales) > 1 or (dtype != "FLOAT32" and not scales):
        raise MaskError(
            f"layer {layer.name!r} of {where} has an output of type {dtype} with {len(scales)} "
            "scales; expected float32, or an integer with one scale"
        )


def _put(view: View, chosen: list[tuple[Layer, Mask]]) -> None:
    writer = MaskWriter(view)
    after: dict[int, Any] = {}
    for layer, mask in chosen:
        if layer.multiply is not None:
            op = view.ops[layer.multiply.op]
            writer.write(op, layer.multiply.input, layer.multiply.mask & mask)
        else:
            after[view.producer[layer.output]] = _multiply(view, layer, mask, writer)
    operators = []
    for index, op in enumerate(view.ops):
        operators.append(op)
        if index in after:
            operators.append(after[index])
    view.graph.operators = operators


def _multiply(view: View, layer: Layer, mask: Mask, writer: MaskWriter) -> Any:
    """The operator that writes the layer's tensor from a new, unmasked one.

    The tensor itself stays what everything else refers to: consumers, outputs,
    signatures and other files that name it.
    """
    tensors = view.graph.tensors
    unmasked = copy.copy(tensors[layer.output])
    unmasked.quantization = copy.deepcopy(unmasked.quantization)
    unmasked.name = f"{view.name(layer.output)}{_UNMASKED}".encode()
    tensors.append(unmasked)
    index = len(tensors) - 1
    producer = view.ops[view.producer[layer.output]]
    producer.outputs = [index if t == layer.output else int(t) for t in producer.outputs]
    op = schema().OperatorT()
    op.outputs = [layer.output]
    writer.write(op, index, mask)
    return op


def _check_result(file: ModelFile, masks: Mapping[str, Mask]) -> None:
    present = {
        layer.name: layer.multiply.mask for layer in find_layers(file) if layer.multiply is not None
    }
    for name, mask in masks.items():
        if name not in present or (present[name] & ~mask).any():
            raise ConversionError(
                f"layer {name!r} of {file.where} does not carry its mask after the conversion; "
                "please report this with the model"
            )
