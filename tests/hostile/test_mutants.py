"""Models with a few things changed: a short run of `make test-hostile`, and graphs that are none."""

import re

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as fb

import tflite_sparse as ts
from tests.conformance.one_operation import content
from tests.conformance.operations import all_cases
from tests.convert.small_models import chain
from tests.hostile.run import run


def test_mutants_neither_crash_nor_lie():
    found = run(0, 300)
    assert not found["crashed"]
    assert not found["wrong"]
    # The delegate has had its share.
    assert len(found["ran"]) > 50


def changed(change):
    model = fb.ModelT.InitFromObj(fb.Model.GetRootAs(chain().content(), 0))
    change(model.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def run_twice(graph):
    graph.operators.append(graph.operators[0])


def run_before_its_input(graph):
    graph.operators.insert(0, graph.operators.pop(1))


def write_an_input(graph):
    graph.operators[0].outputs = graph.inputs


def write_a_constant(graph):
    graph.operators[0].outputs = [graph.operators[0].inputs[1]]


def ask_for_a_constant(graph):
    graph.inputs = [*graph.inputs, graph.operators[0].inputs[1]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (run_twice, "node 3 of subgraph 0 writes tensor"),
        (run_before_its_input, "which nothing wrote"),
        (write_an_input, "node 0 of subgraph 0 writes tensor 0, which is an input"),
        (write_a_constant, "node 0 of subgraph 0 writes tensor"),
        (ask_for_a_constant, "is a constant"),
    ],
)
def test_graphs_without_an_order_are_refused(change, reason):
    with pytest.raises(ts.ModelError, match=re.escape(reason)):
        ts.Interpreter(model_content=changed(change))


@pytest.mark.parametrize("kind", ["SUM", "MEAN"])
def test_an_output_of_another_type_is_left_to_the_runtime(kind):
    """XNNPACK would write four bytes where there is one."""
    case = next(case for case in all_cases() if case.kind == kind)
    model = fb.ModelT.InitFromObj(fb.Model.GetRootAs(content(case), 0))
    graph = model.subgraphs[0]
    output = graph.tensors[graph.outputs[0]]
    output.type = fb.TensorType.INT8
    output.quantization = fb.QuantizationParametersT(scale=[0.5], zeroPoint=[-3])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    interpreter = ts.Interpreter(model_content=bytes(builder.Output()))
    interpreter.allocate_tensors()
    (left,) = interpreter.sparsity_report().left
    assert "unsupported type INT8" in left.reason
