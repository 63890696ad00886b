"""Masks, and skipping zeros, take little beside the activations of the paper's networks."""

import pytest

from benchmarks import networks
from tests.test_memory import report_of
from tflite_sparse.graph import ModelFile, View, find_layers


def zero_sums_bytes(path):
    """In 8 bits: what rows of zeros add, for each tap and output channel, in blocks of channels."""
    file = ModelFile.read(path)
    view = View(file, 0)
    taps = 0
    for layer in find_layers(file):
        if layer.kind == "conv":
            outputs, height, width, _ = view.shape(view.op_inputs(layer.op)[1])
            taps += height * width * -(-outputs // 64) * 64
    return 4 * taps


@pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])
@pytest.mark.networks(*networks.NETWORKS)
def test_masks_and_zeros_are_small_beside_activations(network, int8):
    """Masks: 5% of the arena without masks, in 8 bits 8%. Zeros: a quarter of it."""
    dense = report_of(networks.dense(network, int8).read_bytes())
    assert dense.sparsity_bytes == 0
    assert dense.list_bytes <= 0.25 * dense.arena_bytes
    # In 8 bits activations are small: orders of rows, and live taps of tiles, are not.
    limit = 0.05 * dense.arena_bytes
    if int8:
        limit = 0.08 * dense.arena_bytes + zero_sums_bytes(networks.dense(network, True))
    for sparsity in (0.3, 0.5):
        content = networks.masked(network, sparsity, int8, rule="all")
        for mode in ("compact", "insert"):
            masked = report_of(content, mode)
            assert 0 < masked.sparsity_bytes <= limit
            assert masked.list_bytes <= 0.25 * dense.arena_bytes
