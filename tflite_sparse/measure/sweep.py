"""Made-up masks, to learn how fast a model would be before one trains for it."""

from __future__ import annotations

from tflite_sparse.convert import apply_masks
from tflite_sparse.graph import ModelFile, View, choose_layers
from tflite_sparse.masks import MaskSet, propagate_masks


def random_masks(content: bytes, sparsity: float, seed: int = 0) -> MaskSet:
    """Propagated masks for every convolution of a model, chosen like in the paper.

    Left out are 1 x 1 convolutions in the shortcut of a residual block, and layers whose result is
    an output of the model.

    Raises MaskError if no layer is left or the sparsity is not in [0, 1).
    """
    file = ModelFile.read(content)
    view = View(file, 0)
    layers = [
        layer
        for layer in choose_layers(file, shortcuts=False)
        if layer.subgraph == 0 and layer.masked_output not in view.outputs
    ]
    shapes = {layer.name: _resolution(view, layer.output) for layer in layers}
    return propagate_masks(shapes, _resolution(view, int(view.graph.inputs[0])), sparsity, seed)


def masked(content: bytes, sparsity: float, seed: int = 0) -> bytes:
    """The model with random masks; itself at sparsity 0."""
    if sparsity == 0:
        return content
    return apply_masks(content, random_masks(content, sparsity, seed))


def _resolution(view: View, tensor: int) -> tuple[int, int]:
    _, height, width, *_ = view.shape(tensor)
    return height, width
