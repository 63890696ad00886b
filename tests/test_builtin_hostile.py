"""Nodes that would end the process in TensorFlow Lite's kernels are errors in the C library."""

import contextlib
import dataclasses
import resource
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb

from tests.conformance.one_operation import Value, content
from tests.conformance.operations import all_cases
from tests.hostile.run import run
from tflite_sparse import builtin_runtime
from tflite_sparse.builtin_runtime import OpResolverType


def test_mutants_neither_crash_nor_lie():
    found = run(0, 300, "built-in")
    assert not any(found[kind] for kind in ("crashed", "theirs", "unrepeatable", "wrong"))
    # The delegate has had its share.
    assert len(found["ran"]) > 50


def first_case(kind, dtype):
    """The first conformance case of an operation."""
    return next(
        case
        for case in all_cases()
        if case.kind == kind and case.operands[case.main].array.dtype == dtype
    )


def changed(model, change):
    """`model` with `change` made to its graph."""
    table = fb.ModelT.InitFromObj(fb.Model.GetRootAs(model, 0))
    change(table.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(table.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def no_first_input(graph):
    graph.operators[0].inputs = [-1, *graph.operators[0].inputs[1:]]


def no_output(graph):
    graph.operators[0].outputs = [-1]


def padding_of_another_kind(graph):
    graph.operators[0].builtinOptions.padding = 5


def negative_stride(graph):
    graph.operators[0].builtinOptions.strideW = -1


def no_dilation(graph):
    graph.operators[0].builtinOptions.dilationHFactor = 0


def scale(value, position):
    def change(graph):
        tensors = [*graph.operators[0].inputs, *graph.operators[0].outputs]
        graph.tensors[tensors[position]].quantization.scale = [value]

    return change


def strings(graph):
    graph.tensors[graph.operators[0].outputs[0]].type = fb.TensorType.STRING


def no_bias(graph):
    graph.operators[0].inputs = graph.operators[0].inputs[:2]


def offsets_and_masks(graph):
    options = graph.operators[0].builtinOptions
    options.offset, options.beginMask = True, 1


def larger_than_memory(graph):
    image = graph.tensors[graph.operators[0].inputs[0]]
    image.shape = [2**30, *image.shape[1:]]


def eight_bits(graph):
    graph.tensors[graph.operators[0].outputs[0]].type = fb.TensorType.INT8


@pytest.mark.parametrize(
    ("kind", "dtype", "change", "reason"),
    [
        ("TRANSPOSE", np.float32, no_first_input, "TRANSPOSE: input 0 is missing"),
        ("PAD", np.float32, no_output, "PAD: output 0 is missing"),
        ("CONV_2D", np.int8, padding_of_another_kind, "padding is neither SAME nor VALID"),
        ("DEPTHWISE_CONV_2D", np.int8, padding_of_another_kind, "neither SAME nor VALID"),
        ("MAX_POOL_2D", np.float32, padding_of_another_kind, "neither SAME nor VALID"),
        ("CONV_2D", np.int8, negative_stride, "dilation or size is -1, expected at least 1"),
        ("DEPTHWISE_CONV_2D", np.int8, no_dilation, "dilation or size is 0, expected at least 1"),
        ("ADD", np.int8, scale(0.0, 0), "has the scale 0, expected a positive number"),
        ("ADD", np.int8, scale(float("nan"), -1), "has the scale nan, expected a positive"),
        ("SUB", np.int8, scale(1e30, 0), r"output's scale \S+ is too small for an input's, 1e\+30"),
        ("DEPTHWISE_CONV_2D", np.uint8, no_bias, "in 8 bits has no bias"),
        ("RESHAPE", np.float32, eight_bits, "output is of another type than the input"),
        (
            "STRIDED_SLICE",
            np.float32,
            offsets_and_masks,
            "ends are offsets and the begin or end mask",
        ),
        (
            "CONV_2D",
            np.float32,
            larger_than_memory,
            r"input 0 needs \d+ bytes, and this machine has",
        ),
        ("MUL", np.float32, eight_bits, "MUL: the output is of another type than the input"),
        ("MEAN", np.uint8, strings, "MEAN: an output is of strings and no input is"),
        # What the kernel itself finds, where it would end the process.
        (
            "MUL",
            np.int8,
            scale(1e30, 0),
            r"not as its kernel needs it \(\S+quantization_util.cc:\d+\)",
        ),
    ],
)
def test_what_is_wrong_is_said(kind, dtype, change, reason):
    good = content(first_case(kind, dtype))
    in_own_kernels(good).allocate_tensors()
    with pytest.raises(ValueError, match=reason):
        in_own_kernels(changed(good, change)).allocate_tensors()


def in_own_kernels(model):
    return builtin_runtime.Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )


@contextlib.contextmanager
def no_memory():
    """A process that can take 256 MB more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 2**28
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_tensors_that_there_is_no_memory_for():
    case = first_case("LOGISTIC", np.float32)
    interpreter = in_own_kernels(content(case))
    shape = case.operands[case.main].array.shape
    interpreter.resize_tensor_input(
        interpreter.get_input_details()[0]["index"], [2**28, *shape[1:]]
    )
    with no_memory(), pytest.raises(ValueError, match=r"no memory for \d+ bytes of tensors"):
        interpreter.allocate_tensors()


def test_a_tensor_of_unknown_size_that_there_is_no_memory_for():
    case = first_case("PAD", np.float32)
    tensor, paddings = case.operands
    free = dataclasses.replace(paddings, constant=False)
    interpreter = in_own_kernels(content(dataclasses.replace(case, operands=(tensor, free))))
    interpreter.allocate_tensors()
    image, sizes = (detail["index"] for detail in interpreter.get_input_details())
    interpreter.set_tensor(image, tensor.array)
    many = np.zeros_like(paddings.array)
    many[0, 1] = 2**28
    interpreter.set_tensor(sizes, many)
    with no_memory(), pytest.raises(RuntimeError, match=r"no memory for a tensor of \d+ bytes"):
        interpreter.invoke()


@pytest.mark.parametrize("begin", [-1, -(2**31), 2**31 - 1])
def test_a_slice_begins_inside(begin):
    case = first_case("SLICE", np.float32)
    tensor, _, size = case.operands
    begins = Value(np.full(tensor.array.ndim, begin, np.int32), constant=True)
    model = content(dataclasses.replace(case, operands=(tensor, begins, size)))
    with pytest.raises(ValueError, match="Invalid begin"):
        in_own_kernels(model).allocate_tensors()


def test_a_slice_is_as_large_as_its_output():
    def short(graph):
        graph.tensors[graph.operators[0].outputs[0]].shape = [1]

    interpreter = in_own_kernels(changed(content(first_case("SLICE", np.float32)), short))
    interpreter.allocate_tensors()
    with pytest.raises(RuntimeError, match="NumElements"):
        interpreter.invoke()


def test_a_transposed_convolution_fits_its_output():
    case = first_case("TRANSPOSE_CONV", np.int8)
    shape, *others = case.operands
    larger = dataclasses.replace(shape, array=shape.array * np.int32([1, 1, 1000, 1]))
    interpreter = in_own_kernels(content(dataclasses.replace(case, operands=(larger, *others))))
    interpreter.allocate_tensors()
    with pytest.raises(RuntimeError, match="unused_output_width != SizeOfDimension"):
        interpreter.invoke()
