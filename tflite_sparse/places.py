"""The places of a network's layers: where a mask, an observer or a threshold belongs.

A *place* is a convolution or linear layer with the normalisation and the activation that alone
read it. Both frameworks record one forward pass as the same nodes (``tflite_sparse.torch.record``,
``tflite_sparse.keras.record``); everything else here is free of any framework, so training,
conversion and whatever looks at activations agree on what belongs where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.masks.propagate import check_sparsities

#: Kinds of nodes. Layers with weights: convolutions whose pixels can be skipped, transposed
#: convolutions, linear layers.
CONV, TRANSPOSE, LINEAR = "conv", "transpose", "linear"
#: What belongs to the layer before it: normalisations; activations, functions of each element for
#: itself, that are 0 at 0 or are not; an ActivationMask.
NORM, ZERO, NONZERO, MASK = "norm", "zero", "nonzero", "mask"
#: Everything else.
ADD, OTHER = "add", "other"

LAYERS = (CONV, TRANSPOSE, LINEAR)

#: Activations that do nothing in evaluation.
_PASSING = {
    *("identity", "dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout"),
    *("spatialdropout1d", "spatialdropout2d", "gaussiandropout", "gaussiannoise"),
}
#: How far back from an addition its branches are followed to where they part.
_MAX_BRANCH_OPS = 24


@dataclass(eq=False)
class Node:
    """One call of a layer or function while the network ran; values are numbered.

    Attributes:
        name: the layer's name, or the function's.
        kind: one of the kinds above.
        operation: what is computed, in lower case: the class of a layer (``"conv2d"``,
            ``"relu"``), a function's name, or the name of a Keras Activation's function.
        inputs: the values that it reads.
        outputs: the values that it makes.
        shape: of its first result, in the framework's order of axes; the batch comes first.
        size: height and width of a result of four axes, else None.
        layer: the layer or module; None for a call of a function.
        pointwise: whether it is a 1 x 1 convolution.
        fused: the activation that a Keras layer applies by itself, such as ``"relu"``; ``""``
            if there is none.
        function: of an activation, and in PyTorch of a pooling: the function itself, applied to
            one array. None where running it again would not repeat its result, as for dropout.
        in_place: whether its result is the tensor that it was given.
        runs: how often the layer runs in the whole pass.
        call: which of those runs this is, from 0.
    """

    name: str
    kind: str
    operation: str
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    size: tuple[int, int] | None = None
    layer: Any = None
    pointwise: bool = False
    fused: str = ""
    function: Callable[[Any], Any] | None = None
    in_place: bool = False
    runs: int = 1
    call: int = 0


@dataclass(eq=False)
class Record:
    """The nodes of one forward pass in the order of their calls.

    Attributes:
        where: the network's name, for error texts.
        nodes: the calls.
        results: the values that the network returns.
    """

    where: str
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

    def readers(self) -> dict[int, list[Node]]:
        """The nodes that read each value."""
        found: dict[int, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(node)
        return found

    def places(self) -> list[Place]:
        """The places of all layers with weights, in the order of their calls."""
        readers = self.readers()
        return [self._place(node, readers) for node in self.nodes if node.kind in LAYERS]

    def place_named(self, name: str) -> Place | None:
        """The place of a layer, by its name or by the name of a layer that belongs to it.

        A layer without weights, such as a pooling, has a place too. None if no layer has the name.

        Raises:
            MaskError: the layer runs more than once.
        """
        named = [node for node in self.nodes if node.layer is not None and node.name == name]
        if len(named) > 1:
            raise MaskError(
                f"{name!r} runs {len(named)} times in {self.where}, so one mask cannot tell its "
                "outputs apart; name the convolution, or put an ActivationMask where the mask "
                "belongs"
            )
        if not named:
            return None
        held = (place for place in self.places() if named[0] in place.chain)
        return next(held, None) or self._place(named[0], self.readers())

    def _place(self, layer: Node, readers: Mapping[int, Sequence[Node]]) -> Place:
        chain = [layer]
        is_activated = bool(layer.fused)
        while chain[-1].kind != MASK:
            following = self._only_reader(chain[-1].outputs[0], readers)
            # A normalisation behind the activation belongs to what follows: it is no longer zero
            # where its input is.
            if following is None or (following.kind == NORM and is_activated):
                break
            if following.kind not in {NORM, ZERO, NONZERO, MASK}:
                break
            is_activated |= (
                following.kind in {ZERO, NONZERO} and following.operation not in _PASSING
            )
            chain.append(following)
        while chain[-1].operation in _PASSING:
            chain.pop()
        value = chain[-1].outputs[0]
        return Place(layer, chain, list(readers.get(value, [])), value in self.results)

    def _only_reader(self, value: int, readers: Mapping[int, Sequence[Node]]) -> Node | None:
        following = readers.get(value, [])
        return following[0] if len(following) == 1 and value not in self.results else None

    def sums(self, places: Sequence[Place]) -> list[tuple[str, ...]]:
        """The groups of places, by name, whose results are added together.

        A result counts through activations, normalisations and other sums.
        """
        held = {place.chain[-1].outputs[0]: {place.name} for place in places}
        groups = []
        for node in self.nodes:
            if node.kind not in {ADD, NORM, ZERO, NONZERO, MASK}:
                continue
            added = set().union(*(held.get(value, set()) for value in node.inputs))
            if node.kind == ADD and len(added) > 1:
                groups.append(tuple(sorted(added)))
            for value in node.outputs:
                held.setdefault(value, added)
        return groups

    def is_shortcut(self, layer: Node) -> bool:
        """Whether it is a 1 x 1 convolution in the shortcut of a residual block.

        That is one whose result is added to a branch that starts at its own input.
        """
        if not layer.pointwise:
            return False
        readers = self.readers()
        value = layer.outputs[0]
        while True:
            node = self._only_reader(value, readers)
            if node is None or node.kind not in {NORM, MASK, ADD}:
                return False
            if node.kind == ADD:
                break
            value = node.outputs[0]
        reads = {output: other.inputs for other in self.nodes for output in other.outputs}
        source = layer.inputs[0]
        return any(
            is_branch_of(source, other, lambda value: reads.get(value, ()))
            for other in node.inputs
            if other != value
        )


def is_branch_of(source: int, value: int, reads: Callable[[int], Iterable[int]]) -> bool:
    """Whether a value that is added to another comes, by some operators, from ``source``.

    ``reads`` gives the values that a value is computed from. An identity shortcut, ``source``
    itself, is no branch.
    """
    seen, frontier = {value}, [value]
    for _ in range(_MAX_BRANCH_OPS):
        if not frontier or source in seen:
            break
        for other in reads(frontier.pop(0)):
            if other not in seen:
                seen.add(other)
                frontier.append(other)
    return source in seen - {value}


@dataclass(eq=False)
class Place:
    """A layer, and the calls up to the one behind which its mask belongs.

    Attributes:
        layer: the convolution or linear layer.
        chain: the layer, then the normalisations and activations (and the ActivationMask) that
            alone read it, in order.
        readers: what reads the result of the chain.
        is_result: whether that is a result of the network.
    """

    layer: Node
    chain: list[Node]
    readers: list[Node] = field(default_factory=list)
    is_result: bool = False

    @property
    def name(self) -> str:
        """The name of the convolution or linear layer."""
        return self.layer.name

    @property
    def module(self) -> Any:
        """The convolution or linear layer itself."""
        return self.layer.layer

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the layer's output."""
        assert self.layer.size is not None
        return self.layer.size

    @property
    def norm(self) -> Node | None:
        """The normalisation, if there is one."""
        return next((node for node in self.chain if node.kind == NORM), None)

    @property
    def activation(self) -> Node | None:
        """The last activation: a layer, a function, or the Keras layer itself that applies one."""
        found = [
            node
            for node in self.chain
            if (node.kind in {ZERO, NONZERO} and node.operation not in _PASSING) or node.fused
        ]
        return found[-1] if found else None

    @property
    def mask(self) -> Node | None:
        """The ActivationMask behind the layer, if the network has one there."""
        return self.chain[-1] if self.chain[-1].kind == MASK else None

    def anchor(self, *, exact: bool, masked: bool = True) -> tuple[Node, list[Node]]:
        """The last layer of the chain that runs once, and the activations that follow it.

        Something can be attached behind it: a mask, for activations that are 0 at 0 keep masked
        pixels 0 and the others as they are; an observer, which repeats the activations.

        Args:
            exact: whether only activations that are 0 at 0 may follow, and the layer itself must
                run once; as masks need it.
            masked: whether an ActivationMask of the chain counts.

        Raises:
            MaskError: a normalisation, or (``exact``) another activation, is called as a function
                or runs more than once.
        """
        following: list[Node] = []
        for node in reversed(self.chain):
            if node.kind == MASK and not masked:
                continue
            if node.layer is not None and (node.runs == 1 or (node is self.layer and not exact)):
                return node, following
            if node.kind not in {ZERO, NONZERO} or (exact and node.kind == NONZERO):
                raise MaskError(self._why_not_behind(node))
            following.insert(0, node)
        raise AssertionError("a chain begins with a layer")

    def _why_not_behind(self, node: Node) -> str:
        if node is self.layer:
            return (
                f"layer {self.name!r} runs {node.runs} times in one forward pass, so one mask "
                "cannot tell its outputs apart; leave it out through layers=, or give each use a "
                "layer of its own"
            )
        if node.layer is not None:
            return (
                f"the mask of layer {self.name!r} belongs behind {node.name!r}, which runs "
                f"{node.runs} times in one forward pass, so its results cannot be masked apart; "
                "give each convolution one of its own, or leave this layer out through layers="
            )
        if node.kind == NORM:
            return (
                f"the mask of layer {self.name!r} belongs behind its batch normalisation, but that "
                f"is a call of {node.name}, which no mask can be put behind; use a BatchNorm "
                "layer, or leave this one out through layers="
            )
        return (
            f"the mask of layer {self.name!r} belongs behind its activation, but {node.name} "
            "is not 0 at 0 and is called as a function, which no mask can be put behind; make "
            "it a layer, or leave this one out through layers="
        )


