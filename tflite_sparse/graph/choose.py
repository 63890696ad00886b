"""Choosing the layers that get a mask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

from tflite_sparse.errors import MaskError, ModelError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import KINDS, Layer, find_layers, keeps_pixels
from tflite_sparse.graph.view import View
from tflite_sparse.places import is_branch_of


def choose_layers(
    file: ModelFile,
    layers: str | Sequence[str] = "paper",
    *,
    kinds: Collection[str] = ("conv", "depthwise"),
) -> list[Layer]:
    """The layers of a model to mask, chosen and named as ``ActivationSparsifier`` does.

    Layers of a single pixel are never chosen: there is nothing to skip in them.

    Args:
        file: the model.
        layers: ``"paper"``: all but 1 x 1 convolutions in the shortcut of a residual block;
            ``"all"``; or one or several shell patterns of names (``*`` and ``?``).
        kinds: of ``conv``, ``depthwise``, ``transpose``, ``add``, ``pool``.

    Raises:
        MaskError: an unknown kind, a pattern that matches nothing, or no layer left.
    """
    known = set(KINDS.values())
    unknown = set(kinds) - known
    if unknown:
        raise MaskError(f"unknown layer kind {sorted(unknown)[0]!r}; known are {sorted(known)}")
    views = [View(file, index) for index in range(len(file.model.subgraphs))]
    found = [
        layer
        for layer in find_layers(file)
        if layer.kind in kinds and _pixels(views[layer.subgraph], layer) > 1
    ]
    if layers == "paper":
        found = [layer for layer in found if not is_shortcut(views[layer.subgraph], layer)]
    elif layers != "all":
        patterns = [layers] if isinstance(layers, str) else layers
        for pattern in patterns:
            if not any(_matches(layer, pattern) for layer in found):
                raise MaskError(
                    f"no layer of {file.where} matches {pattern!r}; tflite-sparse inspect lists them"
                )
        found = [layer for layer in found if any(_matches(layer, p) for p in patterns)]
    if not found:
        raise MaskError(f"{file.where} has no layer of the kinds {sorted(kinds)} to mask")
    return found


def layer_sizes(file: ModelFile, layers: Iterable[Layer]) -> dict[str, tuple[int, int]]:
    """``{layer: (H, W)}``: the output resolutions of layers."""
    views = [View(file, index) for index in range(len(file.model.subgraphs))]
    shapes = {layer.name: views[layer.subgraph].shape(layer.output) for layer in layers}
    return {name: (height, width) for name, (_, height, width, _) in shapes.items()}


def added_layers(file: ModelFile, layers: Iterable[Layer]) -> list[tuple[str, ...]]:
    """The groups of layers, by name, whose outputs are added together.

    An output counts through activations, masks and other sums.
    """
    groups = []
    layers = list(layers)
    for index in range(len(file.model.subgraphs)):
        view = View(file, index)
        held = {
            tensor: {layer.name}
            for layer in layers
            if layer.subgraph == index
            for tensor in (layer.output, layer.masked_output)
        }
        for op in range(len(view.ops)):
            is_sum = view.op_kind(op) == "ADD"
            if not (is_sum or keeps_pixels(view, op)):
                continue
            added = set().union(*(held.get(value, set()) for value in view.op_inputs(op)))
            if is_sum and len(added) > 1:
                groups.append(tuple(sorted(added)))
            for value in view.op_outputs(op):
                held.setdefault(value, added)
    return groups


def image_size(file: ModelFile) -> tuple[int, int]:
    """Height and width of the first input [N, H, W, C]; ModelError if there is none."""
    view = View(file, 0)
    for tensor in view.graph.inputs:
        shape = view.shape(int(tensor))
        if len(shape) == 4:
            return shape[1], shape[2]
    raise ModelError(
        f"{file.where} has no input [N, H, W, C] to draw a score map for; give its size, such as that "
        "of the first layers' outputs, as input_size (--input-size)"
    )


def is_shortcut(view: View, layer: Layer) -> bool:
    """Whether the layer is a 1 x 1 convolution in the shortcut of a residual block.

    That is one whose result is added to a branch that starts at the
    convolution's own input.
    """
    if layer.kind != "conv" or view.shape(view.op_inputs(layer.op)[1])[1:3] != (1, 1):
        return False
    consumers = view.consumers.get(layer.masked_output, [])
    if len(consumers) != 1 or view.op_kind(consumers[0]) != "ADD":
        return False
    source = view.op_inputs(layer.op)[0]
    others = [value for value in view.op_inputs(consumers[0]) if value != layer.masked_output]

    def reads(tensor: int) -> list[int]:
        return view.op_inputs(view.producer[tensor]) if tensor in view.producer else []

    return bool(others) and is_branch_of(source, others[0], reads)


def _pixels(view: View, layer: Layer) -> int:
    _, height, width, _ = view.shape(layer.output)
    return height * width


def _matches(layer: Layer, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in layer.names)
