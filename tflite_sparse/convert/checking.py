"""Checking a conversion's result before it is handed out, on the stock interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.convert.exact import make_masks_exact
from tflite_sparse.delegate import delegate_library
from tflite_sparse.errors import ConversionError, DelegateError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import Layer, find_layers
from tflite_sparse.graph.view import View
from tflite_sparse.inputs import dequantized, quantized, random_inputs
from tflite_sparse.interpreter import Interpreter
from tflite_sparse.masks.mask_set import Mask

Array = npt.NDArray[Any]

#: Largest accepted ||converted - source|| / ||source|| of an output (Euclidean norms), by
#: quantisation. Float differs by the order of additions, float16 by weights of 11 bits; what 8
#: bits cost depends on the network, so theirs only tells a working model from a broken one.
TOLERANCES = {None: 1e-3, "float16": 2e-2, "dynamic": 0.5, "int8": 0.5}


class Reference:
    """A model on ai-edge-litert's built-in kernels, without any delegate.

    Args:
        content: the bytes of a .tflite.

    Raises:
        ValueError, RuntimeError: the interpreter does not take the model, say
            for a custom operator.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self.inputs: list[dict[str, Any]] = self._interpreter.get_input_details()
        self.outputs: list[dict[str, Any]] = self._interpreter.get_output_details()

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for one set of inputs, in the order of the model's inputs and outputs."""
        for detail, value in zip(self.inputs, inputs):
            self._interpreter.set_tensor(detail["index"], value)
        self._interpreter.invoke()
        return [self.tensor(detail["index"]) for detail in self.outputs]

    def tensor(self, index: int) -> Array:
        """A copy of a tensor's content after the last run."""
        content: Array = self._interpreter.get_tensor(index)
        return content

    def random_inputs(self, seed: int = 0) -> list[Array]:
        """See :func:`tflite_sparse.inputs.random_inputs`."""
        return random_inputs(self.inputs, seed)


def check_masked_pixels(content: bytes, inputs: Sequence[Array] | None = None) -> int:
    """Run a masked model and compare every masked tensor of its main subgraph.

    Masked pixels must be exactly zero (the zero point), kept ones exactly what
    the layer computed. Float tensors are compared by value, so -0.0 is zero.

    Returns:
        The number of masks checked.

    Raises:
        ConversionError: a pixel differs; names the layer and the pixel.
        ValueError, RuntimeError: the stock interpreter does not take the model.
    """
    model = Reference(content)
    model.run(model.random_inputs() if inputs is None else inputs)
    file = ModelFile.read(content)
    view = View(file, 0)
    checked = 0
    for layer in find_layers(file):
        if layer.multiply is None or layer.subgraph != 0:
            continue
        before, after = model.tensor(layer.output), model.tensor(layer.multiply.output)
        _, points = view.quantization(layer.multiply.output)
        zero = np.asarray(points[0] if points else 0, before.dtype)
        expected = np.where(layer.multiply.mask[None, :, :, None], before, zero)
        wrong = np.argwhere(~((after == expected) | ((after != after) & (expected != expected))))
        if wrong.size:
            at = tuple(int(i) for i in wrong[0])
            raise ConversionError(
                f"layer {layer.name!r}: pixel (batch, row, column, channel) {at} is {after[at]}, "
                f"expected {expected[at]}; {len(wrong)} of {after.size} values differ. Please "
                "report this with the model"
            )
        checked += 1
    return checked


def masked_layers(file: ModelFile) -> list[Layer]:
    """The layers of a model that carry a mask."""
    return [layer for layer in find_layers(file) if layer.multiply is not None]


def check_masks_present(file: ModelFile, masks: Mapping[str, Mask]) -> None:
    """Every mask in the graph, behind a layer that can skip what it masks.

    Masks that keep every pixel are not looked for: converters drop them.

    Raises:
        ConversionError: one is missing; names the layer.
    """
    found = [layer.multiply.mask for layer in masked_layers(file) if layer.multiply is not None]
    for name, mask in masks.items():
        if mask.all():
            continue
        index = next((i for i, other in enumerate(found) if np.array_equal(mask, other)), None)
        if index is None:
            total = make_masks_exact(file)
            raise ConversionError(
                f"the mask of layer {name!r} is not in fusible form after the conversion: expected "
                "CONV -> [activation] -> MUL(mask) with the convolution read by nothing else; "
                f"{len(masked_layers(file))} of {total} masks in the file have that form. Put the "
                "mask directly behind a convolution, its BatchNorm and its activation"
            )
        del found[index]


