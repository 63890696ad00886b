"""From the names in a mask set to the layers of a model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import Layer, find_layers
from tflite_sparse.graph.view import View
from tflite_sparse.masks.mask_set import Mask
from tflite_sparse.places import Place, Record

# Of a cosine between weights of which one may have been rounded to 8 bits.
_ROUNDING = 1e-3


def resolve_names(
    masks: Mapping[str, Mask], layers: Sequence[Layer], where: str
) -> list[tuple[Layer, Mask]]:
    """Each mask with its layer, in the layers' order.

    A name is a layer's if it is one of its tensors' names, or one part of one
    (converters join the names of fused operators with ``;``).

    Raises:
        MaskError: a name that is no layer's or several layers', or two names for one layer.
    """
    found: dict[int, tuple[str, Mask]] = {}
    for name, mask in masks.items():
        index = _index_of(name, layers, where)
        if index in found:
            raise MaskError(
                f"two masks for one layer of {where}: {found[index][0]!r} and {name!r} both name "
                f"the layer {layers[index].name!r}; give it one"
            )
        found[index] = (name, mask)
    return [(layers[index], found[index][1]) for index in sorted(found)]


def _index_of(name: str, layers: Sequence[Layer], where: str) -> int:
    whole = [i for i, layer in enumerate(layers) if name in layer.names]
    # A layer's own name wins over the name it shares with a tensor inside another's activation.
    matches = [i for i in whole if layers[i].name == name] or whole
    if not matches:
        matches = [
            i
            for i, layer in enumerate(layers)
            if any(name in tensor.split(";") for tensor in layer.names)
        ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        some = ", ".join(repr(layers[i].name) for i in matches[:3])
        raise MaskError(
            f"{name!r} names {len(matches)} layers of {where}, such as {some}; "
            "use a name that only one of them has"
        )
    raise MaskError(unknown_layer(name, [layer.name for layer in layers], where))


def placed_masks(record: Record, masks: Mapping[str, Mask]) -> list[tuple[Place, Mask]]:
    """Each mask with the place, in a recorded network, of the layer that it names.

    Raises:
        MaskError: an unknown or ambiguous layer, a mask of another size than its layer's output
            or without a kept pixel, two names for one place.
    """
    found: dict[str, tuple[str, Place, Mask]] = {}
    for name, mask in masks.items():
        place = record.place_named(name)
        if place is None:
            known = [place.name for place in record.places() if place.layer.size is not None]
            raise MaskError(unknown_layer(name, known, record.where))
        if place.layer.size != mask.shape:
            raise MaskError(
                f"the mask of layer {name!r} has the shape {list(mask.shape)}, but the output of "
                f"{place.name!r} in {record.where} is {list(place.layer.shape)}; expected "
                f"{'no mask' if place.layer.size is None else list(place.layer.size)}"
            )
        check_keeps_some(name, mask)
        first = found[place.name][0] if place.name in found else None
        if place.mask is not None:
            first = place.mask.name
        if first is not None:
            raise MaskError(
                f"two masks for one layer of {record.where}: {first!r} and {name!r} both mask the "
                f"output of {place.name!r}; give it one"
            )
        found[place.name] = (name, place, mask)
    return [(place, mask) for _, place, mask in found.values()]


def check_keeps_some(name: str, mask: Mask) -> None:
    """Refuse a mask that leaves nothing of its layer, which converters fold away.

    Raises:
        MaskError: names the layer.
    """
    if not mask.any():
        raise MaskError(
            f"the mask of layer {name!r} keeps no pixel, so the layer's output is zero throughout; "
            "remove the layer from the model, or keep a pixel"
        )


def name_layers(file: ModelFile, kernels: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give convolutions without a mask the names they had in the framework, known by their weights.

    So a sidecar of the framework's names fits the file. A converter scales the weights of each
    output channel (BatchNorm) and keeps their direction. Left as they are: outputs of the model,
    whose names are an interface, and what cannot be told apart.

    Args:
        file: the model, changed in place.
        kernels: ``{layer: [outputs, height, width, inputs]}``; of a depthwise convolution
            ``[outputs, height, width, 1]``.
    """
    directions = {name: _directions(kernel) for name, kernel in kernels.items()}
    views = [View(file, index) for index in range(len(file.model.subgraphs))]
    found: dict[str, list[tuple[View, int]]] = {}
    for layer in find_layers(file):
        view = views[layer.subgraph]
        if layer.kind not in {"conv", "depthwise"} or layer.output in view.outputs:
            continue
        weights = view.real_values(view.op_inputs(layer.op)[1])
        if layer.multiply is not None or weights is None:
            continue
        if layer.kind == "depthwise":
            weights = weights.transpose(3, 1, 2, 0)
        rows = _directions(weights)
        names = [name for name, other in directions.items() if _are_parallel(rows, other)]
        if len(names) == 1:
            found.setdefault(names[0], []).append((view, layer.output))
    for name, places in found.items():
        if len(places) == 1:
            view, output = places[0]
            view.graph.tensors[output].name = name.encode()


def _directions(kernel: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    rows = kernel.astype(np.float64)
    lengths = np.sqrt((rows**2).sum((1, 2, 3), keepdims=True))
    directions: npt.NDArray[np.float64] = rows / np.where(lengths == 0, 1, lengths)
    return directions


def _are_parallel(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> bool:
    if one.shape != other.shape:
        return False
    cosines = np.abs((one * other).sum((1, 2, 3)))
    # A channel that BatchNorm has switched off has no direction.
    return bool((cosines[one.any((1, 2, 3))] > 1 - _ROUNDING).all() and one.any())


def unknown_layer(name: str, known: Sequence[str], where: str) -> str:
    """The error text for a name that no layer has, with the nearest that exist."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    near += [other for other in known if name in other and other not in near]
    offer = f"did you mean {', '.join(map(repr, near[:3]))}?"
    if not near:
        offer = f"it has {', '.join(map(repr, known[:5]))}, ..." if known else "it has none"
    return f"{where} has no layer {name!r} that can carry a mask; {offer}"
