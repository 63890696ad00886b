"""convert_torch: real architectures, quantisations, and what it refuses."""

import sys

import numpy as np
import pytest
import torch
from expectations import assert_masked, assert_skipped, kinds_of, masks_for, masks_in
from torch import nn
from torch_networks import ResNet18, YoloV5n, conv_shapes, settled

from tflite_sparse import convert_torch
from tflite_sparse.convert.checking import Reference
from tflite_sparse.convert.quantize import quantize_tflite
from tflite_sparse.errors import ConversionError, MaskError, OptionError
from tflite_sparse.torch import ActivationMask

MASK = np.random.default_rng(0).random((8, 8)) < 0.6


class Small(nn.Module):
    def __init__(self, inner=None):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.SiLU())
        self.inner = nn.Identity() if inner is None else inner
        self.second = nn.Conv2d(8, 4, 1)
        self.last = nn.Conv2d(4, 2, 3, 1, 1)

    def forward(self, x):
        return self.last(self.second(self.inner(self.first(x))))


def images(count=1, size=8, seed=0):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def convert(module, masks=None, size=8, **options):
    return convert_torch(module, (images(size=size),), masks, progress=False, **options)


@pytest.fixture(scope="module")
def resnet18():
    module = settled(ResNet18, 96)
    return module, masks_for(conv_shapes(module, 96), 96)


@pytest.fixture(scope="module")
def resnet18_float(resnet18):
    return convert(*resnet18, size=96)


@pytest.fixture(scope="module")
def yolov5n():
    module = settled(YoloV5n, 128)
    shapes = conv_shapes(module, 128)
    heads = [name for name in shapes if name.startswith("detect")]
    masks = masks_for({name: s for name, s in shapes.items() if name not in heads}, 128)
    return masks, convert(module, masks, size=128)


def test_resnet18(resnet18, resnet18_float):
    _, masks = resnet18
    assert len(masks) == 20
    assert_masked(resnet18_float, masks)
    kinds = kinds_of(resnet18_float)
    assert "TRANSPOSE" not in kinds
    assert kinds.count("MUL") == len(masks)
    assert_skipped(resnet18_float, masks)


def test_yolov5n(yolov5n):
    masks, content = yolov5n
    assert len(masks) == 57
    assert_masked(content, masks)
    kinds = kinds_of(content)
    assert "TRANSPOSE" not in kinds
    assert kinds.count("MUL") == 2 * len(masks)  # each SiLU has one of its own
    assert_skipped(content, masks)


def test_yolov5n_int8(yolov5n):
    masks, content = yolov5n
    pictures = images(4, 128).numpy().transpose(0, 2, 3, 1)
    quantised = quantize_tflite(content, "int8", [[picture[None]] for picture in pictures])
    assert_masked(quantised, masks)
    assert_skipped(quantised, masks)


def test_resnet18_int8(resnet18):
    module, masks = resnet18
    data = images(8, 96).numpy()
    content = convert(module, masks, 96, quantize="int8", representative_data=data)
    assert_masked(content, masks)
    assert_skipped(content, masks)


@pytest.mark.parametrize("quantize", ["float16", "dynamic"])
def test_quantised_weights(quantize):
    masks = {"first.0": MASK, "second": ~MASK}
    content = convert(Small().eval(), masks, quantize=quantize)
    assert_masked(content, masks)
    if quantize == "float16":  # XNNPACK computes dynamic-range convolutions whole
        assert_skipped(content, masks)


def test_mask_modules_and_masks_by_name():
    """A module's own mask and a named one; the named module's is put behind BatchNorm and SiLU."""
    module = Small(ActivationMask(MASK)).eval()
    content = convert(module, {"second": ~MASK})
    assert_masked(content, {"inner": MASK, "second": ~MASK})
    by_name = convert(Small().eval(), {"first.0": MASK})
    assert_masked(by_name, {"first.0": MASK})
    assert kinds_of(by_name)[:4] == ["CONV_2D", "LOGISTIC", "MUL", "MUL"]


