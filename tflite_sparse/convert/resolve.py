"""From the names in a mask set to the layers of a model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from tflite_sparse.errors import MaskError
from tflite_sparse.graph.layers import Layer
from tflite_sparse.masks.mask_set import Mask


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


def only_call(name: str, calls: Sequence[Any], where: str) -> int:
    """The index of the one call, of those recorded of a network, whose ``names`` have this one.

    Raises:
        MaskError: no call has it, or several.
    """
    indices = [index for index, call in enumerate(calls) if name in call.names]
    if not indices:
        known = list(dict.fromkeys(call.names[0] for call in calls if len(call.shape) == 4))
        raise MaskError(unknown_layer(name, known, where))
    if len(indices) > 1:
        raise MaskError(
            f"{name!r} runs {len(indices)} times in {where}, so one mask cannot tell its outputs "
            "apart; name the convolution, or put an ActivationMask where the mask belongs"
        )
    return indices[0]


def check_size(name: str, mask: Mask, call: Any, size: tuple[int, ...], where: str) -> None:
    """Refuse a mask that is not of the height and width of the call that it would mask.

    Raises:
        MaskError: names the layer and both shapes.
    """
    if len(call.shape) != 4 or size != mask.shape:
        raise MaskError(
            f"the mask of layer {name!r} has the shape {list(mask.shape)}, but the output of "
            f"{call.names[0]!r} in {where} is {list(call.shape)}; expected {list(size)}"
        )


def unknown_layer(name: str, known: Sequence[str], where: str) -> str:
    """The error text for a name that no layer has, with the nearest that exist."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    near += [other for other in known if name in other and other not in near]
    offer = f"did you mean {', '.join(map(repr, near[:3]))}?"
    if not near:
        offer = f"it has {', '.join(map(repr, known[:5]))}, ..." if known else "it has none"
    return f"{where} has no layer {name!r} that can carry a mask; {offer}"
