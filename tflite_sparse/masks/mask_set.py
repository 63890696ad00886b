"""The masks of one model."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.files import write_atomically
from tflite_sparse.masks import c_header, sidecar

Mask = npt.NDArray[np.bool_]


class MaskSet(Mapping[str, Mask]):
    """An immutable mapping from the name of a layer or tensor to its activation mask.

    A mask is a read-only bool array ``[H, W]`` over the pixels of one
    convolution's output: ``True`` is a kept pixel, ``False`` a masked one.

    Args:
        masks: a mapping ``{name: [H, W]}`` or an iterable of ``(name, [H, W])``
            pairs. Arrays may be bool or numeric with nothing but 0 and 1.
        seed: the seed that made the masks, if known.
        sparsity: the sparsity asked for when they were made, in [0, 1], if known.
        fingerprint: the fingerprint of the model the masks belong to, as
            :func:`tflite_sparse.graph.fingerprint` gives it, if known. With it,
            :func:`tflite_sparse.apply_masks` refuses any other model.

    Raises:
        MaskError: no mask at all, a name twice, an array that is not binary, not
            two-dimensional or empty.
        OptionError: the sparsity is not in [0, 1].
    """

    def __init__(
        self,
        masks: Mapping[str, npt.ArrayLike] | Iterable[tuple[str, npt.ArrayLike]],
        *,
        seed: int | None = None,
        sparsity: float | None = None,
        fingerprint: str | None = None,
    ) -> None:
        pairs = masks.items() if isinstance(masks, Mapping) else masks
        self._masks = _checked(pairs)
        self._seed = seed
        self._sparsity = _checked_sparsity(sparsity)
        self._fingerprint = fingerprint

    @property
    def seed(self) -> int | None:
        """The seed that made the masks, or None where it is not known."""
        return self._seed

    @property
    def target_sparsity(self) -> float | None:
        """The sparsity asked for when the masks were made, or None where it is not known."""
        return self._sparsity

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the model the masks belong to, or None for any model."""
        return self._fingerprint

    @property
    def sparsity(self) -> float:
        """Masked pixels over all pixels, of all masks together, in [0, 1]."""
        total = sum(mask.size for mask in self._masks.values())
        return 1.0 - sum(self.kept(name) for name in self) / total

    def kept(self, name: str) -> int:
        """The number of kept pixels of one mask."""
        return int(np.count_nonzero(self._masks[name]))

    def sparsity_of(self, name: str) -> float:
        """Masked pixels over all pixels of one mask, in [0, 1]."""
        return 1.0 - self.kept(name) / self._masks[name].size

    def replace(self, **metadata: Any) -> MaskSet:
        """The same masks with other ``seed``, ``sparsity`` or ``fingerprint``."""
        return MaskSet(self._masks, **{**self._metadata(), **metadata})

    def _metadata(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "sparsity": self._sparsity,
            "fingerprint": self._fingerprint,
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sidecar file, an .npz that ``numpy.load`` reads too.

        Equal masks are stored once. A file already at ``path`` is replaced only
        by a complete new one. docs/model-format.md describes the content.

        Raises:
            OSError: ``path`` cannot be written.
        """
        write_atomically(path, sidecar.encode(self._masks, self._metadata()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MaskSet:
        """Read a sidecar (.npz), or the C header (.h) that the paper's training code writes.

        Nothing in the file is executed or unpickled, and a file that would
        unpack to more than the format can need is refused.

        Raises:
            MaskError: the file is not a sidecar, is damaged, or is of a newer format.
            OSError: the file cannot be read.
        """
        where, content = os.fspath(path), Path(path).read_bytes()
        metadata: dict[str, Any] = {}
        if Path(path).suffix in {".h", ".hpp"}:
            pairs = c_header.decode(content, where)
        else:
            pairs, metadata = sidecar.decode(content, where)
        try:
            return cls(pairs, **metadata)
        except (MaskError, OptionError) as error:
            raise MaskError(f"{where}: {error}") from error

    def __getitem__(self, name: str) -> Mask:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MaskSet):
            return NotImplemented
        return (
            self._seed == other._seed
            and self._sparsity == other._sparsity
            and self._fingerprint == other._fingerprint
            and self._masks.keys() == other._masks.keys()
            and all(np.array_equal(mask, other[name]) for name, mask in self.items())
        )

    def __hash__(self) -> int:
        return hash(
            (
                self._seed,
                self._sparsity,
                self._fingerprint,
                frozenset((name, mask.shape, mask.tobytes()) for name, mask in self.items()),
            )
        )

    def __repr__(self) -> str:
        return f"MaskSet({len(self)} masks, {self.sparsity:.1%} of their pixels masked)"


def _checked(pairs: Iterable[tuple[str, npt.ArrayLike]]) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for name, array in pairs:
        if not isinstance(name, str) or not name:
            raise MaskError(
                f"a mask is named by the layer or tensor it belongs to: expected a non-empty "
                f"string, found {name!r}"
            )
        if name in masks:
            raise MaskError(
                f"layer {name!r} has two masks; give one mask per layer (their product keeps "
                "the pixels that both keep)"
            )
        masks[name] = as_mask(array, name)
    if not masks:
        raise MaskError("expected at least one mask, found an empty set; leave masks out instead")
    return masks


def as_mask(array: npt.ArrayLike, name: str) -> Mask:
    """A read-only bool copy of a binary ``[H, W]`` array; ``name`` is for the error's text.

    Raises:
        MaskError: the array is not two-dimensional, is empty, or holds anything but 0 and 1.
    """
    try:
        values = np.asarray(array)
    except ValueError as error:
        raise MaskError(
            f"the mask of layer {name!r} is not an array [H, W]: its rows differ in length"
        ) from error
    if values.ndim != 2 or values.size == 0:
        raise MaskError(
            f"the mask of layer {name!r} has the shape {list(values.shape)}; expected [H, W] with "
            "H and W at least 1 (a mask has no batch and no channels)"
        )
    if values.dtype.kind not in "buif":
        raise MaskError(
            f"the mask of layer {name!r} has elements of type {values.dtype}; expected bool or "
            "numbers 0 and 1"
        )
    mask: Mask = np.array(values != 0)
    odd = values[mask & (values != 1)]
    if odd.size:
        raise MaskError(
            f"the mask of layer {name!r} is not binary: found {odd.flat[0]} among its {mask.size} "
            "values; expected only 0 (masked) and 1 (kept). Compare with a threshold first"
        )
    mask.flags.writeable = False
    return mask


def _checked_sparsity(sparsity: float | None) -> float | None:
    if sparsity is None:
        return None
    if not (math.isfinite(sparsity) and 0.0 <= sparsity <= 1.0):
        raise OptionError(f"sparsity is a fraction: expected 0 to 1, found {sparsity}")
    return float(sparsity)
