"""Made-up masks, to learn how fast a model would be before one trains for it."""

from __future__ import annotations

from tflite_sparse.convert import apply_masks
from tflite_sparse.graph import ModelFile, choose_layers, image_size, layer_sizes
from tflite_sparse.graph.file import Source, read_source
from tflite_sparse.masks import MaskSet, propagate_masks


def random_masks(
    tflite: Source, sparsity: float, seed: int = 0, *, input_size: tuple[int, int] | None = None
) -> MaskSet:
    """Propagated masks for the convolutions of a model, chosen like in the paper.

    Args:
        tflite: a path or the bytes of a .tflite.
        sparsity: share of the pixels to mask, in [0, 1).
        seed: of the score map.
        input_size: height and width of the score map; those of the model's image by default.

    Raises OptionError for a sparsity out of range, MaskError if there is no layer to mask, ModelError
    if the model is damaged, or has no image as its input and no `input_size` is given.
    """
    file = ModelFile.read(tflite)
    sizes = layer_sizes(file, choose_layers(file))
    return propagate_masks(sizes, input_size or image_size(file), sparsity, seed)


def masked(
    tflite: Source, sparsity: float, seed: int = 0, *, input_size: tuple[int, int] | None = None
) -> bytes:
    """The model with random masks; itself at sparsity 0."""
    if sparsity == 0:
        return read_source(tflite)[0]
    return apply_masks(tflite, random_masks(tflite, sparsity, seed, input_size=input_size))
