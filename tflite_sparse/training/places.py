"""Where in a network masks belong, told from a record of one forward pass.

Free of any framework: PyTorch and Keras record their passes as the same nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks.propagate import check_sparsities

#: Kinds of nodes: CONV and NORM; an elementwise function with f(0) = 0 or without; ADD; OTHER.
CONV, NORM, ZERO, NONZERO, ADD, OTHER = "conv", "norm", "zero", "nonzero", "add", "other"

#: How far back from an addition its branches are followed to where they part.
_MAX_BRANCH_OPS = 24


@dataclass
class Node:
    """One call of a layer or function while the network ran; values are numbered."""

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    size: tuple[int, int] | None = None
    #: The layer or module; None for a call of a function.
    layer: Any = None
    pointwise: bool = False
    #: How often the layer runs in the whole pass, and which of those runs this is, from 0.
    runs: int = 1
    call: int = 0
    #: The function itself, applied to one array; for ZERO only.
    function: Callable[[Any], Any] | None = None


@dataclass
class Place:
    """A convolution and the calls up to the one behind which its mask belongs."""

    conv: Node
    #: The convolution, and the normalisations and activations that alone read it.
    chain: list[Node]
    #: The activation function behind them, where it is not a layer.
    functional: Node | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the convolution's output."""
        assert self.conv.size is not None
        return self.conv.size


