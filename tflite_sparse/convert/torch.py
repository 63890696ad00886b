"""From PyTorch to a masked .tflite."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.convert.data import (
    RepresentativeData,
    check_quantization,
    require,
    reusable,
    samples,
)
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.convert.multiply import MaskWriter
from tflite_sparse.convert.quantize import quantize_tflite
from tflite_sparse.convert.reference import Array
from tflite_sparse.convert.result import TOLERANCES, check_masks_present, check_result
from tflite_sparse.convert.torch_mode import evaluating
from tflite_sparse.convert.torch_sites import (
    Site,
    attached_sites,
    find_sites,
    masked_forward,
    pattern,
    run,
    without,
)
from tflite_sparse.errors import ConversionError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import MaskSet
from tflite_sparse.progress import Progress


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

    Masks come from the :class:`ActivationMask` modules in the model, from a
    sparsifier that trained it, from ``masks``, or several of these. A mask named by a convolution stands after the BatchNorm
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
        ConversionError: litert-torch is missing, the converter failed, a mask is not in fusible form
            (names the layer), or the result differs from the module.
    """
    require("litert_torch", "torch")
    check_quantization(quantize, representative_data)
    if quantize is not None:
        require("ai_edge_quantizer", "torch")
    representative_data = reusable(representative_data)
    from tflite_sparse.convert.torch_attached import unmasked

    steps = Progress(progress)
    inputs = tuple(example_inputs)
    with evaluating(module), contextlib.ExitStack() as stack:
        with steps.step("running the PyTorch module"):
            sites = attached_sites(module)
            stack.enter_context(unmasked(module))
            sites += find_sites(module, without(sites, masks), inputs)
            with masked_forward(module, sites, marked=False):
                outputs = [value.numpy() for value in _tensors(run(module, inputs))]
        with steps.step(f"converting with {len(sites)} masks"):
            with masked_forward(module, sites, marked=True):
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
        check_result(content, channels_last, expected, limit)
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


def _write_masks(file: ModelFile, sites: Sequence[Site]) -> None:
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


def _pattern_index(view: View, constant: int, sites: Sequence[Site]) -> int | None:
    values = view.real_values(constant)
    if values is None or values.ndim != 4 or values.shape[0] != 1 or values.shape[3] != 1:
        return None
    spatial = values[0, :, :, 0]
    if not np.isfinite(spatial).all():
        return None
    index = int((spatial.flat[-1] - 2) // 2)
    if not 0 <= index < len(sites) or sites[index].mask.shape != spatial.shape:
        return None
    return index if np.array_equal(spatial, pattern(index, sites[index])) else None


def _tensors(value: Any) -> list[Any]:
    from torch.utils import _pytree

    leaves: list[Any] = _pytree.tree_leaves(value)
    return leaves
