"""Networks for other tasks than classifying pictures: what surrounds their convolutions.

Sound, text lines, segmentation, detection with its post-processing, super-resolution, attention. As
TensorFlow's own converter writes them, dense and with random masks on every convolution: ours gives
what the stock interpreter gives, and what is left to the interpreter has a reason.
"""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tflite_sparse as ts
from tflite_sparse.inputs import random_inputs
from tflite_sparse.measure.activity import measure_activity
from tflite_sparse.measure.sweep import masked
from tflite_sparse.measure.variants import difference
from tflite_sparse.runtime import find_runtime


def conv(x, channels, **options):
    return layers.Conv2D(channels, 3, padding="same", activation="relu", **options)(x)


def separable(x, channels, **options):
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", **options)(x)
    return layers.Conv2D(channels, 1, activation="relu")(x)


def sound():
    """Keyword spotting: a spectrogram inside the graph, then separable convolutions."""
    wave = keras.Input((4000,), batch_size=1)
    spectrum = layers.Lambda(lambda x: tf.abs(tf.signal.stft(x, 256, 128)))(wave)
    x = layers.Lambda(lambda x: tf.math.log(x + 1e-3)[..., None])(spectrum)
    x = separable(conv(x, 16, strides=2), 24)
    x = layers.GlobalAveragePooling2D()(separable(x, 32, strides=2))
    return keras.Model(wave, layers.Dense(12, activation="softmax")(x))


def text_line():
    """Reading a line: convolutions, columns as a sequence, LSTMs in both directions."""
    line = keras.Input((32, 96, 1), batch_size=1)
    x = layers.MaxPooling2D()(conv(line, 16))
    x = layers.MaxPooling2D((4, 1))(conv(x, 24))
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Reshape((48, 4 * 24))(x)
    x = layers.Bidirectional(layers.LSTM(16, return_sequences=True, unroll=True))(x)
    return keras.Model(line, layers.Dense(40, activation="softmax")(x))


def segmentation():
    """U-Net: skips, transposed convolutions, a resize, classes by argmax in addition to the scores."""
    picture = keras.Input((48, 64, 3), batch_size=1)
    top = conv(picture, 8)
    middle = conv(layers.MaxPooling2D()(top), 16)
    bottom = conv(layers.AveragePooling2D(2)(middle), 24)
    x = layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu")(bottom)
    x = conv(layers.Concatenate()([x, middle]), 16)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    scores = layers.Conv2D(5, 1)(conv(layers.Concatenate()([x, top]), 8))
    return keras.Model(picture, [scores, layers.Lambda(lambda s: tf.argmax(s, -1))(scores)])


def detection():
    """SSD: heads of two scales, boxes decoded and chosen in the graph, as many as there are."""
    picture = keras.Input((64, 64, 3), batch_size=1)
    fine = conv(conv(picture, 16, strides=2), 24, strides=2)
    coarse = conv(fine, 32, strides=2)
    heads = [layers.Conv2D(2 * 5, 3, padding="same")(x) for x in (fine, coarse)]
    flat = layers.Concatenate(axis=1)([layers.Reshape((-1, 5))(head) for head in heads])

    def choose(values):
        boxes, scores = values[0, :, :4], tf.sigmoid(values[0, :, 4])
        corners = tf.concat([tf.minimum(boxes[:, :2], boxes[:, 2:]), boxes[:, 2:] + 1.0], -1)
        chosen = tf.image.non_max_suppression_with_scores(corners, scores, 10, 0.5)[0]
        return tf.gather(corners, chosen), tf.gather(scores, chosen)

    return keras.Model(picture, layers.Lambda(choose)(flat))


def super_resolution():
    """A residual sum, channels into pixels."""
    picture = keras.Input((24, 40, 3), batch_size=1)
    x = conv(picture, 16)
    x = layers.Add()([x, layers.Conv2D(16, 3, padding="same")(conv(x, 16))])
    x = layers.Conv2D(12, 3, padding="same")(x)
    return keras.Model(picture, layers.Lambda(lambda x: tf.nn.depth_to_space(x, 2))(x))


def attention():
    """Patches by a convolution, attention over them, a convolution between."""
    picture = keras.Input((32, 32, 3), batch_size=1)
    x = layers.Conv2D(32, 4, strides=4, activation="gelu")(picture)
    tokens = layers.Reshape((64, 32))(x)
    normal = layers.LayerNormalization()(tokens)
    tokens = layers.Add()([tokens, layers.MultiHeadAttention(4, 8)(normal, normal)])
    x = layers.Reshape((8, 8, 32))(tokens)
    x = layers.GlobalAveragePooling2D()(separable(x, 48))
    return keras.Model(picture, layers.Dense(10)(x))


KINDS = (sound, text_line, segmentation, detection, super_resolution, attention)


@cache
def content(kind):
    keras.utils.set_random_seed(0)
    return tf.lite.TFLiteConverter.from_keras_model(kind()).convert()


def run(interpreter, values):
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


@pytest.mark.parametrize("sparsity", [0, 0.5])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_equals_stock(kind, sparsity):
    model = masked(content(kind), sparsity, input_size=(64, 64))
    stock = find_runtime().module.Interpreter(model_content=model)
    values = random_inputs(stock.get_input_details())
    expected = run(stock, values)
    assert any(np.ptp(output) > 0 for output in expected)
    for mode in ("off", "insert", "compact"):
        with ts.Interpreter(model_content=model, mode=mode) as interpreter:
            found = run(interpreter, values)
            report = interpreter.sparsity_report()
        worst, allowed = difference(expected, found)
        assert allowed, f"{mode}: {worst}"
        assert all(node.reason for node in report.left)
        assert all(row.accelerated or row.reason for row in report.layers)
    if sparsity:
        assert any(row.accelerated for row in report.layers) or report.nodes_taken == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_activity(kind):
    """ReLUs make zeros in all of them, and what is counted lies between none and all."""
    model = content(kind)
    inputs = random_inputs(ts.Interpreter(model_content=model).get_input_details())
    report = measure_activity(model, [inputs])
    assert 0 < report.totals.zeros < 1
    assert all(0 <= layer.macs_effective <= layer.macs_dense for layer in report.layers)
