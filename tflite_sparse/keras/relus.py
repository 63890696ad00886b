"""The ReLUs of a Keras model."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflite_sparse.errors import OptionError
from tflite_sparse.keras.record import input_specs, record_forward
from tflite_sparse.places import Place
from tflite_sparse.training.relus import relu_places


def find_relus(model: Any) -> list[Place]:
    """The places of a model's ReLUs: layers, functions, and activations of other layers.

    Raises:
        OptionError: there is none.
        ConversionError: the model has no input of a known size.
    """
    inputs = [np.zeros([size or 1 for size in shape], dtype) for shape, dtype in input_specs(model)]
    found = relu_places(record_forward(model, inputs))
    if not found:
        raise OptionError(f"{model.name!r} has no ReLU that can be reached; make them layers")
    return found
