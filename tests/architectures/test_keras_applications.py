"""The architectures of keras.applications, a mask on every layer that takes one, float and int8.

Each is converted from its masked Keras model and runs in every mode. The oracle is the Keras model
itself, and the stock runtime on the same file.
"""

import keras
import numpy as np
import pytest
from keras import layers

import tflite_sparse as ts
from tflite_sparse.keras import ActivationSparsifier
from tflite_sparse.measure.variants import difference
from tflite_sparse.runtime import find_runtime

SIZE = 80
NETWORKS = (
    "MobileNetV3Small",
    "MobileNetV3Large",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "DenseNet121",
    "Xception",
    "NASNetMobile",
    "ResNet50",
    "InceptionV3",
)
# Of what an output's norm is: float convolutions round apart, and a network with random weights
# amplifies that in its 20 to 200 layers.
TOLERANCE = 1e-3
# What XNNPACK does not take in float networks: a pooling of one pixel whose stride is two, a
# concatenation of more than five.
LEFT = {"NASNetMobile": {"AVERAGE_POOL_2D", "CONCATENATION"}}


def pictures(count, seed=0):
    return np.random.default_rng(seed).random((count, SIZE, SIZE, 3), np.float32) * 2 - 1


def masked_network(name):
    """The network with random weights, BatchNorm as after training, and frozen masks on all layers."""
    keras.utils.set_random_seed(0)
    options = {"include_preprocessing": False} if "V3" in name and "Mobile" in name else {}
    if name == "EfficientNetV2B0":
        options = {"include_preprocessing": False}
    picture = keras.Input((SIZE, SIZE, 3), batch_size=1)
    model = getattr(keras.applications, name)(
        weights=None, input_tensor=picture, classes=10, classifier_activation=None, **options
    )
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(pictures(1, seed=1), training=True)
    sparsifier = ActivationSparsifier(
        model, SIZE, 0.4, total_steps=2, dense_until=0.0, freeze_from=0.5, layers="all"
    )
    while not sparsifier.frozen:
        sparsifier.step()
    return sparsifier.model, sparsifier.masks()


@pytest.fixture(scope="module")
def network_of():
    made = {}

    def make(name):
        if name not in made:
            made.clear()  # one at a time: they are large
            made[name] = masked_network(name)
        return made[name]

    return make


def run(interpreter, values):
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.networks(*NETWORKS)
@pytest.mark.parametrize("quantize", [None, "int8"])
def test_masked_network_in_every_mode(network_of, network, quantize):
    model, masks = network_of(network)
    (picture,) = pictures(1, seed=2)[:, None]
    content = ts.convert_keras(
        model, quantize=quantize, representative_data=pictures(4), progress=False
    )
    expected = np.asarray(model(picture, training=False))
    written, found = None, {}
    for mode in ("off", "insert", "compact"):
        with ts.Interpreter(model_content=content, mode=mode) as interpreter:
            found[mode] = run(interpreter, picture)
            report = interpreter.sparsity_report()
        written = written or found[mode]
        np.testing.assert_array_equal(found[mode][0], written[0], err_msg=mode)
        # In 8 bits XNNPACK lacks some operators.
        assert quantize or {node.op for node in report.left} <= LEFT.get(network, set())
    # Masks that leave a plane of few pixels whole are dropped; the last mode's report has all others.
    assert len(report.layers) == sum(not mask.all() for mask in masks.values())
    accelerated = sum(row.accelerated for row in report.layers)
    if report.left == ():
        assert all(row.accelerated or row.by_choice for row in report.layers), str(report)
        assert accelerated > len(report.layers) / 3
    assert accelerated > 0
    stock = find_runtime("ai-edge-litert").module.Interpreter(model_content=content)
    outputs = run(stock, picture)
    if quantize is None:
        assert relative(written[0], expected) < TOLERANCE
        worst, allowed = difference(outputs, written)
        assert allowed, worst
    else:
        assert relative(written[0], outputs[0]) < 0.1
