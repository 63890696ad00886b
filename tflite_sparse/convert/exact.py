"""Making the masks that converters left in a graph exact and recognisable."""

from __future__ import annotations

from tflite_sparse.convert.multiply import NUMPY_TYPES, MaskWriter
from tflite_sparse.errors import ModelError
from tflite_sparse.graph.file import ModelFile
from tflite_sparse.graph.layers import KINDS
from tflite_sparse.graph.masks import MaskMultiply, constant_mask, mask_multiply
from tflite_sparse.graph.view import View

# Operators that requantise, so that their output may have any scale.
_FREE_OUTPUT = frozenset(
    {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "TRANSPOSE_CONV",
        "FULLY_CONNECTED",
        "ADD",
        "SUB",
        "MUL",
        "RELU",
        "RELU6",
        "LEAKY_RELU",
        "PRELU",
        "HARD_SWISH",
        "ELU",
        "GELU",
        "QUANTIZE",
    }
)
# Activations that can be fused into a multiply, but for the signs of a bit.
_ZERO_AT_ZERO = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "TANH"})


def make_masks_exact(file: ModelFile) -> int:
    """Rewrite every mask of a model into the one form that the engine takes; how many there are.

    - An activation fused into the multiply moves to the convolution before it.
    - ``SELECT_V2(mask, x, 0)`` becomes ``MUL(x, mask)``: what a converter leaves
      of ``where(mask, x, 0)``, and XNNPACK does not take SELECT_V2.
    - In an integer MUL the mask becomes 0 and 1 at scale 1 and zero point 0, and
      the product gets the quantisation of its input, so that kept pixels pass
      unchanged. Converters calibrate the two apart, which rounds every kept
      pixel once more.

    Raises:
        ModelError: a mask's product cannot get the quantisation of its input.
    """
    count = 0
    for subgraph in range(len(file.model.subgraphs)):
        view = View(file, subgraph)
        writer = MaskWriter(view)
        for op in range(len(view.ops)):
            _select_to_multiply(view, op, writer)
        view = View(file, subgraph)
        for op in range(len(view.ops)):
            _move_activation_before_mask(view, op)
        for op in range(len(view.ops)):
            multiply = mask_multiply(view, op, any_form=True)
            if multiply is not None:
                count += 1
                _make_exact(view, multiply, writer)
    return count


def _select_to_multiply(view: View, index: int, writer: MaskWriter) -> None:
    if view.op_kind(index) not in {"SELECT_V2", "SELECT"}:
        return
    condition, kept, masked = view.op_inputs(index)
    shape = view.shape(view.op_outputs(index)[0])
    mask, values = constant_mask(view, condition, shape, any_form=True), view.real_values(masked)
    if mask is None or values is None or (values != 0).any():
        return
    if view.shape(kept) == shape and not view.is_constant(kept) and view.dtype(kept) in NUMPY_TYPES:
        writer.write(view.ops[index], kept, mask)


def _move_activation_before_mask(view: View, index: int) -> None:
    """``relu(x * mask)`` is ``relu(x) * mask``, and only the latter is a multiply by a mask."""
    activation = view.fused_activation(index)
    if view.op_kind(index) != "MUL" or activation not in _ZERO_AT_ZERO:
        return
    op = view.ops[index]
    fused = op.builtinOptions.fusedActivationFunction
    op.builtinOptions.fusedActivationFunction = 0
    multiply = mask_multiply(view, index, any_form=True)
    producer = None if multiply is None else view.producer.get(multiply.input)
    if (
        multiply is None
        or producer is None
        or view.op_kind(producer) not in KINDS
        or view.fused_activation(producer) != "NONE"
        or view.consumers[multiply.input] != [index]
        or multiply.input in view.outputs
    ):
        op.builtinOptions.fusedActivationFunction = fused
        return
    view.ops[producer].builtinOptions.fusedActivationFunction = fused


def _make_exact(view: View, multiply: MaskMultiply, writer: MaskWriter) -> None:
    """Bring a multiply by a mask, however a converter wrote it, into the one form."""
    stored = view.stored(multiply.constant)
    dtype = view.dtype(multiply.input)
    quantised = dtype != "FLOAT32"
    if dtype not in NUMPY_TYPES:
        return
    if (
        stored is None
        or view.shape(multiply.constant) != (1, *multiply.mask.shape, 1)
        or (quantised and view.quantization(multiply.constant) != ((1.0,), (0,)))
    ):
        writer.write(view.ops[multiply.op], multiply.input, multiply.mask)
    if not quantised or view.quantization(multiply.input) == view.quantization(multiply.output):
        return
    producer = view.producer.get(multiply.input)
    if (
        producer is None
        or view.op_kind(producer) not in _FREE_OUTPUT
        or view.consumers[multiply.input] != [multiply.op]
        or multiply.input in view.outputs
    ):
        by = "an input" if producer is None else view.op_kind(producer)
        raise ModelError(
            f"layer {view.name(multiply.output)!r} of {view.file.where}: its mask requantises what "
            f"{by} gives it, so kept pixels would be rounded twice, and that operator cannot give "
            "another scale or is read elsewhere too; quantise the model without the mask and apply "
            "it afterwards"
        )
    tensors = view.graph.tensors
    tensors[multiply.input].quantization = tensors[multiply.output].quantization
