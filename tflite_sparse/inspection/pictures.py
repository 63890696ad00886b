"""Masks as pictures, and a picture seen through its masks (the paper's figure 6)."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np

from tflite_sparse.errors import OptionError
from tflite_sparse.files import read_image, write_atomically
from tflite_sparse.inspection.layer_info import Inspection
from tflite_sparse.masks.mask_set import Mask

_LEAST_SIDE = 224


def write_pictures(
    inspection: Inspection, folder: str | os.PathLike[str], image: str | os.PathLike[str] | None
) -> list[Path]:
    """One PNG per mask: white kept, black masked; or the image with masked pixels black.

    Every pixel of a mask is a square of the picture, whose sides are those of
    the model's input or the next larger multiples of the mask's.

    Returns:
        The paths written, ``NNN-LAYER.png`` in the layers' order.

    Raises:
        OptionError: Pillow is not installed, or the image cannot be read as one.
        OSError: the folder cannot be written.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise OptionError("--png needs Pillow: pip install 'tflite-sparse[bench]'") from error
    picture = None if image is None else read_image(image, "RGB")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, layer in enumerate(inspection.layers):
        if layer.mask is None:
            continue
        enlarged = _enlarged(layer.mask, inspection.input_shape)
        pixels = np.repeat(enlarged[:, :, None] * np.uint8(255), 3, axis=2)
        if picture is not None:
            seen = np.asarray(picture.resize((enlarged.shape[1], enlarged.shape[0])))
            pixels = np.where(enlarged[:, :, None], seen, np.uint8(0))
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", layer.name)[:80]
        paths.append(target / f"{index:03d}-{name}.png")
        write_atomically(paths[-1], buffer.getvalue())
    return paths


def _enlarged(mask: Mask, input_shape: tuple[int, ...]) -> Mask:
    sides = input_shape[1:3] if len(input_shape) == 4 else (_LEAST_SIDE, _LEAST_SIDE)
    rows, columns = (max(1, -(-side // cells)) for side, cells in zip(sides, mask.shape))
    enlarged: Mask = np.repeat(np.repeat(mask, rows, axis=0), columns, axis=1)
    return enlarged
