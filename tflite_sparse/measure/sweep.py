"""Made-up masks, to learn how fast a model would be before one trains for it."""

from __future__ import annotations

from tflite_sparse.convert import apply_masks
from tflite_sparse.graph import ModelFile, View, choose_layers, image_size
from tflite_sparse.graph.file import Source, read_source
from tflite_sparse.masks import MaskSet, propagate_masks


def random_masks(tflite: Source, sparsity: float, seed: int = 0) -> MaskSet:
    """Propagated masks for every convolution of a model, chosen like in the paper.

    Left out are 1 x 1 convolutions in the shortcut of a residual block, and layers whose result is
    an output of the model.

    Raises MaskError if no layer is left or the sparsity is not in [0, 1), ModelError if the model is
    damaged or has no image as its input.
    """
    file = ModelFile.read(tflite)
    view = View(file, 0)
    layers = [
        layer
        for layer in choose_layers(file, shortcuts=False)
        if layer.subgraph == 0 and layer.masked_output not in view.outputs
    ]
    shapes = {}
    for layer in layers:
        _, height, width, _ = view.shape(layer.output)
        shapes[layer.name] = (height, width)
    return propagate_masks(shapes, image_size(file), sparsity, seed)


def masked(tflite: Source, sparsity: float, seed: int = 0) -> bytes:
    """The model with random masks; itself at sparsity 0."""
    if sparsity == 0:
        return read_source(tflite)[0]
    return apply_masks(tflite, random_masks(tflite, sparsity, seed))
