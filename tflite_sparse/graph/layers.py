"""The layers of a model that can carry a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.masks import MaskMultiply, mask_multiply
from tflite_sparse.graph.view import View

#: Operators whose output can be masked -> the kind that users choose layers by.
KINDS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "TRANSPOSE_CONV": "transpose",
    "ADD": "add",
    "MAX_POOL_2D": "pool",
    "AVERAGE_POOL_2D": "pool",
}
CONVOLUTIONS = frozenset({"conv", "depthwise", "transpose"})

#: Operators of one input that keep every pixel to itself.
_ACTIVATIONS = frozenset(
    {
        *("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "PRELU", "ELU", "GELU"),
        *("HARD_SWISH", "LOGISTIC", "TANH", "EXP", "LOG", "ABS", "NEG", "SIGN", "SQUARE", "SQRT"),
        *("RSQRT", "CEIL", "FLOOR", "ROUND", "SIN", "COS"),
    }
)
#: Operators of several, of which activations are made too: x * sigmoid(x), or a threshold.
_ARITHMETIC = frozenset(
    {
        *("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE"),
        *("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL"),
        *("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT", "SELECT", "SELECT_V2"),
    }
)


@dataclass(frozen=True)
class Layer:
    """One convolution (or add, or pooling) with the activation that follows it.

    Attributes:
        name: the name of the tensor that a mask zeroes: the output after the
            activation. Masking does not change it.
        names: every tensor name that means this layer, its own first.
        kind: ``conv``, ``depthwise``, ``transpose``, ``add`` or ``pool``.
        subgraph: the index of its subgraph.
        op: the index of the convolution.
        output: the tensor after the activation, before a mask.
        multiply: the mask's multiply, if the layer is masked already.
    """

    name: str
    names: tuple[str, ...]
    kind: str
    subgraph: int
    op: int
    output: int
    multiply: MaskMultiply | None

    @property
    def masked_output(self) -> int:
        """The tensor that the rest of the graph reads."""
        return self.output if self.multiply is None else self.multiply.output


def find_layers(file: ModelFile) -> list[Layer]:
    """All layers that can carry a mask, in order of execution, of all subgraphs."""
    return [
        layer
        for subgraph in range(len(file.model.subgraphs))
        for layer in subgraph_layers(View(file, subgraph))
    ]


def subgraph_layers(view: View) -> list[Layer]:
    """The layers of one subgraph that can carry a mask, in order of execution."""
    layers = []
    gates: set[int] = set()
    for op in range(len(view.ops)):
        kind = KINDS.get(view.op_kind(op))
        if kind is None or op in gates or len(view.shape(view.op_outputs(op)[0])) != 4:
            continue
        if any(view.is_constant(tensor) for tensor in _activation_inputs(view, op, kind)):
            continue  # arithmetic on a constant, such as x + 3, not a layer
        chain = [view.op_outputs(op)[0]]
        for ops, output in _activations_after(view, chain[0]):
            gates.update(ops)
            chain.append(output)
        multiply = _mask_of(view, chain[-1])
        last = chain[-1] if multiply is None else multiply.output
        names = [view.name(last), *(view.name(tensor) for tensor in reversed(chain))]
        layers.append(
            Layer(
                name=names[0],
                names=tuple(dict.fromkeys(names)),
                kind=kind,
                subgraph=view.subgraph,
                op=op,
                output=chain[-1],
                multiply=multiply,
            )
        )
    return layers


def keeps_pixels(view: View, op: int) -> bool:
    """Whether an operator computes each pixel from the same pixel of one input."""
    return view.op_kind(op) in _ACTIVATIONS or mask_multiply(view, op) is not None


def _activation_inputs(view: View, op: int, kind: str) -> list[int]:
    return view.op_inputs(op) if kind == "add" else []


def _mask_of(view: View, tensor: int) -> MaskMultiply | None:
    consumers = view.consumers.get(tensor, [])
    if len(consumers) != 1 or tensor in view.outputs:
        return None
    multiply = mask_multiply(view, consumers[0])
    return multiply if multiply is not None and multiply.input == tensor else None


def _activations_after(view: View, tensor: int) -> Iterator[tuple[list[int], int]]:
    """The activations that alone read ``tensor``, one after another: operators and output.

    Arithmetic with constants counts where an activation follows it, as in log(1 + exp(x)), or a
    mask.
    """
    ops: list[int] = []
    while True:
        step = _elementwise_after(view, tensor)
        if step is None:
            if ops and _mask_of(view, tensor) is not None:
                yield ops, tensor
            return
        ops += step[0]
        tensor = step[1]
        if len(step[0]) > 1 or view.op_kind(step[0][0]) in _ACTIVATIONS:
            yield ops, tensor
            ops = []


def _elementwise_after(view: View, tensor: int) -> tuple[list[int], int] | None:
    """The fewest operators that alone read ``tensor`` and compute one other from it and constants.

    Each keeps every pixel to itself. Several do where the tensor is read more than once, as in
    ``x * sigmoid(x)``.
    """
    known: set[int] = set()
    ops: list[int] = []
    waiting: set[int] = set()
    last = tensor
    while last not in view.outputs:
        known.add(last)
        waiting |= set(view.consumers.get(last, []))
        if not waiting:
            break
        # Operators are in the order of execution, so what this one reads is known by now.
        op = min(waiting)
        waiting.remove(op)
        outputs = view.op_outputs(op)
        computed = {value for value in view.op_inputs(op) if not view.is_constant(value)}
        if (
            view.op_kind(op) not in _ACTIVATIONS | _ARITHMETIC
            or not computed <= known
            or len(outputs) != 1
            or view.shape(outputs[0]) != view.shape(tensor)
            or _is_mask(view, op)
            or (view.op_kind(op) == "ADD" and tensor in computed and len(computed) > 1)
        ):
            break  # x + f(x) is a residual sum
        last = outputs[0]
        ops.append(op)
        if not waiting:
            return ops, last
    return None


def _is_mask(view: View, op: int) -> bool:
    selects = view.op_kind(op) in {"SELECT", "SELECT_V2"}
    if selects and view.is_constant(view.op_inputs(op)[0]):
        return True
    return mask_multiply(view, op) is not None
