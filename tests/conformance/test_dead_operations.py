"""Operations that nothing reads, which converters leave behind, are left out."""

import numpy as np
import pytest

from tests.conformance.one_operation import Case, ours
from tests.conformance.operations import variable
from tests.convert.small_models import SmallModel


@pytest.mark.parametrize("length", [1, 2, 5])
def test_chains_that_end_nowhere(length):
    model = SmallModel()
    start = model.input([1, 4, 4, 3])
    dead = model.unary("ABS", start, "kept")
    model.output(dead)
    for number in range(length):
        dead = model.unary("NEG", dead, f"dead{number}")
    value = variable(1, 4, 4, 3)
    (found,), report = ours(model.content(), Case("dead", "ABS", (value,)))
    np.testing.assert_array_equal(found, np.abs(value.array))
    assert report.nodes_taken == report.nodes_total
