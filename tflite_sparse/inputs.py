"""Values for a model's inputs: pictures, arrays, or made-up numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import ModelError, OptionError
from tflite_sparse.files import read_array, read_image

Array = npt.NDArray[Any]

#: What a folder's pictures end in.
_PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".webp"})


@dataclass(frozen=True)
class Scaling:
    """How a picture's values become a model's input: 0..255 to low..high, then (x - mean) / std.

    Attributes:
        low, high: what 0 and 255 become.
        mean, std: one number, or one per channel.
    """

    low: float = 0.0
    high: float = 1.0
    mean: Sequence[float] = (0.0,)
    std: Sequence[float] = (1.0,)

    def __post_init__(self) -> None:
        if self.low == self.high:
            raise OptionError(f"--range: expected two different numbers, found {self.low} twice")
        if 0 in self.std:
            raise OptionError("--std: expected numbers other than 0")

    def apply(self, pixels: Array) -> npt.NDArray[np.float32]:
        """Pixels [..., C] of 0 to 255, scaled; OptionError if mean or std has not C numbers."""
        for name, found in (("mean", self.mean), ("std", self.std)):
            if len(found) not in (1, pixels.shape[-1]):
                raise OptionError(
                    f"--{name}: expected 1 or {pixels.shape[-1]} numbers, found {len(found)}"
                )
        scaled = self.low + pixels.astype(np.float32) * ((self.high - self.low) / 255)
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return np.asarray((scaled - mean) / std, np.float32)


def read_samples(
    path: str | os.PathLike[str], details: Sequence[dict[str, Any]], where: str, scaling: Scaling
) -> list[Array]:
    """The samples of a file or folder, each a value of the model's one input.

    A picture is one sample, a folder as many as it has pictures, in the order of their names. A .npy
    file holds the input as it is, or several along its first axis if the model's batch is 1.

    Args:
        path: the file or folder.
        details: of the model's inputs, as an interpreter gives them.
        where: what errors call the model.
        scaling: of pictures.

    Raises:
        OptionError: the model has several inputs, or what is read does not fit its one.
        OSError: the file cannot be read.
    """
    if len(details) != 1:
        names = ", ".join(detail["name"] for detail in details)
        raise OptionError(
            f"{where} has {len(details)} inputs ({names}) and --input feeds one; "
            "use tflite_sparse.Interpreter"
        )
    (detail,) = details
    source = Path(path)
    if source.is_dir():
        pictures = sorted(file for file in source.iterdir() if file.suffix.lower() in _PICTURES)
        if not pictures:
            raise OptionError(f"{source}: expected a folder of pictures, found none in it")
        return [_picture(file, detail, where, scaling) for file in pictures]
    if source.suffix == ".npy":
        return _arrays(source, detail, where)
    return [_picture(source, detail, where, scaling)]


def random_inputs(details: Iterable[dict[str, Any]], seed: int = 0) -> list[Array]:
    """Made-up inputs: floats in [-1, 1), all values for 8 and 16 bits, else zeros.

    Zeros because wider integers are indices or counts, which random ones would take out of range.

    Raises ModelError for an input that takes no numbers, such as text.
    """
    generator = np.random.default_rng(seed)
    return [_random_array(generator, detail) for detail in details]


def quantized(values: Array, detail: dict[str, Any]) -> Array:
    """Real values in a tensor's own type and scale; OptionError if it is an integer without one."""
    dtype = np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return values.astype(dtype)
    scale, zero_point = detail["quantization"]
    if dtype.kind not in "iu" or not scale:
        raise OptionError(
            f"the input {detail['name']!r} is of type {dtype} without a scale; give a .npy file"
        )
    limits = np.iinfo(dtype)
    units: Array = np.rint(values / scale) + zero_point
    return units.clip(limits.min, limits.max).astype(dtype)


def dequantized(values: Array, detail: dict[str, Any]) -> Array:
    """A tensor's values as real numbers, float32; as they are if it has no scale."""
    scale, zero_point = detail["quantization"]
    if values.dtype.kind not in "iu" or not scale:
        return values
    real: Array = (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def _random_array(generator: np.random.Generator, detail: dict[str, Any]) -> Array:
    shape, dtype = tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return (2 * generator.random(shape, np.float32) - 1).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if dtype.kind not in "iub":
        name = detail["name"]
        raise ModelError(f"input {name!r} is of type {dtype}; only numbers can be made up for it")
    return np.zeros(shape, dtype)


def _arrays(path: Path, detail: dict[str, Any], where: str) -> list[Array]:
    shape, dtype = tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"])
    array = read_array(path)
    if array.dtype == dtype and array.shape == shape:
        return [array]
    several = shape[:1] == (1,) and array.ndim == len(shape) and array.shape[1:] == shape[1:]
    if array.dtype != dtype or not several or not len(array):
        raise OptionError(
            f"{path} holds {array.dtype} {list(array.shape)}; "
            f"the input {detail['name']!r} of {where} is {dtype} {list(shape)}"
        )
    return [array[index : index + 1] for index in range(len(array))]


def _picture(path: Path, detail: dict[str, Any], where: str, scaling: Scaling) -> Array:
    shape = tuple(int(size) for size in detail["shape"])
    if len(shape) != 4 or shape[0] != 1 or shape[3] not in (1, 3, 4):
        raise OptionError(
            f"the input {detail['name']!r} of {where} is {list(shape)}, which is no image "
            "[1, height, width, 1, 3 or 4 channels]; give a .npy file instead"
        )
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[shape[3]]
    pixels = np.asarray(read_image(path, mode, (shape[2], shape[1]))).reshape(shape)
    return quantized(scaling.apply(pixels), detail)
