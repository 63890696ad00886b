"""From PyTorch to a masked .tflite."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.convert.data import RepresentativeData, check_quantization, reusable, samples
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.convert.multiply import MaskWriter
from tflite_sparse.convert.progress import Progress
from tflite_sparse.convert.quantize import quantize_tflite
from tflite_sparse.convert.reference import Array
from tflite_sparse.convert.resolve import unknown_layer
from tflite_sparse.convert.result import (
    TOLERANCES,
    Expectation,
    check_masks_present,
    check_result,
)
from tflite_sparse.errors import ConversionError, MaskError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask, MaskSet

# What may stand between a convolution and its mask.
_FOLLOWING = (
    "BatchNorm2d",
    "SyncBatchNorm",
    "Dropout",
    "Dropout2d",
    "ELU",
    "GELU",
    "Hardswish",
    "Identity",
    "LeakyReLU",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
)


@dataclass
class _Site:
    """A result that is masked: that of the ``call``-th call of ``module`` in a forward pass."""

    name: str
    module: Any
    call: int
    mask: Mask
    in_model: bool


def convert_torch(
    module: Any,
    example_inputs: Sequence[Any],
    masks: MaskSet | Mapping[str, npt.ArrayLike] | None = None,
    *,
    quantize: str | None = None,
    representative_data: RepresentativeData | None = None,
    tolerance: float | None = None,
    progress: bool = True,
) -> bytes:
    """A .tflite of a PyTorch module with its masks in fusible form, checked against the module.

    Masks come from the :class:`ActivationMask` modules in the model, from
    ``masks``, or both. A mask named by a convolution stands after the BatchNorm
    and the activation modules that follow it. Masks that keep every pixel are
    left out. In the file the masked tensor has the module's name.

    The file is NHWC, inside and at its borders: inputs and outputs of four
    dimensions have their channels last.

    Before it is handed out the result runs on the stock interpreter: masked
    pixels must be exactly zero (the zero point), and outputs for
    ``example_inputs`` equal the module's within ``tolerance``.

    Args:
        module: a ``torch.nn.Module`` that ``torch.export`` takes. Converted as in
            evaluation; its training mode is restored afterwards.
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
            default depends on ``quantize``: see TOLERANCES in convert/result.py.
        progress: whether to tell each step on standard error.

    Raises:
        OptionError: unknown ``quantize``, or int8 without data.
        MaskError: an unknown layer, a mask of another size.
        ConversionError: the converter failed, a mask is not in fusible form
            (names the layer), or the result differs from the module.
    """
    check_quantization(quantize, representative_data)
    representative_data = reusable(representative_data)
    steps = Progress(progress)
    inputs = tuple(example_inputs)
    with _evaluating(module):
        with steps.step("running the PyTorch module"):
            sites = _sites(module, MaskSet(masks) if masks is not None else None, inputs)
            with _masked(module, sites, marked=False):
                outputs = [value.numpy() for value in _tensors(_run(module, inputs))]
        with steps.step(f"converting with {len(sites)} masks"):
            with _masked(module, sites, marked=True):
                file = ModelFile.read(_tflite(module, inputs, outputs))
            _write_masks(file, sites)
            make_masks_exact(file)
    content = file.to_bytes()
    channels_last = [_channels_last(value.numpy()) for value in inputs]
    if quantize is not None:
        with steps.step(f"quantising to {quantize}"):
            data = None if representative_data is None else _calibration(representative_data)
            content = quantize_tflite(content, quantize, data)
    with steps.step("checking the result"):
        by_name = {site.name: site.mask for site in sites}
        check_masks_present(ModelFile.read(content), by_name)
        limit = TOLERANCES[quantize] if tolerance is None else tolerance
        expected = [_channels_last(value) for value in outputs]
        check_result(content, Expectation(by_name, channels_last, expected, limit))
    return content


def _tflite(module: Any, inputs: tuple[Any, ...], outputs: Sequence[Array]) -> bytes:
    import litert_torch

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


# --- where the masks go -------------------------------------------------------------------------


def _sites(module: Any, masks: MaskSet | None, inputs: Sequence[Any]) -> list[_Site]:
    from tflite_sparse.convert.torch_layer import ActivationMask

    sites = [
        _Site(name, child, 0, child.mask[0, 0].cpu().numpy() != 0, in_model=True)
        for name, child in module.named_modules()
        if isinstance(child, ActivationMask)
    ]
    calls = _record_calls(module, inputs)
    for name, mask in [] if masks is None else masks.items():
        call = _after_activation(_call_of(name, calls, type(module).__name__), calls)
        last = calls[call]
        if len(last.shape) != 4 or last.shape[2:] != mask.shape:
            raise MaskError(
                f"the mask of layer {name!r} has the shape {list(mask.shape)}, but the output of "
                f"{last.name!r} is {list(last.shape)}; expected {list(last.shape[2:])}"
            )
        index = sum(other.module is last.module for other in calls[:call])
        other = next((s for s in sites if s.module is last.module and s.call == index), None)
        if other is not None:
            raise MaskError(
                f"two masks for one layer: {other.name!r} and {name!r} both mask the output of "
                f"{last.name!r}; give it one"
            )
        if not mask.all():
            sites.append(_Site(name, last.module, index, mask, in_model=False))
    return [site for site in sites if not site.mask.all()]


@dataclass
class _Call:
    """One call of a module without children, while the whole ran."""

    name: str
    module: Any
    inputs: list[Any]
    output: Any
    shape: tuple[int, ...]


def _record_calls(module: Any, inputs: Sequence[Any]) -> list[_Call]:
    calls: list[_Call] = []
    hooks = []
    for name, child in module.named_modules():
        if next(child.children(), None) is not None:
            continue

        def record(child: Any, given: Any, output: Any, name: str = name) -> None:
            if hasattr(output, "shape"):
                # The tensors are kept, so that no other gets their identity.
                calls.append(_Call(name, child, list(given), output, tuple(output.shape)))

        hooks.append(child.register_forward_hook(record))
    try:
        _run(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _call_of(name: str, calls: Sequence[_Call], where: str) -> int:
    indices = [i for i, call in enumerate(calls) if call.name == name]
    if not indices:
        known = list(dict.fromkeys(call.name for call in calls if len(call.shape) == 4))
        raise MaskError(unknown_layer(name, known, where))
    if len(indices) > 1:
        raise MaskError(
            f"{name!r} runs {len(indices)} times in {where}, so one mask cannot tell its outputs "
            "apart; name the convolution, or put an ActivationMask where the mask belongs"
        )
    return indices[0]


def _after_activation(index: int, calls: Sequence[_Call]) -> int:
    """The last of the BatchNorm and activation calls that alone read this result."""
    while True:
        output = calls[index].output
        readers = [
            i
            for i in range(index + 1, len(calls))
            if any(value is output for value in calls[i].inputs)
        ]
        if not readers or type(calls[readers[0]].module).__name__ not in _FOLLOWING:
            return index
        # An activation in place hands on the tensor it was given: its readers are the next ones.
        if len(readers) > 1 and calls[readers[0]].output is not output:
            return index
        index = readers[0]


@contextlib.contextmanager
def _masked(module: Any, sites: Sequence[_Site], *, marked: bool) -> Iterator[None]:
    """The module with every mask in place; ``marked`` puts patterns in their stead.

    The patterns tell the masks apart in the converted graph, where names and
    order are the converter's; :func:`_write_masks` puts the masks back.
    """
    import torch

    counts: dict[Any, int] = {}
    hooks = [module.register_forward_pre_hook(lambda *_: counts.clear())]
    kept: list[tuple[Any, Any]] = []
    by_module: dict[Any, dict[int, Any]] = {}
    for index, site in enumerate(sites):
        values = _pattern(index, site) if marked else site.mask.astype(np.float32)
        factor = torch.from_numpy(values)[None, None]
        if site.in_model:
            kept.append((site.module, site.module.mask))
            site.module.mask = factor
        else:
            by_module.setdefault(site.module, {})[site.call] = factor
    for child, factors in by_module.items():

        def multiply(child: Any, given: Any, output: Any, factors: Any = factors) -> Any:
            call = counts[child] = counts.get(child, -1) + 1
            return output * factors[call] if call in factors else output

        hooks.append(child.register_forward_hook(multiply))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for child, mask in kept:
            child.mask = mask


def _pattern(index: int, site: _Site) -> Array:
    """2i + 2 everywhere but for one pixel: unlike any mask, and not one value throughout.

    A multiply by one value throughout would be folded into the weights.
    """
    if site.mask.size < 2:
        raise MaskError(
            f"layer {site.name!r} has a single pixel; a mask that removes it removes the layer. "
            "Leave that mask out"
        )
    pattern = np.full(site.mask.shape, 2 * index + 2, np.float32)
    pattern[0, 0] += 1
    return pattern


def _write_masks(file: ModelFile, sites: Sequence[_Site]) -> None:
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
                index = _pattern_index(view, constant, sites)
                if index is not None:
                    writer.write(view.ops[op], data, sites[index].mask)
                    found.add(index)
                    output = view.op_outputs(op)[0]
                    if output not in view.outputs:
                        view.graph.tensors[output].name = sites[index].name.encode()
                    break
    for index, site in enumerate(sites):
        if index not in found:
            raise ConversionError(
                f"the mask of layer {site.name!r} did not survive the conversion: the converter "
                "merged it with what follows; name another layer"
            )


def _pattern_index(view: View, constant: int, sites: Sequence[_Site]) -> int | None:
    values = view.real_values(constant)
    if values is None or values.ndim != 4 or values.shape[0] != 1 or values.shape[3] != 1:
        return None
    spatial = values[0, :, :, 0]
    index = int((spatial.flat[-1] - 2) // 2)
    if not 0 <= index < len(sites) or sites[index].mask.shape != spatial.shape:
        return None
    return index if np.array_equal(spatial, _pattern(index, sites[index])) else None


# --- running ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in training:
            child.training = True


def _run(module: Any, inputs: Sequence[Any]) -> Any:
    import torch

    with torch.no_grad():
        return module(*inputs)


def _tensors(value: Any) -> list[Any]:
    from torch.utils import _pytree

    leaves: list[Any] = _pytree.tree_leaves(value)
    return leaves
