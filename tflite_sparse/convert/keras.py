"""From Keras to a masked .tflite."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.convert.data import RepresentativeData, check_quantization, reusable, samples
from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.convert.progress import Progress
from tflite_sparse.convert.reference import Array, random_array
from tflite_sparse.convert.resolve import unknown_layer
from tflite_sparse.convert.result import (
    TOLERANCES,
    Expectation,
    check_masks_present,
    check_result,
    masked_layers,
)
from tflite_sparse.errors import ConversionError, MaskError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.masks.mask_set import Mask, MaskSet

_MARKER = "tflite_sparse_mask_"
# What may stand between a convolution and its mask.
_FOLLOWING = (
    "BatchNormalization",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "Dropout",
    "SpatialDropout2D",
)


@dataclass
class _Site:
    """A layer whose result is masked: under ``name`` in the file, by a copy of ``mask``."""

    name: str
    layer: Any
    mask: Mask
    in_model: bool


def convert_keras(
    model: Any,
    masks: MaskSet | Mapping[str, npt.ArrayLike] | None = None,
    *,
    quantize: str | None = None,
    representative_data: RepresentativeData | None = None,
    tolerance: float | None = None,
    progress: bool = True,
) -> bytes:
    """A .tflite of a Keras model with its masks in fusible form, checked against the model.

    Masks come from the :class:`ActivationMask` layers in the model, from
    ``masks``, or both. A mask named by a convolution stands after the
    BatchNormalization and the activation layers that follow it. Masks that keep
    every pixel are left out. In the file the masked tensor has the layer's name.

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
        tolerance: the largest relative error of an output (Euclidean norm); the
            default depends on ``quantize``: see TOLERANCES in convert/result.py.
        progress: whether to tell each step on standard error.

    Raises:
        OptionError: unknown ``quantize``, or int8 without data.
        MaskError: an unknown or ambiguous layer, a mask of another size.
        ConversionError: the converter failed, a mask is not in fusible form
            (names the layer), or the result differs from the model.
    """
    check_quantization(quantize, representative_data)
    representative_data = reusable(representative_data)
    steps = Progress(progress)
    with steps.step("running the Keras model"):
        inputs = _sample(model, representative_data)
        sites = _sites(model, MaskSet(masks) if masks is not None else None, inputs)
        with _masked_calls(sites):
            outputs = _flat(model(_as_given(inputs), training=False))
    with steps.step(f"converting with {len(sites)} masks"), _masked_calls(sites):
        content = _tflite(model, quantize, representative_data)
    with steps.step("checking the result"):
        file = ModelFile.read(content)
        make_masks_exact(file)
        check_masks_present(file, {site.name: site.mask for site in sites})
        _name_masked_tensors(file, sites)
        content = file.to_bytes()
        limit = TOLERANCES[quantize] if tolerance is None else tolerance
        check_result(
            content,
            Expectation({site.name: site.mask for site in sites}, inputs, outputs, limit),
        )
    return content


def _tflite(model: Any, quantize: str | None, data: RepresentativeData | None) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantize is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        assert data is not None
        converter.representative_dataset = lambda: (
            [value.astype(np.float32) for value in sample] for sample in samples(data)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        content: bytes = converter.convert()
    except Exception as error:  # the converter raises bare Exceptions of many kinds
        raise ConversionError(f"TFLite's converter failed on {model.name!r}: {error}") from error
    return content


# --- where the masks go -------------------------------------------------------------------------


def _sites(model: Any, masks: MaskSet | None, inputs: Sequence[Array]) -> list[_Site]:
    from tflite_sparse.convert.keras_layer import ActivationMask

    layers = [layer for layer in model._flatten_layers() if layer is not model]
    calls = _record_calls(model, layers, inputs)
    sites = [
        _Site(layer.name, layer, np.asarray(layer.mask) != 0, in_model=True)
        for layer in layers
        if isinstance(layer, ActivationMask)
    ]
    for name, mask in [] if masks is None else masks.items():
        call = _call_of(name, calls, model.name)
        last = _after_activation(call, calls)
        if last.shape[1:3] != mask.shape or len(last.shape) != 4:
            raise MaskError(
                f"the mask of layer {name!r} has the shape {list(mask.shape)}, but the output of "
                f"{last.layer.name!r} in {model.name!r} is {list(last.shape)}; expected "
                f"{list(last.shape[1:3])}"
            )
        other = next((site for site in sites if site.layer is last.layer), None)
        if other is not None:
            raise MaskError(
                f"two masks for one layer of {model.name!r}: {other.name!r} and {name!r} both "
                f"mask the output of {last.layer.name!r}; give it one"
            )
        if not mask.all():
            sites.append(_Site(name, last.layer, mask, in_model=False))
    return sites


@dataclass
class _Call:
    """One call of a layer while the model ran."""

    layer: Any
    inputs: list[Any]
    output: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.output.shape)


def _record_calls(model: Any, layers: Sequence[Any], inputs: Sequence[Array]) -> list[_Call]:
    calls: list[_Call] = []

    def recorded(layer: Any, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            if hasattr(output, "shape"):
                calls.append(_Call(layer, _flat(args, arrays=False), output))
            return output

        return run

    with _replaced_calls({layer: recorded(layer, layer.call) for layer in layers}):
        model(_as_given(inputs), training=False)
    return calls


def _call_of(name: str, calls: Sequence[_Call], where: str) -> _Call:
    named = [call for call in calls if name in {call.layer.name, call.layer.path}]
    if not named:
        known = list(dict.fromkeys(call.layer.name for call in calls if len(call.shape) == 4))
        raise MaskError(unknown_layer(name, known, repr(where)))
    if len(named) > 1:
        raise MaskError(
            f"{name!r} runs {len(named)} times in {where!r}, so one mask cannot tell its outputs "
            "apart; name the convolution, or put an ActivationMask layer where the mask belongs"
        )
    return named[0]


def _after_activation(call: _Call, calls: Sequence[_Call]) -> _Call:
    """The last of the BatchNormalization and activation layers that alone read this result."""
    while True:
        readers = [other for other in calls if any(value is call.output for value in other.inputs)]
        # A nested model is a reader too, of what its own first layer reads.
        readers = [other for other in readers if not hasattr(other.layer, "layers")]
        if len(readers) != 1 or type(readers[0].layer).__name__ not in _FOLLOWING:
            return call
        if sum(other.layer is readers[0].layer for other in calls) > 1:
            raise MaskError(
                f"the activation layer {readers[0].layer.name!r} behind {call.layer.name!r} is used "
                "more than once, so its results cannot be masked apart; give each convolution a "
                "layer of its own, or put an ActivationMask layer where the mask belongs"
            )
        call = readers[0]


@contextlib.contextmanager
def _masked_calls(sites: Sequence[_Site]) -> Iterator[None]:
    """The model with every mask in place, each under a name scope that the file will show."""
    import keras

    from tflite_sparse.convert.keras_layer import masked

    def with_mask(index: int, site: _Site, call: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            value = call(*args, **kwargs) if not site.in_model else args[0]
            with keras.name_scope(f"{_MARKER}{index}"):
                return masked(value, site.mask.astype(np.float32))

        return run

    with _replaced_calls(
        {site.layer: with_mask(i, site, site.layer.call) for i, site in enumerate(sites)}
    ):
        yield


@contextlib.contextmanager
def _replaced_calls(calls: Mapping[Any, Any]) -> Iterator[None]:
    # Around Keras's own attribute tracking, so that the model is afterwards as it was.
    for layer, call in calls.items():
        object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        for layer in calls:
            object.__delattr__(layer, "call")


def _name_masked_tensors(file: ModelFile, sites: Sequence[_Site]) -> None:
    """Give masked tensors their layers' names, except outputs, whose names are an interface."""
    for layer in masked_layers(file):
        marker = re.search(_MARKER + r"(\d+)", layer.name)
        graph = file.model.subgraphs[layer.subgraph]
        if marker is not None and layer.masked_output not in list(graph.outputs):
            graph.tensors[layer.masked_output].name = sites[int(marker[1])].name.encode()