def choose_places(
    record: Record, layers: Any, accepts: Callable[[Node], bool] = lambda layer: True
) -> list[Place]:
    """The places of the chosen layers, in the order of their calls.

    Args:
        record: of one forward pass.
        layers: ``"all"``; ``"paper"``: of the convolutions those that the paper masks, which
            leaves out 1 x 1 convolutions in the shortcut of a residual block; one or several shell patterns of names; or a function
            of the name and the layer.
        accepts: tells of a layer's node whether there is anything to choose.

    Raises:
        MaskError: a pattern that matches nothing, or none chosen.
        OptionError: ``layers`` is something else.
    """
    places = [place for place in record.places() if accepts(place.layer)]
    names = [place.name for place in places]
    if isinstance(layers, str) and layers == "all":
        chosen = places
    elif isinstance(layers, str) and layers == "paper":
        chosen = [
            place
            for place in places
            if place.layer.kind == CONV and not record.is_shortcut(place.layer)
        ]
    elif callable(layers):
        chosen = [place for place in places if layers(place.name, place.module)]
    else:
        patterns = [layers] if isinstance(layers, str) else list(layers)
        if not all(isinstance(pattern, str) for pattern in patterns):
            raise OptionError(
                'expected layers="paper", "all", shell patterns of names, or a function of name '
                f"and layer; found {layers!r}"
            )
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise MaskError(_no_match(pattern, names, record.where))
        chosen = [place for place in places if any(fnmatchcase(place.name, p) for p in patterns)]
    if not chosen:
        some = f", such as {names[0]!r}" if names else ""
        raise MaskError(
            f"layers={layers!r} chooses none of the {len(places)} layers of {record.where}{some}"
        )
    return chosen


