"""Fashion-MNIST: 60,000 pictures of clothes to train on, 10,000 to test, of ten classes."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

CLASSES = (
    *("T-shirt", "trousers", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
SIZE = 28
#: Mean and standard deviation of the training pictures' pixels, 0 to 1.
MEAN, DEVIATION = 0.2860, 0.3530
BATCH = 128
#: Pixels by which a training picture is moved, at most.
SHIFT = 2

_COUNTS = {"train": 60_000, "t10k": 10_000}


def folder() -> Path:
    """Where the four files are: $FASHION_MNIST, or where Debian's dataset-fashion-mnist has them."""
    return Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


def load(split: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pictures ``[N, 28, 28]``, 0 to 255, and their classes ``[N]`` of "train" or "t10k" (test).

    Raises SystemExit if the files are not there, or not what they should be.
    """
    count = _COUNTS[split]
    images = _read(f"{split}-images-idx3-ubyte.gz", 16, count * SIZE * SIZE)
    labels = _read(f"{split}-labels-idx1-ubyte.gz", 8, count)
    return images.reshape(count, SIZE, SIZE), labels.astype(np.int64)


def normalized(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What the networks take: ``[N, H, W, 1]`` of mean 0 and deviation 1."""
    scaled = (images.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(scaled[..., None], np.float32)


def resized(images: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """The pictures with `size` x `size` pixels, each the mean of the area it covers."""
    if size == SIZE:
        return images
    from PIL import Image

    small = [Image.fromarray(image).resize((size, size), Image.Resampling.BOX) for image in images]
    return np.stack([np.asarray(image) for image in small])


def pictures(split: str, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """A split as a network of `size` x `size` pixels takes it, and the classes; see `load`."""
    images, labels = load(split)
    return normalized(resized(images, size)), labels


def batches(
    images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], seed: int, epoch: int
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """An epoch of shuffled batches, moved and mirrored: the same ones for the same seed and epoch.

    `images` are ``[N, H, H, 1]``; what is left over at the end is left out.
    """
    draw = np.random.default_rng([seed, epoch])
    size = images.shape[1]
    border = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT))
    bordered = np.pad(images[..., 0], border, constant_values=images.min())
    pixels = np.arange(size)
    order = draw.permutation(len(images))
    for first in range(0, len(images) - BATCH + 1, BATCH):
        chosen = order[first : first + BATCH]
        moves = draw.integers(0, 2 * SHIFT + 1, (2, BATCH, 1))
        mirrored = draw.random((BATCH, 1)) < 0.5
        rows = moves[0] + pixels
        columns = moves[1] + np.where(mirrored, pixels[::-1], pixels)
        batch = bordered[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        yield batch[..., None], labels[chosen]


def _read(name: str, header: int, size: int) -> npt.NDArray[np.uint8]:
    path = folder() / name
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise SystemExit(
            f"error: no {path}; install Debian's dataset-fashion-mnist, or put the four .gz files "
            "of Fashion-MNIST into a folder and name it in $FASHION_MNIST"
        ) from None
    except (OSError, EOFError) as error:
        raise SystemExit(f"error: {path} cannot be read: {error}") from None
    if len(content) != header + size:
        raise SystemExit(f"error: {path}: expected {header + size} bytes, found {len(content)}")
    return np.frombuffer(content, np.uint8, offset=header)