# --- inputs -------------------------------------------------------------------------------------


def _sample(model: Any, data: RepresentativeData | None) -> list[Array]:
    specs = _input_specs(model)
    if data is not None:
        first = next(iter(samples(data)), None)
        if first is None:
            raise ConversionError("representative_data is empty; expected at least one sample")
        # One picture: a model of open batch becomes a file of batch 1.
        return [value[:1] if spec[0][0] is None else value for value, spec in zip(first, specs)]
    generator = np.random.default_rng(0)
    return [
        random_array(generator, tuple(1 if size is None else size for size in shape), dtype)
        for shape, dtype in specs
    ]


def _input_specs(model: Any) -> list[tuple[tuple[int | None, ...], np.dtype[Any]]]:
    try:
        inputs = _flat(model.inputs, arrays=False)
    except AttributeError:
        inputs = None
    if inputs:
        specs = [(tuple(value.shape), np.dtype(value.dtype)) for value in inputs]
    else:
        shapes = _flat_shapes(getattr(model, "_build_shapes_dict", None) or {})
        specs = [(shape, np.dtype(np.float32)) for shape in shapes]
    if not specs:
        raise ConversionError(
            f"{model.name!r} has no input shape yet: call it once on an input, or build it"
        )
    for shape, _ in specs:
        if None in shape[1:]:
            raise ConversionError(
                f"{model.name!r} leaves its input size open: {list(shape)}; masks need a fixed one. "
                "Build the model with Input((height, width, channels))"
            )
    return specs


def _flat_shapes(value: Any) -> list[tuple[int | None, ...]]:
    if isinstance(value, Mapping):
        return [shape for part in value.values() for shape in _flat_shapes(part)]
    if isinstance(value, (list, tuple)) and all(isinstance(v, (int, type(None))) for v in value):
        return [tuple(value)]
    return [shape for part in value for shape in _flat_shapes(part)]


def _as_given(inputs: Sequence[Array]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _flat(value: Any, arrays: bool = True) -> list[Any]:
    import keras

    leaves = keras.tree.flatten(value)
    return [np.asarray(leaf) for leaf in leaves] if arrays else leaves
