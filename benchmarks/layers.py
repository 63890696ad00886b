"""Single layers as .tflite files without masks, with random weights.

A layer is named after what it is: `conv-KERNEL-IN-OUT-SIZE` is a convolution of stride 1 with ReLU
on a square plane, `conv-KERNEL-IN-OUT-SIZE-N` a chain of N of them (IN = OUT), `fc-IN-OUT` fully
connected.
"""

import contextlib
import os
import sys
from pathlib import Path

from tflite_sparse.files import write_atomically

OUT = Path(__file__).resolve().parent.parent / "build" / "layers"


def dense(name: str) -> Path:
    """The layer's .tflite in build/layers, made on first use.

    Raises:
        ValueError: a name that is not of the forms above.
    """
    path = OUT / f"{name}.tflite"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _convert(name))
    return path


def _convert(name):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    with contextlib.redirect_stdout(sys.stderr):
        converter = tf.lite.TFLiteConverter.from_keras_model(_build(keras, name))
        return converter.convert()


def _build(keras, name):
    kind, *numbers = name.split("-")
    try:
        sizes = [int(number) for number in numbers]
        if kind == "fc":
            channels, outputs = sizes
            inputs = keras.layers.Input((channels,), batch_size=1)
            return keras.Model(inputs, keras.layers.Dense(outputs)(inputs))
        if kind == "conv":
            kernel, channels, outputs, size, *rest = sizes
            (count,) = rest or (1,)
            inputs = x = keras.layers.Input((size, size, channels), batch_size=1)
            for _ in range(count):
                x = keras.layers.Conv2D(outputs, kernel, padding="same", activation="relu",
                                        kernel_initializer="he_normal")(x)  # fmt: skip
            return keras.Model(inputs, x)
    except ValueError as error:
        raise ValueError(f"layer {name!r}: expected {__doc__.split(chr(10), 2)[2]}") from error
    raise ValueError(f"layer {name!r}: expected conv-... or fc-...")
