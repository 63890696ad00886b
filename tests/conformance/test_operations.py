"""Each operation, over its options, gives what TensorFlow Lite's reference kernels give."""

import functools

import numpy as np
import pytest

from tests.conformance.one_operation import allowed, content, ours, reference, stock
from tests.conformance.operations import all_cases

CASES = {case.name: case for case in all_cases()}


@functools.cache
def expected(name):
    case = CASES[name]
    return reference(content(case), case)


def check(found, name, by):
    case = CASES[name]
    for number, (value, right) in enumerate(zip(found, expected(name), strict=True)):
        assert value.shape == right.shape, f"{by}: output {number}"
        difference = np.abs(value.astype(np.float64) - right.astype(np.float64))
        worst = np.max(difference, initial=0.0)
        if not worst <= allowed(right, case.tolerance):
            where = np.unravel_index(np.argmax(difference), difference.shape)
            pytest.fail(
                f"{by}: output {number} at {tuple(map(int, where))} is {value[where]}, right is "
                f"{right[where]} ({np.count_nonzero(difference)} of {difference.size} differ)"
            )


def test_names_are_unique():
    assert len(CASES) == len(all_cases())


@pytest.mark.parametrize("name", CASES)
def test_alone(name):
    case = CASES[name]
    model = content(case)
    found, report = ours(model, case)
    check(found, name, "ours")
    # Stock is a second witness: where it differs as well, the case asks for too much.
    check(stock(model, case), name, "stock")
    reasons = [node.reason for node in report.left]
    assert (report.nodes_taken == report.nodes_total) == case.taken, reasons
    assert all(reasons)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.taken])
def test_inside_a_graph(name):
    """The same with a consumer that was taken too: the value between is XNNPACK's own."""
    case = CASES[name]
    found, report = ours(content(case, [value.shape for value in expected(name)]), case)
    check(found, name, "ours")
    assert report.nodes_taken == report.nodes_total, [node.reason for node in report.left]
