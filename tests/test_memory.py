"""What masks, and skipping zeros, take beside the activations: bytes, not times."""

import tflite_sparse as ts
from tests.convert.small_models import SmallModel
from tflite_sparse.measure.sweep import made_masks


def report_of(content, mode="compact"):
    with ts.Interpreter(model_content=content, mode=mode) as interpreter:
        interpreter.allocate_tensors()
        interpreter.invoke()
        return interpreter.sparsity_report()


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
