"""Which layers of a model get a mask."""

import numpy as np
import pytest
from small_models import SmallModel, chain

from tflite_sparse import apply_masks
from tflite_sparse.errors import MaskError
from tflite_sparse.graph import ModelFile, added_layers, choose_layers, find_layers


def residual_block():
    """A ResNet bottleneck whose shortcut is a 1 x 1 convolution, as its last one is."""
    model = SmallModel()
    x = model.conv(model.input([1, 6, 8, 3]), 8, "stem", activation="RELU")
    y = model.conv(x, 4, "reduce", kernel=1, activation="RELU")
    y = model.conv(y, 4, "middle", activation="RELU")
    y = model.conv(y, 8, "expand", kernel=1)
    z = model.add(y, model.conv(x, 8, "shortcut", kernel=1), "first/sum")
    y = model.depthwise(model.conv(z, 8, "reduce2", kernel=1, activation="RELU"), "depthwise")
    model.output(model.add(model.conv(y, 8, "expand2", kernel=1), z, "second/sum"))
    return model.content()


def names(content, **options):
    return [layer.name for layer in choose_layers(ModelFile.read(content), **options)]


CONVOLUTIONS = [
    *("stem", "reduce", "middle", "expand", "shortcut", "reduce2", "depthwise", "expand2"),
]


def test_every_convolution():
    assert names(residual_block(), layers="all") == CONVOLUTIONS


def test_the_papers_rule_leaves_shortcuts_alone():
    without = [name for name in CONVOLUTIONS if name != "shortcut"]
    assert names(residual_block(), layers="paper") == names(residual_block()) == without


def test_the_papers_rule_sees_through_masks():
    masked = apply_masks(residual_block(), {name: np.eye(6, 8) for name in CONVOLUTIONS})
    assert "shortcut" not in names(masked, layers="paper")
    assert len(names(masked, layers="paper")) == 7


def test_by_kind_and_by_pattern():
    assert names(residual_block(), kinds={"depthwise"}) == ["depthwise"]
    assert names(residual_block(), kinds={"add"}) == ["first/sum", "second/sum"]
    assert names(residual_block(), layers=["*2", "stem"]) == ["stem", "reduce2", "expand2"]


def test_layers_of_one_pixel_are_not_chosen():
    model = SmallModel()
    x = model.input([1, 1, 1, 4])
    model.output(model.conv(x, 4, "squeeze", kernel=1))
    with pytest.raises(MaskError, match="no layer"):
        names(model.content())


def test_arithmetic_on_a_constant_is_no_layer():
    model = SmallModel()
    x = model.input([1, 6, 8, 4])
    three = model.tensor([], "three", data=np.float32(3))
    model.output(model.conv(model.add(x, three, "plus"), 4, "conv"))
    assert [layer.name for layer in find_layers(ModelFile.read(model.content()))] == ["conv"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kinds": {"dense"}}, "unknown layer kind 'dense'.*conv"),
        ({"layers": ["conv9"]}, "no layer of .* matches 'conv9'"),
        ({"kinds": {"pool"}}, r"no layer of the kinds \['pool'\]"),
    ],
)
def test_refuses(options, text):
    with pytest.raises(MaskError, match=text):
        names(chain().content(), **options)


def test_layers_whose_outputs_are_added():
    content = residual_block()
    file = ModelFile.read(content)
    sums = added_layers(file, choose_layers(file, "all"))
    assert sums == [("expand", "shortcut"), ("expand", "expand2", "shortcut")]
    masked = ModelFile.read(apply_masks(content, {"expand": np.eye(6, 8)}))
    assert ("expand", "expand2") in added_layers(masked, choose_layers(masked))
