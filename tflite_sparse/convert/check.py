"""Checking a masked model before it is handed out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tflite_sparse.convert.reference import Array, Reference
from tflite_sparse.errors import ConversionError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import find_layers
from tflite_sparse.graph.view import View


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
