"""Which layers get a mask in PyTorch, and behind what."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tflite_sparse.errors import MaskError, OptionError
from tflite_sparse.torch import ActivationSparsifier

sys.path.append(str(Path(__file__).parents[1] / "convert"))
from torch_networks import ResNet18, YoloV5n
from training_networks import SHAPES, SIZE, Residual


class Chain(nn.Module):
    """A convolution, a BatchNorm, whatever is behind them, and another convolution."""

    def __init__(self, behind):
        super().__init__()
        self.first, self.bn = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.sigmoid = nn.Sigmoid()
        self.last = nn.Conv2d(4, 4, 3, padding=1)
        self.behind = behind

    def forward(self, x):
        return self.last(self.behind(self, self.bn(self.first(x))))


def sparsifier_of(model, size=SIZE, sparsity=0.5, **options):
    options = {"total_steps": 1, "dense_until": 0, "freeze_from": 0, "layers": "all", **options}
    return ActivationSparsifier(model, size, sparsity, **options)


def value_behind(model, function, name="first"):
    """What the layer behind the activation reads, and the mask of ``name``."""
    sparsifier = sparsifier_of(model, layers=[name])
    seen = []
    model.last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model.eval()(torch.randn(2, 3, SIZE, SIZE))
    return seen[0], torch.from_numpy(sparsifier.masks()[name].copy())


@pytest.mark.parametrize(
    "behind",
    [
        lambda m, x: x,
        lambda m, x: F.relu(x),
        lambda m, x: F.relu(x, inplace=True),
        lambda m, x: x.clamp(0, 6),
        lambda m, x: F.silu(F.dropout2d(x, training=m.training)),
        lambda m, x: F.leaky_relu(x, 0.2) if x.shape[2] > 4 else x,
        lambda m, x: x * torch.sigmoid(x),
        lambda m, x: m.sigmoid(x),
    ],
)
def test_masked_pixels_are_zero_behind_the_activation(behind):
    model = Chain(behind)
    nn.init.uniform_(model.bn.bias, 0.5, 1)  # so that masking before BatchNorm would show
    value, mask = value_behind(model, behind)
    assert (value[:, :, ~mask] == 0).all()
    assert (value[:, :, mask] != 0).float().mean() > 0.5


def test_a_reused_activation_module():
    model = Residual()
    sparsifier = sparsifier_of(model, layers="paper")
    seen = {}
    for name in ("reduce", "middle"):
        getattr(model, name).register_forward_pre_hook(
            lambda _, inputs, name=name: seen.update({name: inputs[0].clone()})
        )
    model.eval()(torch.randn(2, 1, SIZE, SIZE))
    masks = {name: torch.from_numpy(mask.copy()) for name, mask in sparsifier.masks().items()}
    assert (seen["reduce"][:, :, ~masks["stem"]] == 0).all()
    assert (seen["middle"][:, :, ~masks["reduce"]] == 0).all()


def test_the_papers_rule_and_all():
    paper = sparsifier_of(Residual(), layers="paper").masks()
    assert {name: mask.shape for name, mask in paper.items()} == SHAPES
    assert set(sparsifier_of(Residual()).masks()) == {*SHAPES, "shortcut"}


def test_resnet18_and_yolov5n():
    resnet = sparsifier_of(ResNet18(), 64, layers="paper").masks()
    assert len(resnet) == 17
    assert not any("downsample" in name for name in resnet)
    assert len(sparsifier_of(YoloV5n(), 64).masks()) == 60


def test_patterns_and_functions():
    assert list(sparsifier_of(Residual(), layers=["m*", "stem"]).masks()) == ["stem", "middle"]
    assert list(sparsifier_of(Residual(), layers="red*").masks()) == ["reduce"]
    strided = sparsifier_of(Residual(), layers=lambda name, conv: conv.stride == (2, 2))
    assert set(strided.masks()) == {"reduce", "shortcut"}


def test_sparsity_by_layer():
    by_name = sparsifier_of(Residual(), sparsity={"stem": 0.25, "*": 0.5})
    assert by_name.sparsity == {"stem": 0.25, "reduce": 0.5, "shortcut": 0.5, "middle": 0.5}
    assert by_name.masks().sparsity_of("stem") == 0.25
    some = sparsifier_of(Residual(), sparsity={"stem": 0.25})
    assert list(some.masks()) == ["stem"]
    by_function = sparsifier_of(Residual(), sparsity=lambda name, size: size[0] / 64)
    assert by_function.sparsity["stem"] == 0.25
    assert by_function.sparsity["middle"] == 0.125


def test_the_model_is_left_alone_at_sparsity_0():
    model = Residual()
    sparsifier = sparsifier_of(model, sparsity=0.0)
    assert not any(module._forward_hooks for module in model.modules())
    sparsifier.step()
    with pytest.raises(MaskError, match="sparsity of every layer is 0"):
        sparsifier.masks()


def test_looking_at_a_model_changes_nothing():
    model = Residual().train()
    model.stem_bn.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sparsifier_of(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.state_dict().keys() == before.keys()
    assert model.training
    assert not model.stem_bn.training


def shared():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    return nn.Sequential(conv, nn.ReLU(), conv)


def shared_norm():
    bn = nn.BatchNorm2d(3)
    return nn.Sequential(nn.Conv2d(3, 3, 1), bn, nn.Conv2d(3, 3, 1), bn)


@pytest.mark.parametrize(
    ("model", "options", "text"),
    [
        (Residual, {"sparsity": {"stm": 0.5}}, r"'stm' matches none.*'stem', 'reduce'"),
        (Residual, {"layers": ["stemm"]}, r"'stemm' matches none.*'stem', 'reduce'"),
        (Residual, {"layers": lambda name, _: False}, r"chooses none of the 4 layers"),
        (lambda: nn.Sequential(nn.Linear(4, 4)), {}, "Sequential has no Conv2d"),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, SIZE)),
            {},
            "no convolution with an output of more than one pixel",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)),
            {},
            r"does not run on inputs of the shapes \[\[1, 3, 16, 16\]\].*input_size",
        ),
        (shared, {}, r"'0' runs 2 times.*layers="),
        (shared_norm, {}, r"'0' belongs behind '1', which runs 2 times"),
        (lambda: Chain(lambda m, x: torch.sigmoid(x)), {}, r"'first'.*sigmoid.*make it a layer"),
        (
            lambda: Chain(lambda m, x: F.batch_norm(x, m.bn.running_mean, m.bn.running_var)),
            {},
            r"'first'.*batch_norm.*use a BatchNorm layer",
        ),
    ],
)
def test_errors(model, options, text):
    with pytest.raises(MaskError, match=text):
        sparsifier_of(model(), **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sparsity": 1.0}, r"at least 0 and below 1, found 1\.0 for layer 'stem'"),
        ({"sparsity": -0.1}, r"at least 0 and below 1, found -0\.1"),
        ({"sparsity": float("nan")}, r"below 1, found nan"),
        ({"size": 0}, "input_size of one whole number from 1"),
        ({"seed": -1}, "seed that is a whole number from 0, found -1"),
        ({"mask_source": "gradient"}, "unknown mask_source='gradient'.*propagated"),
        ({"layers": [3]}, "shell patterns"),
    ],
)
def test_options(options, text):
    with pytest.raises(OptionError, match=text):
        sparsifier_of(Residual(), **options)


def test_a_size_that_changes_from_batch_to_batch():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    ActivationSparsifier(model, 16, 0.5, 100)  # dense still, and already refused
    with pytest.raises(MaskError, match=r"'0' has the size \[16, 16\].*\[2, 4, 12, 12\].*resize"):
        model(torch.zeros(2, 3, 12, 12))


def test_two_sparsifiers_of_one_model():
    model = Residual()
    first = sparsifier_of(model)
    with pytest.raises(MaskError, match=r"already has a mask attached; remove\(\)"):
        sparsifier_of(model)
    first.remove()
    sparsifier_of(model)
    with pytest.raises(MaskError, match=r"taken out of the model by remove\(\)"):
        first.step()