def check_result(
    content: bytes, inputs: Sequence[Array], outputs: Sequence[Array], tolerance: float
) -> None:
    """Masked pixels exactly zero, and outputs as the source model's, in both interpreters.

    Args:
        content: the converted model.
        inputs: one set of inputs of the source model, in its order.
        outputs: the source model's outputs for them, in its order.
        tolerance: the largest relative error accepted; see TOLERANCES.

    Raises:
        ConversionError: they are not; says by how much.
    """
    model = Reference(content)
    ordered = _in_order(model, inputs)
    check_masked_pixels(content, ordered)
    _compare(content, model.run(ordered), model.outputs, outputs, tolerance)
    own = _run_in_ours(content, ordered)
    if own is not None:
        _compare(content, own, model.outputs, outputs, tolerance)


def _run_in_ours(content: bytes, inputs: Sequence[Array]) -> list[Array] | None:
    """The outputs in this package's interpreter; None where there is no library for this machine.

    Raises:
        ConversionError: it does not take the model.
    """
    try:
        delegate_library()
    except DelegateError:
        return None
    try:
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        for detail, value in zip(interpreter.get_input_details(), inputs):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise ConversionError(
            f"the converted model runs in the stock interpreter, but not in this package's: {error}"
        ) from error
    details = interpreter.get_output_details()
    return [interpreter.get_tensor(detail["index"]) for detail in details]


def _compare(
    content: bytes,
    found: Sequence[Array],
    details: Sequence[dict[str, Any]],
    outputs: Sequence[Array],
    tolerance: float,
) -> None:
    view = View(ModelFile.read(content), 0)
    converted = [
        (dequantized(value, detail), _step(view, detail["index"]))
        for value, detail in zip(found, details)
    ]
    if len(converted) != len(outputs):
        raise ConversionError(
            f"the converted model has {len(converted)} outputs, the source {len(outputs)}"
        )
    for index, source in enumerate(outputs):
        # Converters order outputs by name: the nearest of equal shape is the same one.
        errors = [
            _relative_error(value, source, step) if value.shape == source.shape else np.inf
            for value, step in converted
        ]
        nearest = int(np.argmin(errors))
        if not errors[nearest] <= tolerance:
            raise ConversionError(
                f"output {index} of shape {list(source.shape)} differs from the source model's by "
                f"{errors[nearest]:.2g} of its norm, expected at most {tolerance}; if that "
                "is the price of quantisation, give more representative_data or a larger tolerance"
            )
        del converted[nearest]


def _relative_error(value: Array, source: Array, step: float) -> float:
    """``||value - source|| / ||source||``, Euclidean, beyond one ``step`` in every element."""
    difference = float(np.linalg.norm((value.astype(np.float64) - source).ravel()))
    norm = float(np.linalg.norm(source.astype(np.float64).ravel()))
    excess = max(difference - step * float(np.sqrt(source.size)), 0.0)
    return excess if norm == 0 else excess / norm


def _step(view: View, tensor: int) -> float:
    """What one step of a quantised output is worth, also before a DEQUANTIZE; 0 for float."""
    producer = view.producer.get(tensor)
    if producer is not None and view.op_kind(producer) == "DEQUANTIZE":
        tensor = view.op_inputs(producer)[0]
    scales, _ = view.quantization(tensor)
    return scales[0] if len(scales) == 1 else 0.0


def _in_order(model: Reference, inputs: Sequence[Array]) -> list[Array]:
    """The source's inputs in the converted model's order, by shape, in its types."""
    remaining = list(inputs)
    ordered = []
    for detail in model.inputs:
        shape = tuple(detail["shape"])
        index = next((i for i, value in enumerate(remaining) if value.shape == shape), None)
        if index is None:
            raise ConversionError(
                f"the converted model wants an input {list(shape)}, the source has "
                f"{[list(value.shape) for value in inputs]}"
            )
        value = remaining.pop(index)
        is_real = value.dtype.kind == "f"
        ordered.append(quantized(value, detail) if is_real else value.astype(detail["dtype"]))
    return ordered
