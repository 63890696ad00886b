"""What is trained with a mask is converted with it in the same place, whatever the activation."""

import copy

import keras
import numpy as np
import pytest
import torch
from expectations import masks_in
from keras import layers as kl
from torch import nn
from torch.nn import functional as F

import tflite_sparse as ts
from tflite_sparse import keras as in_keras
from tflite_sparse import torch as in_torch
from tflite_sparse.convert.checking import Reference
from tflite_sparse.errors import ConversionError, MaskError

SIZE = 8
IMAGES = np.random.default_rng(0).standard_normal((1, 3, SIZE, SIZE)).astype(np.float32)


class ReluThenNorm(nn.Sequential):
    def __init__(self):
        super().__init__(nn.ReLU(), nn.BatchNorm2d(4))
        nn.init.uniform_(self[1].bias, 0.5, 1)


MODULES = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "hardsigmoid": nn.Hardsigmoid,
    "softplus": nn.Softplus,
    "prelu": lambda: nn.PReLU(4),
    "mish": nn.Mish,
    "celu": nn.CELU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
    "softsign": nn.Softsign,
    "logsigmoid": nn.LogSigmoid,
    "relu_norm": ReluThenNorm,
    "norm_sigmoid": lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Sigmoid(), nn.Dropout()),
    "threshold": lambda: in_torch.ThresholdReLU(0.25),
}
FUNCTIONS = {
    "f_relu": F.relu,
    "method": lambda x: x.relu(),
    "f_silu": F.silu,
    "clamp": lambda x: x.clamp(0, 6),
    "gate": lambda x: x * torch.sigmoid(x),
}


class Branches(nn.Module):
    """One convolution per activation, and behind each another, whose outputs are the model's."""

    def __init__(self):
        super().__init__()
        names = [*MODULES, *FUNCTIONS]
        self.convs = nn.ModuleDict({name: nn.Conv2d(3, 4, 3, padding=1) for name in names})
        self.behind = nn.ModuleDict({name: make() for name, make in MODULES.items()})
        self.last = nn.ModuleDict({name: nn.Conv2d(4, 2, 1) for name in names})

    def forward(self, x):
        acted = {name: act(self.convs[name](x)) for name, act in self.behind.items()}
        acted |= {name: act(self.convs[name](x)) for name, act in FUNCTIONS.items()}
        return tuple(self.last[name](y) for name, y in acted.items())


def branches(sparsity=0.5):
    torch.manual_seed(0)
    model = Branches().eval()
    sparsifier = in_torch.ActivationSparsifier(
        model, SIZE, sparsity, 1, 0, 0, layers="convs.*", mask_source="independent"
    )
    return model, sparsifier


def assert_outputs(content, expected):
    found = Reference(content).run([IMAGES.transpose(0, 2, 3, 1)])
    assert len(found) == len(expected)
    for name, value, other in zip([*MODULES, *FUNCTIONS], found, expected):
        np.testing.assert_allclose(value, other, rtol=0, atol=1e-5, err_msg=name)


def test_pytorch_activations():
    """The model trained with masks, a plain one with its sidecar: the trained numbers."""
    model, sparsifier = branches()
    masks = sparsifier.masks()
    with torch.no_grad():
        expected = [y.numpy().transpose(0, 2, 3, 1) for y in model(torch.from_numpy(IMAGES))]
    content = ts.convert_torch(model, (torch.from_numpy(IMAGES),), progress=False)
    assert_outputs(content, expected)
    found = masks_in(content)
    assert {name: found[name].tobytes() for name in masks} == {
        name: mask.tobytes() for name, mask in masks.items()
    }
    sparsifier.remove()
    by_name = ts.convert_torch(model, (torch.from_numpy(IMAGES),), masks, progress=False)
    assert_outputs(by_name, expected)
    interpreter = ts.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    report = interpreter.sparsity_report()
    dense = {item.layer for item in report.not_accelerated() if " costs: " not in item.reason}
    # What these become the delegate leaves to the interpreter, so the masks behind them too.
    assert dense == {
        f"convs.{name}"
        for name in ("softplus", "mish", "celu", "elu", "selu", "gelu", "logsigmoid")
    }


