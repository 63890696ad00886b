"""One delegate in two interpreters."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import tflite_sparse as ts
from tests.conformance.one_operation import Case, content, run
from tests.conformance.operations import constant, options, variable


def test_each_graph_has_its_own_unpacked_constants():
    delegate = ts.load_delegate(runtime="ai-edge-litert")
    graphs = []
    for seed in (1, 2):
        addend = constant(1, 8, 8, 3, dtype=np.float16, seed=seed)
        case = Case(f"add-{seed}", "ADD", (variable(1, 8, 8, 3), addend), options("Add"))
        interpreter = Interpreter(
            model_content=content(case),
            experimental_delegates=[delegate],
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        graphs.append((interpreter, case))
    for interpreter, case in graphs:
        value, addend = case.operands
        np.testing.assert_array_equal(run(interpreter, case)[0], value.array + addend.array)
