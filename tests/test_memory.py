"""What masks, and skipping zeros, take beside the activations: bytes, not times."""

import pytest

import tflite_sparse as ts
from benchmarks import networks
from tests.convert.small_models import SmallModel
from tflite_sparse.graph import ModelFile, View, find_layers
from tflite_sparse.measure.sweep import made_masks


def report_of(content, mode="compact"):
    with ts.Interpreter(model_content=content, mode=mode) as interpreter:
        interpreter.allocate_tensors()
        interpreter.invoke()
        return interpreter.sparsity_report()


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
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_masks_and_zeros_are_small_beside_activations(name, int8):
    """Masks: 5% of the arena without masks, in 8 bits 8%. Zeros: a quarter of it."""
    dense = report_of(networks.dense(name, int8).read_bytes())
    assert dense.sparsity_bytes == 0
    assert dense.list_bytes <= 0.25 * dense.arena_bytes
    # In 8 bits activations are small: orders of rows, and live taps of tiles, are not.
    limit = 0.05 * dense.arena_bytes
    if int8:
        limit = 0.08 * dense.arena_bytes + zero_sums_bytes(networks.dense(name, True))
    for sparsity in (0.3, 0.5):
        content = networks.masked(name, sparsity, int8, rule="all")
        for mode in ("compact", "insert"):
            masked = report_of(content, mode)
            assert 0 < masked.sparsity_bytes <= limit
            assert masked.list_bytes <= 0.25 * dense.arena_bytes


def chain(layers):
    """Convolutions between equal masks."""
    model = SmallModel()
    x = model.input([1, 24, 24, 16])
    for number in range(layers):
        x = model.conv(x, 16, f"layer{number}", activation="RELU")
    model.output(x)
    content = model.content()
    return ts.apply_masks(content, made_masks(content, 0.5))


def test_layers_that_are_alike_share_what_they_read():
    """A layer more takes what says which tables it uses, and no table."""
    four, eight = (report_of(chain(layers)) for layers in (4, 8))
    assert 0 < eight.sparsity_bytes - four.sparsity_bytes <= 4 * 300
    assert 0 < four.list_bytes == eight.list_bytes
