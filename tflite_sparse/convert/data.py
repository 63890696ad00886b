"""What the converters share: their options, data and needs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Union

import numpy as np

from tflite_sparse.convert.checking import Array
from tflite_sparse.errors import ConversionError, OptionError

QUANTIZATIONS = (None, "float16", "dynamic", "int8")

RepresentativeData = Union[Array, Iterable[Any], Callable[[], Iterable[Any]]]


def require(module: str, extra: str) -> None:
    """Import a package that one of the extras brings.

    Raises:
        ConversionError: it is not installed; says how to install it.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ConversionError(
            f"this conversion needs {module}, which does not import ({error}); install it: "
            f"pip install 'tflite-sparse[{extra}]'"
        ) from error


def check_quantization(quantize: str | None, data: RepresentativeData | None) -> None:
    """Refuse an unknown quantisation, or int8 without data to calibrate it.

    Raises:
        OptionError: says what is known, or what data is expected.
    """
    if quantize not in QUANTIZATIONS:
        raise OptionError(f"unknown quantize={quantize!r}; known are {QUANTIZATIONS}")
    if quantize == "int8" and data is None:
        raise OptionError(
            "quantize='int8' needs representative_data: an array [N, ...] of inputs as the model "
            "will see them, or an iterable of samples (about 100 give good ranges)"
        )


def check_thresholds(quantize: str | None, thresholds: Mapping[str, float]) -> None:
    """Refuse int8 for a model whose ReLUs have thresholds.

    Raises:
        ConversionError: names one of them.
    """
    over = {name: t for name, t in thresholds.items() if t > 0}
    if quantize == "int8" and over:
        name, t = next(iter(over.items()))
        raise ConversionError(
            f"quantize='int8' has no exact form for the threshold {t:g} of {name!r}: its CEIL is "
            "no 8-bit operation, and a rounded difference may pass what the threshold removes. "
            "Convert to float32, or with quantize='float16' or 'dynamic'; or take the thresholds "
            "out with set_thresholds(model, 0.0)"
        )


def reusable(data: RepresentativeData | None) -> RepresentativeData | None:
    """The data in a form that can be gone through more than once."""
    return list(data) if isinstance(data, Iterator) else data


def samples(data: RepresentativeData) -> Iterator[list[Array]]:
    """One list of inputs per sample, each with a batch of one or more.

    An array is cut along its first axis; a sample may be one array, or a list,
    tuple or mapping of a model's several inputs.
    """
    if callable(data):
        data = data()
    pieces: Iterable[Any] = data
    if isinstance(data, np.ndarray):
        pieces = np.split(data, len(data))
    for sample in pieces:
        if isinstance(sample, Mapping):
            sample = list(sample.values())
        values = sample if isinstance(sample, (list, tuple)) else [sample]
        yield [np.asarray(value) for value in values]
