"""Damaged models raise ModelError. A crash would end the process, so they run in one of their own."""

import pytest

from tests.runtime.test_bad_models import CASES, PROGRAM, refused

COMPILED = PROGRAM.replace(
    "interpreter = ts.Interpreter(model_content=bytes(bad), runtime=runtime)",
    "compiled = ts.compile_model(model_content=bytes(bad))",
).replace("interpreter.allocate_tensors()", "compiled.create_output_buffers(0)")
assert "interpreter" not in COMPILED


@pytest.mark.parametrize("kind", ["truncated", "random", "random with the identifier"])
def test_damaged_models_are_refused(tmp_path, kind):
    assert refused("", tmp_path, kind, COMPILED) == CASES


def test_models_with_changed_bytes_never_crash(tmp_path):
    assert 0 < refused("", tmp_path, "changed", COMPILED) <= CASES
