"""Counting executed instructions from qemu's log."""

import json
from dataclasses import asdict

import pytest

from benchmarks.aarch64_instructions import zeros
from benchmarks.aarch64_instructions.__main__ import (
    LAYERS,
    PROGRAM,
    RESULT,
    SPARSITIES,
    Layer,
    instructions,
    page,
)
from benchmarks.aarch64_instructions.count import count, count_in

LOG = b"""----------------
IN:
0x0000000000401000:  d503201f  nop
0x0000000000401004:  d503201f  nop

Trace 0: 0x7f00 [0000000000000000/0000000000401000/00000001/00000200]
Trace 0: 0x7f00 [0000000000000000/0000000000401000/00000001/00000200]
----------------
IN:
0x0000000000402000:  d65f03c0  ret

Trace 0: 0x7f40 [0000000000000000/0000000000402000/00000001/00000200]
Trace 0: 0x7f00 [0000000000000000/0000000000401000/00000001/00000200]
"""


def test_blocks_count_once_for_each_execution():
    assert count_in(LOG.splitlines(keepends=True)) == 2 * 2 + 1 + 2


def test_instructions_of_a_kind():
    lines = LOG.replace(b"ret", b"ldr x0, [x1]").splitlines(keepends=True)
    assert count_in(lines, "ld") == 1
    assert count_in(lines, "nop") == 2 * 2 + 2


def test_blocks_and_single_steps_give_the_same_number():
    program = [str(PROGRAM), *["depthwise", "7", "16", "0", "0.5", "compact", "2", "1"]]
    assert count("cortex-a72", program) == count("cortex-a72", program, single_step=True)


def test_a_program_that_fails_is_no_number():
    with pytest.raises(RuntimeError, match="ended with 2"):
        count("cortex-a72", [str(PROGRAM)])


@pytest.mark.parametrize("mode", ["insert", "compact"])
def test_a_masked_layer_executes_fewer_instructions(mode):
    layer = Layer("a test", "square", 7, 16)
    dense = instructions("cortex-a72", layer, 0, "dense")
    assert instructions("cortex-a72", layer, 0.5, mode) < 0.75 * dense


def test_the_table_of_zeros_is_whole():
    content = json.loads(zeros.RESULT.read_text())
    rows = [(record["layer"], record["zeros"]) for record in content["layers"]]
    assert rows == [(layer, share) for layer in zeros.LAYERS for share in zeros.ZEROS]
    assert zeros.RESULT.with_suffix(".md").read_text() == zeros.page(
        content["cpu"], content["layers"]
    )


def test_more_zeros_are_fewer_instructions():
    few, many = (
        zeros.counts("cortex-a72", "7x16x16x3", share, "spread")["instructions"]
        for share in (0.2, 0.9)
    )
    dense = zeros.counts("cortex-a72", "7x16x16x3", 0.9, "dense")
    assert many < few
    assert many < dense["instructions"]
    assert 0 < dense["loads"] < dense["instructions"]


def test_the_table_is_whole_and_says_what_the_records_say():
    content = json.loads(RESULT.read_text())
    rows = [(Layer(**{name: record[name] for name in asdict(LAYERS[0])}), record["sparsity"])
            for record in content["layers"]]  # fmt: skip
    assert rows == [(layer, sparsity) for layer in LAYERS for sparsity in SPARSITIES]
    assert RESULT.with_suffix(".md").read_text() == page(content["cpu"], content["layers"])
