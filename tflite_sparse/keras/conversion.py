"""From Keras to a masked .tflite."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tflite_sparse.convert.checking import (
    TOLERANCES,
    Array,
    check_masks_present,
    check_result,
    masked_layers,
)
from tflite_sparse.convert.data import (
    RepresentativeData,
    check_quantization,
    check_thresholds,
    require,
    reusable,
    samples,
)
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.convert.names import check_keeps_some, name_layers, placed_masks
from tflite_sparse.errors import ConversionError, OptionError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.inputs import random_inputs
from tflite_sparse.keras.mask import ActivationMask, functional, masked
from tflite_sparse.keras.observer import unobserved
from tflite_sparse.keras.record import as_given, input_specs, record_forward, replaced_calls
from tflite_sparse.keras.set_thresholds import thresholds_of
from tflite_sparse.keras.threshold import ThresholdReLU, rectified
from tflite_sparse.masks.mask_set import Mask, MaskSet
from tflite_sparse.progress import Progress

_MARKER = "tflite_sparse_mask_"


def convert(
    model: Any,
    masks: MaskSet | Mapping[str, npt.ArrayLike] | None = None,
    *,
    quantize: str | None = None,
    representative_data: RepresentativeData | None = None,
    batch_size: int | None = 1,
    tolerance: float | None = None,
    progress: bool = True,
) -> bytes:
    """A .tflite of a Keras model with its masks in fusible form, checked against the model.

    Masks come from the :class:`ActivationMask` layers in the model, from
    ``masks``, or both. A mask named by a convolution stands where training has it:
    after the BatchNormalization and the activation that follow. Masks that keep
    every pixel are left out. In the file the tensor that a convolution gives has the
    layer's name (that of its ActivationMask, if it has one), so that a sidecar with
    names of layers fits the file too.

    Before it is handed out the result runs on the stock interpreter: masked
    pixels must be exactly zero (the zero point), and outputs for one sample
    equal the Keras model's within ``tolerance``.

    Args:
        model: a built functional, sequential or subclassed Keras 3 model with
            the TensorFlow backend and a fixed input size; channels last.
        masks: ``{layer name: [H, W]}``; a fingerprint is a .tflite's, so none is compared.
        quantize: None (float32), ``"float16"`` weights, ``"dynamic"`` (int8
            weights) or ``"int8"`` (weights and activations; inputs and outputs
            stay float32).
        representative_data: for int8: an array ``[N, ...]``, or an iterable (or a
            function that makes one) of samples, each with its batch dimension.
            Its first sample is also what the result is checked with; without it
            normal random numbers are.
        batch_size: of the file, where the model leaves it open. None leaves it open in the
            file too; then tensors behind a Flatten, Reshape or Conv2DTranspose have shapes
            that are known only while it runs, and what follows runs without the delegate.
        tolerance: the largest relative error of an output (Euclidean norm); the
            default depends on ``quantize``: see TOLERANCES in convert/checking.py.
        progress: whether to tell each step on standard error.

    Raises:
        OptionError: unknown ``quantize``, int8 without data, or a batch_size below 1.
        MaskError: an unknown or ambiguous layer, a mask of another size.
        ConversionError: TensorFlow is missing, int8 for a model with thresholds, the converter failed, a mask is not in fusible form
            (names the layer), or the result differs from the model.
    """
    require("tensorflow", "keras")
    check_quantization(quantize, representative_data)
    check_thresholds(quantize, thresholds_of(model))
    representative_data = reusable(representative_data)
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"expected a batch_size of at least 1, or None; found {batch_size}")
    steps = Progress(progress)
    with steps.step("running the Keras model"), unobserved(model):
        inputs = _sample(model, representative_data, batch_size)
        sites = _sites(model, MaskSet(masks) if masks is not None else None, inputs)
        # The model's own ActivationMask layers do in it what they did in training.
        with _masked_calls([site for site in sites if not site.in_model]):
            result = model(as_given(inputs), training=False)
        outputs = [np.asarray(leaf) for leaf in keras.tree.flatten(result)]
    with (
        steps.step(f"converting with {len(sites)} masks"),
        unobserved(model),
        _plain_relus(model),
        _masked_calls(sites),
    ):
        content = _tflite(model, quantize, representative_data, batch_size)
    with steps.step("checking the result"):
        file = ModelFile.read(content)
        make_masks_exact(file)
        check_masks_present(file, {site.name: site.mask for site in sites})
        _name_masked_tensors(file, sites)
        name_layers(file, _kernels(model))
        content = file.to_bytes()
        limit = TOLERANCES[quantize] if tolerance is None else tolerance
        check_result(content, inputs, outputs, limit)
    return content


@contextlib.contextmanager
def _plain_relus(model: Any) -> Iterator[None]:
    """The model with plain ReLUs for thresholds of 0, which need no operations of their own."""
    plain = {
        layer: partial(rectified, max_value=layer.max_value)
        for layer in model._flatten_layers()
        if isinstance(layer, ThresholdReLU) and layer.t == 0
    }
    with replaced_calls(plain):
        yield


@dataclass
class _Site:
    """A layer whose result is masked: under ``name`` in the file, by a copy of ``mask``."""

    name: str
    layer: Any
    mask: Mask
    in_model: bool


def _kernels(model: Any) -> dict[str, Array]:
    kernels = {}
    for layer in model._flatten_layers():
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            kernel = np.asarray(layer.kernel)
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
            kernels[layer.name] = kernel.transpose(3, 0, 1, 2)
    return kernels


def _sites(model: Any, masks: MaskSet | None, inputs: Sequence[Array]) -> list[_Site]:
    """The model's own masks, and those given by name where training has them."""
    sites = [
        _Site(layer.name, layer, np.asarray(layer.mask) != 0, in_model=True)
        for layer in model._flatten_layers()
        if isinstance(layer, ActivationMask)
    ]
    for site in sites:
        check_keeps_some(site.name, site.mask)
    if masks is not None:
        for place, mask in placed_masks(record_forward(model, inputs), masks):
            layer = place.anchor(exact=True)[0].layer
            if not mask.all():
                sites.append(_Site(place.name, layer, mask, in_model=False))
    return sites


