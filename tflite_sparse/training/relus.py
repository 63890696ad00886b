"""The ReLUs of a network: where penalties and thresholds belong."""

from __future__ import annotations

import warnings

from tflite_sparse.places import MASK, ZERO, Node, Place, Record

_RELUS = {"relu", "relu6", "thresholdrelu", "learnablethresholdrelu"}


def relu_places(record: Record) -> list[Place]:
    """A place for each ReLU of a network, also of those that follow no layer with weights.

    It is named by the ReLU if that is a layer (one place for all runs of a layer that runs several
    times), and by the layer before it if it is a function; the layer itself in Keras where that
    applies a ReLU. A ReLU that is a function and does not follow a layer that it alone reads
    cannot be reached: a warning names it.
    """
    readers = record.readers()
    producers = {value: node for node in record.nodes for value in node.outputs}
    found = []
    for node in record.nodes:
        if not is_relu(node) or node.call > 0:
            continue
        chain = [node]
        if node.layer is None:
            before = producers.get(node.inputs[0])
            if (
                before is None
                or before.layer is None
                or before.runs > 1
                or len(readers[node.inputs[0]]) > 1
            ):
                _warn(record, before)
                continue
            chain = [before, node]
        following = readers.get(node.outputs[0], [])
        if len(following) == 1 and following[0].kind == MASK:
            chain.append(following[0])
        found.append(Place(chain[0], chain))
    return found


def is_relu(node: Node) -> bool:
    """Whether it makes zeros of what is negative."""
    if node.fused:
        return node.fused in {"relu", "relu6"}
    leaks = getattr(node.layer, "negative_slope", 0)
    return node.kind == ZERO and node.operation in _RELUS and not leaks


def _warn(record: Record, before: Node | None) -> None:
    after = "the network's input" if before is None else f"{before.name!r}"
    warnings.warn(
        f"a ReLU of {record.where} that is called as a function follows {after}, where no layer "
        "belongs to it alone, and is left out; make it a layer",
        stacklevel=4,
    )
