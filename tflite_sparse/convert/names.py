"""From the names in a mask set to the layers of a model."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from tflite_sparse.errors import MaskError
from tflite_sparse.graph.layers import Layer
from tflite_sparse.masks.mask_set import Mask
from tflite_sparse.places import Place, Record


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


def unknown_layer(name: str, known: Sequence[str], where: str) -> str:
    """The error text for a name that no layer has, with the nearest that exist."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    near += [other for other in known if name in other and other not in near]
    offer = f"did you mean {', '.join(map(repr, near[:3]))}?"
    if not near:
        offer = f"it has {', '.join(map(repr, known[:5]))}, ..." if known else "it has none"
    return f"{where} has no layer {name!r} that can carry a mask; {offer}"
