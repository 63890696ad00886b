"""The zeros and effective multiply-accumulates of a .tflite, on the stock interpreter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from tflite_sparse.activity import ActivityMeter, ActivityReport, Bools, Counts, Multiplications
from tflite_sparse.convert.checking import Array, Reference
from tflite_sparse.errors import ModelError, OptionError
from tflite_sparse.graph.file import ModelFile, Source, read_source
from tflite_sparse.graph.view import View
from tflite_sparse.inputs import Scaling, read_samples
from tflite_sparse.macs import operation_macs

#: Operations that multiply activations by weights -> the input that holds the activations.
_DATA_INPUT = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}

Sample = Union[Array, Sequence[Array]]


def measure_activity(
    model: Source, inputs: Iterable[Sample], *, label: str | None = None
) -> ActivityReport:
    """How many zeros each layer of a .tflite reads, and the multiplications that leaves.

    The model runs in the stock interpreter, without any delegate, with every tensor kept. Convolutions
    (also depthwise and transposed ones) and fully connected layers of the main subgraph are counted. In
    a quantised layer a value is zero if it is the zero point.

    Args:
        model: a path or the bytes of a .tflite.
        inputs: the samples, each an array in the shape and type of the model's input, or a sequence of
            them if it has several. An array with more than one sample along its first axis is split,
            if the model's batch is 1.
        label: what the report and errors call the model; its path by default.

    Returns:
        The report; a sample is one inference.

    Raises:
        ModelError: the file is damaged, or the stock interpreter refuses it.
        OptionError: a sample does not fit the model, or there is none.
        OSError: the file cannot be read.
    """
    content, where = read_source(model)
    return _measure(content, label or where, "arrays", lambda details: _split(inputs, details))


def measure_file_activity(model: Path, inputs: Path, scaling: Scaling) -> ActivityReport:
    """The same for the samples of a file or folder; see `read_samples` for these."""
    where = str(model)
    return _measure(
        model.read_bytes(),
        where,
        str(inputs),
        lambda details: ([value] for value in read_samples(inputs, details, where, scaling)),
    )


def _measure(
    content: bytes,
    where: str,
    source: str,
    samples: Callable[[Sequence[dict[str, Any]]], Iterable[Sequence[Array]]],
) -> ActivityReport:
    view = View(ModelFile.read(content, where), 0)
    try:
        reference = Reference(content)
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{where}: the interpreter refuses the model: {text}") from error
    layers: list[_Layer] = []
    meter = ActivityMeter()
    for sample in samples(reference.inputs):
        _check(sample, reference.inputs, where)
        try:
            reference.run(sample)
        except RuntimeError as error:
            raise ModelError(f"{where}: the inference failed: {error}") from error
        layers = layers or _find_layers(view, reference)
        for layer in layers:
            values = layer.real_values(reference.tensor(layer.data))
            meter.add(layer.name, layer.op, values[None], layer.multiplications, layer.macs)
    if not layers:
        raise OptionError(
            f"{where}: expected at least one sample, and a model with a convolution or fully "
            "connected layer; found none"
        )
    return meter.report(where, source)


class _Layer:
    """One operation that multiplies activations by weights."""

    def __init__(self, view: View, op: int, name: str, model: Reference) -> None:
        self.op = view.op_kind(op)
        self.name = name
        tensors = view.op_inputs(op)
        self.data = tensors[_DATA_INPUT[self.op]]
        scales, points = view.quantization(self.data)
        self._scale, self._zero = (scales or (1.0,))[0], (points or (0,))[0]
        weights = model.tensor(tensors[1])
        nonzero = weights != _zero_point(view, tensors[1])
        shape = model.tensor(self.data).shape
        output = model.tensor(view.op_outputs(op)[0]).shape
        self.macs = operation_macs(
            self.op, [model.tensor(tensor).shape for tensor in tensors], output
        )
        options = view.ops[op].builtinOptions
        if self.op == "FULLY_CONNECTED":
            self.multiplications = Multiplications(nonzero.sum(axis=0))
            return
        # One inference is one sample: its batch is an axis like height and width, with a kernel of 1.
        strides = (1, int(options.strideH), int(options.strideW))
        dilations = (1, *(_dilation(options, axis) for axis in "HW"))
        is_transposed = self.op == "TRANSPOSE_CONV"
        wide, narrow = (output, shape) if is_transposed else (shape, output)
        padding = [0, 0, 0]
        if options.padding == 0:  # SAME: half of what is needed comes first
            for axis in (1, 2):
                reach = (weights.shape[axis] - 1) * dilations[axis] + 1
                missing = (narrow[axis] - 1) * strides[axis] + reach - wide[axis]
                padding[axis] = max(missing, 0) // 2
        self.multiplications = Multiplications(
            _met(self.op, nonzero, shape[3])[None],
            output[:3],
            strides,
            dilations,
            tuple(padding),
            is_transposed,
        )

    def real_values(self, stored: Array) -> Array:
        """What the layer's input stands for; exactly zero where it is the zero point."""
        if stored.dtype.kind == "f":
            return stored
        return (stored.astype(np.int64) - self._zero) * self._scale


def _find_layers(view: View, model: Reference) -> list[_Layer]:
    layers = []
    names: set[str] = set()
    for op in range(len(view.ops)):
        if view.op_kind(op) in _DATA_INPUT:
            name = view.name(view.op_outputs(op)[0])
            layers.append(_Layer(view, op, f"{name} #{op}" if name in names else name, model))
            names.add(name)
    return layers


def _met(op: str, nonzero: Bools, channels: int) -> Counts:
    """Nonzero weights that one activation meets at each tap, [height, width, channels]."""
    if op == "DEPTHWISE_CONV_2D":  # [1, height, width, channels * multiplier]
        met: Counts = nonzero.reshape(*nonzero.shape[1:3], channels, -1).sum(axis=-1)
        return met
    # [outputs, height, width, channels of a group]
    groups = channels // nonzero.shape[3]
    parts = [part.sum(axis=0) for part in np.split(nonzero, groups)]
    return np.concatenate(parts, axis=-1)


def _dilation(options: Any, axis: str) -> int:
    return int(getattr(options, f"dilation{axis}Factor", 1) or 1)


def _zero_point(view: View, tensor: int) -> Any:
    """The stored value that means zero: a number, or an array that broadcasts over the tensor."""
    _, points = view.quantization(tensor)
    if len(points) <= 1:
        return points[0] if points else 0
    axis = int(view.graph.tensors[tensor].quantization.quantizedDimension)
    shape = [1] * len(view.shape(tensor))
    shape[axis] = len(points)
    return np.reshape(points, shape)


def _split(
    inputs: Iterable[Sample], details: Sequence[dict[str, Any]]
) -> Iterable[Sequence[Array]]:
    for sample in [inputs] if isinstance(inputs, np.ndarray) else inputs:
        if not isinstance(sample, np.ndarray):
            yield sample
            continue
        shape = tuple(int(size) for size in details[0]["shape"])
        several = shape[:1] == (1,) and sample.ndim == len(shape) and len(sample) != 1
        for part in np.split(sample, len(sample)) if several and len(sample) else [sample]:
            yield [part]


def _check(sample: Sequence[Array], details: Sequence[dict[str, Any]], where: str) -> None:
    found = [f"{value.dtype} {list(value.shape)}" for value in sample]
    expected = [
        f"{np.dtype(detail['dtype'])} {[int(size) for size in detail['shape']]}"
        for detail in details
    ]
    if found != expected:
        raise OptionError(
            f"{where} has the inputs {', '.join(expected)}; found a sample of {', '.join(found)}"
        )
