"""Made-up masks, to learn how fast a model would be before one trains for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tflite_sparse.convert import apply_masks
from tflite_sparse.graph import (
    ModelFile,
    added_layers,
    choose_layers,
    fingerprint,
    image_size,
    layer_sizes,
)
from tflite_sparse.graph.file import Source, read_source
from tflite_sparse.masks import MaskSet
from tflite_sparse.masks.patterns import DEFAULT_PATTERN, make_masks


def made_masks(
    tflite: Source,
    sparsity: float,
    seed: int = 0,
    *,
    pattern: str = DEFAULT_PATTERN,
    input_size: tuple[int, int] | None = None,
    layers: str | Sequence[str] = "paper",
    kinds: Collection[str] = ("conv", "depthwise"),
) -> MaskSet:
    """Masks of a pattern for layers of a model.

    Args:
        tflite: a path or the bytes of a .tflite.
        sparsity: share of the pixels to mask, in [0, 1).
        seed: of the pattern.
        pattern: one of :data:`tflite_sparse.masks.patterns.PATTERNS`.
        input_size: height and width of the score map; those of the model's image by default.
        layers: as for `choose_layers`; by default chosen like in the paper.
        kinds: the same.

    Raises OptionError for a sparsity or pattern out of range, MaskError if there is no layer to mask,
    ModelError if the model is damaged, or has no image as its input and no `input_size` is given.
    """
    file = ModelFile.read(tflite)
    chosen = choose_layers(file, layers, kinds=kinds)
    masks = make_masks(
        pattern,
        layer_sizes(file, chosen),
        input_size or image_size(file),
        sparsity,
        seed,
        added_layers(file, chosen),
    )
    return masks.replace(fingerprint=fingerprint(file))


def masked(
    tflite: Source,
    sparsity: float,
    seed: int = 0,
    *,
    pattern: str = DEFAULT_PATTERN,
    input_size: tuple[int, int] | None = None,
) -> bytes:
    """The model with made-up masks; itself at sparsity 0."""
    if sparsity == 0:
        return read_source(tflite)[0]
    masks = made_masks(tflite, sparsity, seed, pattern=pattern, input_size=input_size)
    return apply_masks(tflite, masks)