def test_numbers_are_the_modules_with_its_masks():
    module = Small(ActivationMask(MASK)).eval()
    x = images()
    with torch.no_grad():
        expected = module(x).numpy().transpose(0, 2, 3, 1)
    (found,) = Reference(convert(module)).run([x.numpy().transpose(0, 2, 3, 1)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_mask_before_batch_norm_keeps_the_numbers_of_its_training():
    """Where the paper's published code has it; a named one comes after it and gives others."""

    def network(*before):
        module = Small().eval()
        conv, norm, activation = module.first
        with torch.no_grad():
            for values in (conv.weight, norm.weight, norm.bias, norm.running_mean):
                values.copy_(torch.linspace(-1, 1, values.numel()).reshape(values.shape))
        module.first = nn.Sequential(nn.Sequential(conv, *before), norm, activation)
        torch.manual_seed(0)
        module.second.reset_parameters()
        module.last.reset_parameters()
        return module

    module, x = network(ActivationMask(MASK)), images()
    content = convert(module)
    assert_masked(content, {"first.0.1": MASK})
    assert_skipped(content, {"first.0.1": MASK})
    with torch.no_grad():
        expected = module(x).numpy().transpose(0, 2, 3, 1)
    for converted, equal in ((content, True), (convert(network(), {"first.0.0": MASK}), False)):
        (found,) = Reference(converted).run([x.numpy().transpose(0, 2, 3, 1)])
        assert np.allclose(found, expected, atol=1e-5) == equal


def test_the_module_is_left_as_it_was():
    module = Small(ActivationMask(MASK))
    module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    convert(module, {"second": MASK})
    assert all(child.training for child in module.modules())
    assert not any(child._forward_hooks for child in module.modules())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_mask_is_saved_and_loaded_with_the_module():
    module = Small(ActivationMask(np.ones((8, 8))))
    module.load_state_dict(Small(ActivationMask(MASK)).state_dict())
    assert np.array_equal(module.inner.mask[0, 0].numpy() != 0, MASK)
    module.inner.set_mask(~MASK)
    assert np.array_equal(module.inner.mask[0, 0].numpy() != 0, ~MASK)


def test_masks_that_keep_every_pixel_are_left_out():
    content = convert(Small(ActivationMask(np.ones((8, 8)))).eval(), {"second": np.ones((8, 8))})
    assert masks_in(content) == {}


def test_a_mask_behind_a_functional_activation():
    class Functional(Small):
        def forward(self, x):
            return self.last(nn.functional.relu(self.second(self.first(x))))

    content = convert(Functional().eval(), {"second": MASK})
    assert np.array_equal(masks_in(content)["second"], MASK)


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ({"secnd": MASK}, r"no layer 'secnd'.*did you mean 'second'"),
        ({"second": np.ones((4, 4))}, r"'second' has the shape \[4, 4\].*\[1, 4, 8, 8\]"),
        ({"second": np.zeros((8, 8))}, "'second' keeps no pixel"),
        ({"second": MASK, "first.0": MASK, "first.2": MASK}, r"two masks.*'first.0' and 'first.2'"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, text):
    with pytest.raises(MaskError, match=text):
        convert(Small().eval(), masks)


def test_a_mask_that_stands_behind_no_convolution_is_refused_by_name():
    class Joined(Small):
        def forward(self, x):
            y = self.first(x)
            return self.inner(torch.cat((y, y), 1))

    with pytest.raises(ConversionError, match=r"layer 'inner' is not in fusible form"):
        convert(Joined(ActivationMask(MASK)).eval())


def test_a_result_that_differs_is_not_handed_out():
    with pytest.raises(ConversionError, match=r"differs from the source model's.*tolerance"):
        convert(Small().eval(), {"second": MASK}, tolerance=1e-12)


def test_options_are_checked():
    with pytest.raises(OptionError, match="unknown quantize='int4'"):
        convert(Small(), quantize="int4")
    with pytest.raises(OptionError, match="needs representative_data"):
        convert(Small(), quantize="int8")


def test_the_mask_module_refuses_another_size():
    with pytest.raises(MaskError, match=r"\[8, 8\].*\[1, 3, 4, 4\]"):
        ActivationMask(MASK)(torch.zeros(1, 3, 4, 4))
    with pytest.raises(MaskError, match=r"\[4, 4\], expected \[8, 8\]"):
        ActivationMask(MASK).set_mask(np.ones((4, 4)))


def test_a_missing_converter_is_told_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(ConversionError, match=r"needs litert_torch.*pip install 'tflite-sparse\["):
        convert(Small().eval())