def trained(model, shape=(1, 3, SIZE, SIZE), **options):
    sparsifier = in_torch.ActivationSparsifier(model.eval(), SIZE, 0.5, 1, 0, 0, **options)
    return sparsifier, (torch.zeros(shape),)


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)
    )


def test_masks_change_no_buffer_of_the_module():
    """Averaged weights walk over both models' buffers in step."""
    model = small()
    before = [name for name, _ in model.named_buffers()]
    averaged = torch.optim.swa_utils.AveragedModel(model, use_buffers=True)
    sparsifier = in_torch.ActivationSparsifier(model, SIZE, 0.5, 4, 0.25, 0.5, layers="0")
    for _ in range(4):
        model.train()(torch.from_numpy(IMAGES))
        averaged.update_parameters(model)
        sparsifier.step()
    assert [name for name, _ in model.named_buffers()] == before
    torch.testing.assert_close(
        averaged.module[1].running_mean, model[1].running_mean, atol=1, rtol=0
    )
    content = ts.convert_torch(
        averaged, (torch.from_numpy(IMAGES),), sparsifier.masks(), progress=False
    )
    assert masks_in(content).keys() == {"0"}


def test_converting_before_masks_are_drawn():
    model = small().eval()
    sparsifier = in_torch.ActivationSparsifier(model, SIZE, 0.5, 10, 0.5, 0.9, layers="0")
    example = (torch.from_numpy(IMAGES),)
    copied = copy.deepcopy(model)
    for _ in range(10):
        sparsifier.step()
    with pytest.raises(MaskError, match=r"'0' is not drawn yet.*copy.*masks=sparsifier\.masks"):
        ts.convert_torch(copied, example, progress=False)
    expected = ts.convert_torch(model, example, progress=False)
    assert ts.convert_torch(copied, example, sparsifier.masks(), progress=False) == expected
    # As before: the copy is still dense.
    with torch.no_grad():
        sparsifier.remove()
        torch.testing.assert_close(copied(*example), model(*example), rtol=0, atol=0)


def test_a_replaced_module_does_not_drop_its_mask_silently():
    model = small()
    sparsifier, example = trained(model, layers=["0", "3"])
    masks = sparsifier.masks()
    model[2] = nn.ReLU()
    with pytest.raises(MaskError, match=r"layer '0' is no longer in the model.*replaced"):
        sparsifier.step()
    with pytest.raises(MaskError, match=r"layer '0' .* trained with a mask, which is lost"):
        ts.convert_torch(model, example, progress=False)
    given = ts.convert_torch(model, example, {"0": masks["0"]}, progress=False)
    assert "0" in masks_in(given)


def test_wrappers_are_taken_off():
    model = small()
    _, example = trained(model, layers="0")
    expected = masks_in(ts.convert_torch(model, example, progress=False))
    found = masks_in(ts.convert_torch(nn.DataParallel(model), example, progress=False))
    assert found.keys() == expected.keys() == {"0"}
    again = in_torch.ActivationSparsifier(nn.DataParallel(small()), SIZE, 0.5, 1, 0, 0, layers="0")
    assert list(again.masks()) == ["0"]


def test_fused_modules_keep_their_masks():
    model = small()
    _, example = trained(model, layers="0")
    expected = model(*example)
    fused = torch.ao.quantization.fuse_modules(model, ["0", "1", "2"])
    torch.testing.assert_close(fused(*example), expected)
    assert masks_in(ts.convert_torch(fused, example, progress=False)).keys() == {"0"}


