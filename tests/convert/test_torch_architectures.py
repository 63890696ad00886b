"""Building blocks of well-known networks, masks on all layers that take one, in every mode."""

import numpy as np
import pytest
import torch
from expectations import masks_in
from torch_architectures import ConvNeXt, ShuffleNet, SqueezeExciteNet, UNet
from torch_networks import settled

import tflite_sparse as ts
from tflite_sparse import torch as in_torch
from tflite_sparse.convert.checking import Reference

SIZE = 32
NETWORKS = (SqueezeExciteNet, UNet, ConvNeXt, ShuffleNet)


def images(count, seed=0):
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def relative(value, expected):
    """The Euclidean distance, as a share of what is expected."""
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))


def run(content, mode, image):
    interpreter = ts.Interpreter(model_content=content, mode=mode)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    (detail,) = interpreter.get_output_details()
    return interpreter.get_tensor(detail["index"]), interpreter.sparsity_report()


@pytest.mark.parametrize("quantize", [None, "int8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_architecture(network, quantize):
    model = settled(network, SIZE)
    sparsifier = in_torch.ActivationSparsifier(model, SIZE, 0.5, 1, 0, 0, layers="all")
    masks = sparsifier.masks()
    example = images(1, seed=1)
    content = ts.convert_torch(
        model,
        (example,),
        quantize=quantize,
        representative_data=images(8).numpy() if quantize else None,
        progress=False,
    )
    found = masks_in(content)
    # A layer that makes the network's result has the name of the file's output.
    named = [name for name in masks if name in found]
    assert len(found) == len(masks)
    assert len(named) >= len(masks) - 1
    assert all(np.array_equal(found[name], masks[name]) for name in named)
    with torch.no_grad():
        expected = model(example).numpy()
    image = example.numpy().transpose(0, 2, 3, 1)
    expected = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
    (stock,) = Reference(content).run([image])
    dense, _ = run(content, "off", image)
    for mode in ("compact", "insert"):
        value, report = run(content, mode, image)
        # Masked or computed and multiplied: the same sums in the same order.
        np.testing.assert_array_equal(value, dense, err_msg=mode)
        assert {layer.layer for layer in report.layers} == found.keys()
    # Float: additions in another order. 8 bits: kernels round halves in different ways.
    assert relative(dense, stock) < (1e-5 if quantize is None else 0.1)
    assert relative(dense, expected) < (1e-5 if quantize is None else 0.3)