def maskable_places(record: Record, layers: Any) -> list[Place]:
    """The places of the chosen convolutions, each with an output that can be masked.

    Layers of a single pixel are never chosen: there is nothing to skip in them.

    Args:
        record: of one forward pass.
        layers: as for :func:`choose_places`.

    Raises:
        MaskError: no convolution, none chosen, or a place that cannot be told.
        OptionError: ``layers`` is something else.
    """
    if not any(_can_mask(node) for node in record.nodes):
        raise MaskError(
            f"{record.where} has no convolution with an output of more than one pixel, so there is "
            "nothing to mask"
        )
    places = choose_places(record, layers, _can_mask)
    for place in places:
        place.anchor(exact=True)
    return places


def sparsity_of_places(places: Sequence[Place], sparsity: Any, where: str) -> dict[str, float]:
    """The final sparsity of each layer that does not stay dense.

    Args:
        places: of all chosen layers.
        sparsity: a number for all; ``{name or shell pattern: number}``, the first
            that matches counts, and layers that none matches stay dense; or a
            function of the name and ``(H, W)``.
        where: the network's name, for error texts.

    Raises:
        OptionError: a sparsity outside [0, 1).
        MaskError: a name that is no chosen layer's.
    """
    names = [place.name for place in places]
    if isinstance(sparsity, Mapping):
        for pattern in sparsity:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise MaskError(_no_match(pattern, names, where))
        each = {
            name: next((float(sparsity[p]) for p in sparsity if fnmatchcase(name, p)), 0.0)
            for name in names
        }
    elif callable(sparsity):
        each = {place.name: float(sparsity(place.name, place.size)) for place in places}
    else:
        each = dict.fromkeys(names, float(sparsity))
    check_sparsities({place.name: place.size for place in places}, each)
    return {name: value for name, value in each.items() if value > 0}


def _no_match(pattern: str, names: Sequence[str], where: str) -> str:
    some = ", ".join(map(repr, names[:5]))
    return f"{pattern!r} matches none of the layers to choose from in {where}; they are {some}" + (
        f" and {len(names) - 5} more" if len(names) > 5 else ""
    )


def _can_mask(layer: Node) -> bool:
    if layer.kind != CONV or layer.size is None or "softmax" in layer.fused:
        return False
    return layer.size[0] * layer.size[1] > 1