@dataclass
class Record:
    """The nodes of one forward pass in the order of their calls."""

    nodes: list[Node] = field(default_factory=list)
    results: tuple[int, ...] = ()

    def add(self, node: Node) -> None:
        """The next call; it counts the runs of its layer."""
        if node.layer is not None:
            same = [other for other in self.nodes if other.layer is node.layer]
            node.call = len(same)
            for other in (*same, node):
                other.runs = len(same) + 1
        self.nodes.append(node)

    def readers(self) -> dict[int, list[int]]:
        """The nodes that read each value; -1 stands for the network's result."""
        found: dict[int, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(index)
        for value in self.results:
            found.setdefault(value, []).append(-1)
        return found


def find_places(record: Record, layers: Any, where: str) -> list[Place]:
    """The places of the masks of the chosen layers, in the order of their calls.

    Layers of a single pixel are never chosen: there is nothing to skip in them.

    Args:
        record: of one forward pass.
        layers: ``"paper"``: all but 1 x 1 convolutions in the shortcut of a residual
            block; ``"all"``; one or several shell patterns of names; or a function
            of the name and the layer.
        where: the network's name, for error texts.

    Raises:
        MaskError: no convolution, none chosen, or a place that cannot be told.
    """
    readers = record.readers()
    convs = [i for i, node in enumerate(record.nodes) if node.kind == CONV and _pixels(node) > 1]
    if not convs:
        raise MaskError(
            f"{where} has no convolution with an output of more than one pixel, so there is "
            "nothing to mask"
        )
    chosen = _choose(record, readers, convs, layers, where)
    places = [_place(record, readers, index) for index in chosen]
    for place in places:
        if place.conv.runs > 1:
            raise MaskError(
                f"layer {place.conv.name!r} of {where} runs {place.conv.runs} times in one forward pass, so "
                "one mask cannot tell its outputs apart; leave it out through layers=, or give "
                "each use a layer of its own"
            )
    return places


def _choose(
    record: Record, readers: Mapping[int, list[int]], convs: list[int], layers: Any, where: str
) -> list[int]:
    nodes = record.nodes
    if layers == "all":
        return convs
    if layers == "paper":
        chosen = [i for i in convs if not _is_shortcut(record, readers, i)]
    elif callable(layers):
        chosen = [i for i in convs if layers(nodes[i].name, nodes[i].layer)]
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        if not all(isinstance(pattern, str) for pattern in patterns):
            raise OptionError(
                'expected layers="paper", "all", shell patterns of names, or a function of name '
                f"and layer; found {layers!r}"
            )
        for pattern in patterns:
            if not any(fnmatchcase(nodes[i].name, pattern) for i in convs):
                raise MaskError(_no_match(pattern, [nodes[i].name for i in convs], where))
        chosen = [i for i in convs if any(fnmatchcase(nodes[i].name, p) for p in patterns)]
    if not chosen:
        raise MaskError(
            f"layers={layers!r} chooses none of the {len(convs)} convolutions of {where}, such as "
            f"{nodes[convs[0]].name!r}"
        )
    return chosen


def _place(record: Record, readers: Mapping[int, list[int]], index: int) -> Place:
    conv = record.nodes[index]
    place = Place(conv, [conv])
    while True:
        following = readers.get(place.chain[-1].outputs[0], [])
        if len(following) != 1 or following[0] < 0:
            return place
        node = record.nodes[following[0]]
        if node.kind == NORM and node.layer is None:
            raise MaskError(
                f"the mask of layer {conv.name!r} belongs behind its batch normalisation, but that "
                f"is a call of {node.name}, which no mask can be put behind; use a BatchNorm "
                "layer, or leave this one out through layers="
            )
        if node.kind == NONZERO and node.layer is None:
            raise MaskError(
                f"the mask of layer {conv.name!r} belongs behind its activation, but {node.name} "
                "is not 0 at 0 and is called as a function, which no mask can be put behind; make "
                "it a layer, or leave this one out through layers="
            )
        if node.kind not in {NORM, ZERO, NONZERO}:
            return place
        if node.layer is None:
            place.functional = node
            return place
        place.chain.append(node)


def _is_shortcut(record: Record, readers: Mapping[int, list[int]], index: int) -> bool:
    """Whether it is a 1 x 1 convolution in the shortcut of a residual block.

    That is one whose result is added to a branch that starts at its own input.
    """
    conv = record.nodes[index]
    if not conv.pointwise:
        return False
    value = conv.outputs[0]
    while True:
        following = readers.get(value, [])
        if len(following) != 1 or following[0] < 0:
            return False
        node = record.nodes[following[0]]
        if node.kind == ADD:
            break
        if node.kind != NORM:
            return False
        value = node.outputs[0]
    producers = {output: n for n in record.nodes for output in n.outputs}
    seen: set[int] = set()
    frontier = [other for other in node.inputs if other != value]
    starts = set(frontier)
    for _ in range(_MAX_BRANCH_OPS):
        if not frontier or conv.inputs[0] in seen:
            break
        producer = producers.get(frontier.pop(0))
        for other in () if producer is None else producer.inputs:
            if other not in seen:
                seen.add(other)
                frontier.append(other)
    # An identity shortcut is the convolution's input itself: then this is the branch.
    return conv.inputs[0] in seen - starts


def sparsity_of_places(places: Sequence[Place], sparsity: Any, where: str) -> dict[str, float]:
    """The final sparsity of each layer that does not stay dense.

    Args:
        places: of all chosen layers.
        sparsity: a number for all; ``{name or shell pattern: number}``, the first
            that matches counts, and layers that none matches stay dense; or a
            function of the name and ``(H, W)``.
        where: the network's name, for error texts.

    Raises:
        MaskError: a sparsity outside [0, 1), or a name that is no chosen layer's.
    """
    names = [place.conv.name for place in places]
    if isinstance(sparsity, Mapping):
        for pattern in sparsity:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise MaskError(_no_match(pattern, names, where))
        each = {
            name: next((float(sparsity[p]) for p in sparsity if fnmatchcase(name, p)), 0.0)
            for name in names
        }
    elif callable(sparsity):
        each = {place.conv.name: float(sparsity(place.conv.name, place.size)) for place in places}
    else:
        each = dict.fromkeys(names, float(sparsity))
    check_sparsities({place.conv.name: place.size for place in places}, each)
    return {name: value for name, value in each.items() if value > 0}


def _no_match(pattern: str, names: Sequence[str], where: str) -> str:
    some = ", ".join(map(repr, names[:5]))
    return f"{pattern!r} matches none of the convolutions to mask in {where}; they are {some}" + (
        f" and {len(names) - 5} more" if len(names) > 5 else ""
    )


def _pixels(node: Node) -> int:
    return 0 if node.size is None else node.size[0] * node.size[1]