def test_scripts_and_half_precision_are_told():
    model = small().eval()
    scripted = torch.jit.script(model)
    with pytest.raises(MaskError, match=r"compiled by torch\.jit.*use the nn\.Module"):
        in_torch.ActivationSparsifier(scripted, SIZE, 0.5, 1)
    with pytest.raises(MaskError, match=r"compiled by torch\.jit"):
        ts.convert_torch(scripted, (torch.from_numpy(IMAGES),))
    trained(model, layers="0")
    with pytest.raises(AttributeError, match=r"torch.jit.script.*remove\(\)"):
        torch.jit.script(model)
    with pytest.raises(ConversionError, match=r"bfloat16.*module\.float\(\)"):
        ts.convert_torch(model.bfloat16(), (torch.from_numpy(IMAGES),))


def keras_branches():
    keras.utils.set_random_seed(0)
    images = kl.Input((SIZE, SIZE, 3))
    outputs = []
    for name, behind in {
        "relu_norm": [kl.ReLU(), kl.BatchNormalization(beta_initializer="ones")],
        "fused_norm": [kl.BatchNormalization(beta_initializer="ones")],
        "sigmoid": [kl.BatchNormalization(), kl.Activation("sigmoid"), kl.Dropout(0.5)],
        "softplus": [kl.Activation("softplus")],
        "mish": [kl.Activation("mish")],
        "celu": [kl.Activation("celu")],
        "prelu": [kl.PReLU(shared_axes=[1, 2], alpha_initializer="ones")],
        "elu": [kl.ELU()],
        "hard": [kl.Activation("hard_sigmoid")],
        "function": [keras.ops.silu],
    }.items():
        activation = "relu" if name == "fused_norm" else None
        x = kl.Conv2D(4, 3, padding="same", activation=activation, name=f"{name}_conv")(images)
        for layer in behind:
            x = layer(x)
        # The converter orders outputs as it likes: the number of channels tells them apart.
        outputs.append(kl.Conv2D(len(outputs) + 1, 1, name=f"{name}_last")(x))
    return keras.Model(images, outputs)


def test_keras_activations():
    """The model trained with masks, a plain one with its sidecar: the trained numbers."""
    model = keras_branches()
    sparsifier = in_keras.ActivationSparsifier(
        model, SIZE, 0.5, 1, 0, 0, layers=lambda name, _: not name.endswith("_last"),
        mask_source="independent",
    )  # fmt: skip
    images = IMAGES.transpose(0, 2, 3, 1)
    expected = [np.asarray(value) for value in sparsifier.model(images)]
    masks = sparsifier.masks()
    for content in (
        ts.convert_keras(sparsifier.model, progress=False),
        ts.convert_keras(model, masks, progress=False),
    ):
        assert sorted(mask.tobytes() for mask in masks_in(content).values()) == sorted(
            mask.tobytes() for mask in masks.values()
        )
        found = sorted(Reference(content).run([images]), key=lambda value: value.shape[3])
        for name, value, other in zip(masks, found, expected):
            np.testing.assert_allclose(value, other, rtol=0, atol=1e-5, err_msg=name)


def test_a_sidecar_of_module_names_fits_the_converted_file():
    """In the plain model's file the layers have the names of their modules."""
    model, sparsifier = branches()
    masks = sparsifier.masks()
    sparsifier.remove()
    example = (torch.from_numpy(IMAGES),)
    expected = ts.convert_torch(model, example, masks, progress=False)
    later = ts.apply_masks(ts.convert_torch(model, example, progress=False), masks)
    assert_outputs(later, Reference(expected).run([IMAGES.transpose(0, 2, 3, 1)]))
    assert masks_in(later).keys() == masks.keys()


def test_the_same_in_keras():
    model = keras_branches()
    masks = {"sigmoid_conv": np.eye(SIZE), "mish_conv": 1 - np.eye(SIZE)}
    for quantize in (None, "int8"):
        plain = ts.convert_keras(
            model,
            quantize=quantize,
            representative_data=IMAGES.transpose(0, 2, 3, 1),
            tolerance=10,  # one picture to calibrate with; it is the names that count here
            progress=False,
        )
        assert masks_in(ts.apply_masks(plain, masks)).keys() == masks.keys()
