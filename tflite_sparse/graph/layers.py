"""The layers of a model that can carry a mask."""

from __future__ import annotations

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
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RELU_0_TO_1",
        "LEAKY_RELU",
        "PRELU",
        "ELU",
        "GELU",
        "HARD_SWISH",
        "LOGISTIC",
        "TANH",
    }
)
# Of which a gate g(x) in x * g(x) is made: sigmoid, or relu6(x + 3) / 6.
_GATE_ARITHMETIC = frozenset({"ADD", "MUL", "DIV", "MAXIMUM", "MINIMUM"})


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
        while True:
            step = _activation_after(view, chain[-1])
            if step is None:
                break
            ops, output = step
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


def _activation_inputs(view: View, op: int, kind: str) -> list[int]:
    return view.op_inputs(op) if kind == "add" else []


def _mask_of(view: View, tensor: int) -> MaskMultiply | None:
    consumers = view.consumers.get(tensor, [])
    if len(consumers) != 1 or tensor in view.outputs:
        return None
    multiply = mask_multiply(view, consumers[0])
    return multiply if multiply is not None and multiply.input == tensor else None


def _activation_after(view: View, tensor: int) -> tuple[list[int], int] | None:
    """The activation that alone reads ``tensor``: its operators and its output."""
    if tensor in view.outputs:
        return None
    consumers = view.consumers.get(tensor, [])
    if len(consumers) == 1:
        (op,) = consumers
        if view.op_kind(op) in _ACTIVATIONS and view.op_inputs(op)[0] == tensor:
            return [op], view.op_outputs(op)[0]
        return None
    return _gated(view, tensor, consumers) if len(consumers) == 2 else None


def _gated(view: View, tensor: int, consumers: list[int]) -> tuple[list[int], int] | None:
    """``tensor * g(tensor)``, as SiLU and decomposed hard-swish are written."""
    product = next((op for op in consumers if view.op_kind(op) == "MUL"), None)
    for op in consumers:
        gate = [op]
        while gate[-1] != product and _is_gate_step(view, gate[-1]):
            value = view.op_outputs(gate[-1])[0]
            following = view.consumers.get(value, [])
            if value in view.outputs or len(following) != 1:
                break
            if view.op_kind(following[0]) == "MUL" and set(view.op_inputs(following[0])) == {
                tensor,
                value,
            }:
                return [*gate, following[0]], view.op_outputs(following[0])[0]
            gate.append(following[0])
    return None


def _is_gate_step(view: View, op: int) -> bool:
    if view.op_kind(op) in _ACTIVATIONS:
        return True
    inputs = view.op_inputs(op)
    return (
        view.op_kind(op) in _GATE_ARITHMETIC
        and len(inputs) == 2
        and any(view.is_constant(value) for value in inputs)
    )