@contextlib.contextmanager
def _masked_calls(sites: Sequence[_Site]) -> Iterator[None]:
    """The model with these masks in place, each under a name scope that the file will show."""

    def with_mask(index: int, site: _Site, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            value = args[0] if site.in_model else call(*args, **kwargs)
            with keras.name_scope(f"{_MARKER}{index}"):
                return masked(value, site.mask.astype(np.float32))

        return run

    with replaced_calls({s.layer: with_mask(i, s, s.layer.call) for i, s in enumerate(sites)}):
        yield


def _tflite(
    model: Any, quantize: str | None, data: RepresentativeData | None, batch_size: int | None
) -> bytes:
    import tensorflow as tf

    specs = input_specs(model)
    is_open = any(shape[0] is None for shape, _ in specs)
    fixed = _of_batch(model, batch_size) if batch_size and is_open else model
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    if quantize is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        assert data is not None
        converter.representative_dataset = lambda: (
            [v.astype(np.float32) for v in _in_batches(sample, specs, batch_size)]
            for sample in samples(data)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter raises bare Exceptions of many kinds
        raise ConversionError(f"TFLite's converter failed on {model.name!r}: {error}") from error
    return content


def _name_masked_tensors(file: ModelFile, sites: Sequence[_Site]) -> None:
    """Give masked tensors their layers' names, except outputs, whose names are an interface."""
    for layer in masked_layers(file):
        marker = re.search(_MARKER + r"(\d+)", layer.name)
        graph = file.model.subgraphs[layer.subgraph]
        if marker is not None and layer.masked_output not in list(graph.outputs):
            graph.tensors[layer.masked_output].name = sites[int(marker[1])].name.encode()


def _of_batch(model: Any, batch_size: int) -> Any:
    """The model called on inputs of a fixed batch, so that shapes in it are known."""

    def fixed(value: Any) -> Any:
        batch = batch_size if value.shape[0] is None else value.shape[0]
        return keras.Input(
            batch_shape=(batch, *value.shape[1:]), dtype=value.dtype, name=value.name
        )

    if getattr(model, "inputs", None):
        inputs = keras.tree.map_structure(fixed, functional(model).input)
    else:  # a subclassed model
        inputs = as_given(
            [fixed(keras.KerasTensor(shape, dtype.name)) for shape, dtype in input_specs(model)]
        )
    return keras.Model(inputs, model(inputs), name=model.name)


def _in_batches(
    values: Sequence[Array],
    specs: Sequence[tuple[tuple[int | None, ...], Any]],
    batch_size: int | None,
) -> list[Array]:
    """Samples repeated, or cut, to the batch of a file whose model leaves it open."""
    size = batch_size or 1
    return [
        np.resize(value, (size, *value.shape[1:])) if spec[0][0] is None else value
        for value, spec in zip(values, specs)
    ]


def _sample(model: Any, data: RepresentativeData | None, batch_size: int | None) -> list[Array]:
    specs = input_specs(model)
    if data is not None:
        first = next(iter(samples(data)), None)
        if first is None:
            raise ConversionError("representative_data is empty; expected at least one sample")
        return _in_batches(first, specs, batch_size)
    return random_inputs(
        {
            "name": f"input {index}",
            "shape": [size or batch_size or 1 for size in shape],
            "dtype": dtype,
        }
        for index, (shape, dtype) in enumerate(specs)
    )
