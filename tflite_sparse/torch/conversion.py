"""From PyTorch to a masked .tflite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tflite_sparse.convert.checking import TOLERANCES, Array, check_masks_present, check_result
from tflite_sparse.convert.data import (
    RepresentativeData,
    check_quantization,
    check_thresholds,
    require,
    reusable,
    samples,
)
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.convert.multiply import MaskWriter
from tflite_sparse.convert.names import check_keeps_some, name_layers, placed_masks
from tflite_sparse.convert.quantize import quantize_tflite
from tflite_sparse.errors import ConversionError, MaskError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask, MaskSet
from tflite_sparse.progress import Progress
from tflite_sparse.torch.mask import ActivationMask, MaskHook, attach, attached, detach
from tflite_sparse.torch.observer import unobserved
from tflite_sparse.torch.record import evaluating, record_forward, tensors, unwrapped
from tflite_sparse.torch.set_thresholds import thresholds_of


def convert(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    masks: MaskSet | Mapping[str, npt.ArrayLike] | None = None,
    *,
    quantize: str | None = None,
    representative_data: RepresentativeData | None = None,
    tolerance: float | None = None,
    progress: bool = True,
) -> bytes:
    """A .tflite of a PyTorch module with its masks in fusible form, checked against the module.

    Masks come from the :class:`ActivationMask` modules in the model, from a
    sparsifier that trained it, from ``masks``, or several of these. A mask named by
    a convolution stands where training has it: after the BatchNorm and the
    activation that follow. Masks that keep every pixel are left out. In the file
    the tensor that a convolution gives, masked or not, has the module's name, so
    that a sidecar with names of modules fits the file too.

    The file is NHWC, inside and at its borders: inputs and outputs of four
    dimensions have their channels last.

    Before it is handed out the result runs on the stock interpreter: masked
    pixels must be exactly zero (the zero point), and outputs for
    ``example_inputs`` equal the module's within ``tolerance``.

    Args:
        module: a ``torch.nn.Module`` in float32 that ``torch.export`` takes, or its
            DataParallel, DistributedDataParallel, AveragedModel or ``torch.compile``
            wrapper. Converted as in evaluation; its training mode is restored afterwards.
        example_inputs: tensors, channels first, as ``module(*example_inputs)``
            takes them; their shapes become the file's.
        masks: ``{module name: [H, W]}``, names as in ``named_modules``; a
            fingerprint is a .tflite's, so none is compared.
        quantize: None (float32), ``"float16"`` weights, ``"dynamic"`` (int8
            weights) or ``"int8"`` (weights and activations; inputs and outputs
            stay float32).
        representative_data: for int8: an array ``[N, C, H, W]``, or an iterable
            (or a function that makes one) of samples like ``example_inputs``.
        tolerance: the largest relative error of an output (Euclidean norm); the
            default depends on ``quantize``: see TOLERANCES in convert/checking.py.
        progress: whether to tell each step on standard error.

    Raises:
        OptionError: unknown ``quantize``, or int8 without data.
        MaskError: an unknown layer, a mask of another size, a sparsifier that has not
            drawn its masks yet, or one of whose masks is lost with a replaced module.
        ConversionError: litert-torch is missing, int8 for a model with thresholds, the converter failed, a mask is not in fusible form
            (names the layer), or the result differs from the module.
    """
    require("litert_torch", "torch")
    check_quantization(quantize, representative_data)
    check_thresholds(quantize, thresholds_of(module))
    if quantize is not None:
        require("ai_edge_quantizer", "torch")
    representative_data = reusable(representative_data)
    module = unwrapped(module)
    inputs = tuple(example_inputs)
    _check_float32(module, inputs)
    steps = Progress(progress)
    with evaluating(module), unobserved(module), contextlib.ExitStack() as stack:
        with steps.step("running the PyTorch module"):
            stack.enter_context(_named_masks(module, inputs, masks))
            marks = _marks(module)
            with torch.no_grad():
                outputs = [value.numpy() for value in tensors(module(*inputs))]
        with steps.step(f"converting with {len(marks)} masks"):
            with _marked(marks):
                file = ModelFile.read(_tflite(module, inputs, outputs))
            _write_masks(file, marks)
            make_masks_exact(file)
            name_layers(file, _kernels(module))
    content = file.to_bytes()
    channels_last = [_channels_last(value.numpy()) for value in inputs]
    if quantize is not None:
        with steps.step(f"quantising to {quantize}"):
            data = None if representative_data is None else _calibration(representative_data)
            content = quantize_tflite(content, quantize, data)
    with steps.step("checking the result"):
        by_name = {mark.name: mark.mask for mark in marks}
        check_masks_present(ModelFile.read(content), by_name)
        limit = TOLERANCES[quantize] if tolerance is None else tolerance
        expected = [_channels_last(value) for value in outputs]
        check_result(content, channels_last, expected, limit)
    return content


def _check_float32(module: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ConversionError(
                f"{name!r} of {type(module).__name__} is {value.dtype}; a .tflite is made from "
                "float32: call module.float() first (quantize= makes smaller files)"
            )
    for index, value in enumerate(inputs):
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ConversionError(
                f"input {index} of {type(module).__name__} is {value.dtype}; expected float32"
            )


@contextlib.contextmanager
def _named_masks(
    module: nn.Module,
    inputs: Sequence[torch.Tensor],
    masks: MaskSet | Mapping[str, npt.ArrayLike] | None,
) -> Iterator[None]:
    """The masks given by name in force where training has them, besides those in the module."""
    trained = {hook.layer: hook for hook in attached(module)}
    given = {} if masks is None else dict(MaskSet(masks).items())
    for name, hook in trained.items():
        lost = sorted(set(hook.together) - set(trained) - set(given))
        if lost:
            raise MaskError(
                f"layer {lost[0]!r} of {type(module).__name__} was trained with a mask, which is "
                "lost: its module was replaced. Give the mask in masks=, from the sparsifier's "
                "masks()"
            )
        if not hook.is_set and name not in given:
            raise MaskError(
                f"the mask of layer {name!r} is not drawn yet: training is still dense, or this is "
                "a copy from then (averaged weights). Convert after the training; give a copy "
                "masks=sparsifier.masks(); or remove() the sparsifier to convert without masks"
            )
        if hook.is_set and name in given and not np.array_equal(given.pop(name), _mask_of(hook)):
            raise MaskError(
                f"the mask given for layer {name!r} is not the one that its sparsifier put "
                "into the model; leave masks= out, or call the sparsifier's remove() first"
            )
    hooks: list[MaskHook] = []
    undrawn = [hook for hook in trained.values() if not hook.is_set]
    try:
        for place, mask in placed_masks(record_forward(module, inputs), given) if given else ():
            if place.name not in trained:
                hooks.append(attach(place, ()))
            hook = trained.get(place.name) or hooks[-1]
            hook.set_mask(None if mask.all() else torch.from_numpy(mask.copy()))
        yield
    finally:
        detach(module, hooks)
        for hook in undrawn:
            hook.reset()


def _mask_of(hook: MaskHook) -> Mask:
    return np.ones(hook.size, np.bool_) if hook.mask is None else hook.mask


def _kernels(module: nn.Module) -> dict[str, Array]:
    return {
        name: child.weight.detach().cpu().numpy().transpose(0, 2, 3, 1)
        for name, child in module.named_modules()
        if isinstance(child, nn.Conv2d)
    }


@dataclass
class _Mark:
    """A mask in force: its name in the file, and what applies it, a hook or an ActivationMask."""

    name: str
    mask: Mask
    holder: Any


def _marks(module: nn.Module) -> list[_Mark]:
    marks = []
    for name, child in module.named_modules():
        if isinstance(child, ActivationMask):
            marks.append(_Mark(name, child.mask[0, 0].cpu().numpy() != 0, child))
    marks += [_Mark(hook.layer, _mask_of(hook), hook) for hook in attached(module)]
    for mark in marks:
        check_keeps_some(mark.name, mark.mask)
    return [mark for mark in marks if not mark.mask.all()]


@contextlib.contextmanager
def _marked(marks: Sequence[_Mark]) -> Iterator[None]:
    """The module with a pattern in place of every mask.

    The patterns tell the masks apart in the converted graph, where names and
    order are the converter's; they are replaced by the masks afterwards.
    """
    kept = []
    for index, mark in enumerate(marks):
        field = "factor" if isinstance(mark.holder, MaskHook) else "mask"
        kept.append((mark.holder, field, getattr(mark.holder, field)))
        setattr(mark.holder, field, torch.from_numpy(_pattern(index, mark))[None, None])
    try:
        yield
    finally:
        for holder, field, value in kept:
            setattr(holder, field, value)


def _pattern(index: int, mark: _Mark) -> Array:
    """2i + 2 everywhere but for one pixel: unlike any mask, and not one value throughout.

    A multiply by one value throughout would be folded into the weights.
    """
    if mark.mask.size < 2:
        raise MaskError(
            f"layer {mark.name!r} has a single pixel; a mask that removes it removes the layer. "
            "Leave that mask out"
        )
    values = np.full(mark.mask.shape, 2 * index + 2, np.float32)
    values[0, 0] += 1
    return values


def _tflite(module: nn.Module, inputs: tuple[torch.Tensor, ...], outputs: Sequence[Array]) -> bytes:
    import litert_torch
    from litert_torch.fx_infra import decomp

    # ELU as it is would be computed with channels first, between two transposes.
    decomp.update_pre_convert_decomp(torch._decomp.get_decompositions([torch.ops.aten.elu]))
    wrapped = litert_torch.to_channel_last_io(
        module,
        args=[i for i, value in enumerate(inputs) if value.ndim == 4],
        outputs=[i for i, value in enumerate(outputs) if value.ndim == 4],
    ).eval()
    given = tuple(
        value.permute(0, 2, 3, 1).contiguous() if value.ndim == 4 else value for value in inputs
    )
    try:
        model = litert_torch.convert(wrapped, given)
        content: bytes = model.model_content()
    except Exception as error:  # torch.export and the converter raise many kinds
        raise ConversionError(f"litert-torch failed on {type(module).__name__}: {error}") from error
    return content


def _calibration(data: RepresentativeData) -> list[list[Array]]:
    return [[_channels_last(np.asarray(value)) for value in sample] for sample in samples(data)]


def _channels_last(value: Array) -> Array:
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if value.ndim == 4 else value


def _write_masks(file: ModelFile, marks: Sequence[_Mark]) -> None:
    """Put the masks where their patterns are, and their names on the masked tensors."""
    found = set()
    for subgraph in range(len(file.model.subgraphs)):
        view = View(file, subgraph)
        writer = MaskWriter(view)
        for op in range(len(view.ops)):
            if view.op_kind(op) != "MUL":
                continue
            first, second = view.op_inputs(op)
            for data, constant in ((first, second), (second, first)):
                index = _pattern_index(view, constant, marks)
                if index is not None:
                    writer.write(view.ops[op], data, marks[index].mask)
                    found.add(index)
                    output = view.op_outputs(op)[0]
                    if output not in view.outputs:
                        view.graph.tensors[output].name = marks[index].name.encode()
                    break
    for index, mark in enumerate(marks):
        if index not in found:
            raise ConversionError(
                f"the mask of layer {mark.name!r} did not survive the conversion: the converter "
                "merged it with what follows; name another layer"
            )


def _pattern_index(view: View, constant: int, marks: Sequence[_Mark]) -> int | None:
    values = view.real_values(constant)
    if values is None or values.ndim != 4 or values.shape[0] != 1 or values.shape[3] != 1:
        return None
    spatial = values[0, :, :, 0]
    if not np.isfinite(spatial).all():
        return None
    index = int((spatial.flat[-1] - 2) // 2)
    if not 0 <= index < len(marks) or marks[index].mask.shape != spatial.shape:
        return None
    return index if np.array_equal(spatial, _pattern(index, marks[index])) else None
