"""The paper's networks as .tflite files, dense and masked, float32 and int8.

    python benchmarks/networks.py --out DIR --sparsity 0,0.3,0.5

writes NAME[_int8]-sXX.tflite for ResNet-18, ResNet-50 and MobileNetV2 at 224 x 224 and YOLOv5n at
480 x 480. Weights are random (seeded, He's initialisation, BatchNorm's statistics taken from
random images), so that activations have the magnitudes of a trained network: speed and numerics
can be measured on them, accuracy cannot.

Every convolution's mask stands behind its activation. The last convolution of a ResNet block is
linear: its mask stands on the convolution's own output, before the addition, as in the paper:

    CONV -> MUL(mask) -> ADD(relu)

YOLOv5n ends in its three detection maps; decoding boxes is not part of it. Its float SiLU is
LOGISTIC and MUL, with the mask behind the MUL.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tflite_sparse.convert import apply_masks
from tflite_sparse.files import write_atomically
from tflite_sparse.graph import ModelFile, View, choose_layers, fingerprint
from tflite_sparse.masks import MaskSet, propagate_masks

#: Which layers get a mask. ``paper``: every convolution, depthwise ones too, but not 1 x 1
#: convolutions in a residual block's shortcut and not YOLO's detection maps. ``all``: every one.
RULES = ("paper", "all")

_CALIBRATION_IMAGES = 4
_BATCHNORM_IMAGES = 8


@dataclass(frozen=True)
class Network:
    """A network: how to build it in Keras, and the side of its square input in pixels."""

    build: Callable[[int], Any]
    size: int


def dense(name: str, int8: bool = False, zeros: float | None = None) -> Path:
    """The network without masks: a .tflite in the user's cache, made on first use.

    Args:
        name: one of NETWORKS.
        int8: whether it is quantised.
        zeros: share of zeros that each ReLU writes for pictures like `_images`; as it comes if None.

    Raises:
        KeyError: an unknown name; see NETWORKS.
    """
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    suffix = f"{'_int8' if int8 else ''}{'' if zeros is None else f'_z{round(100 * zeros)}'}"
    path = _cache() / f"{name}{suffix}-{version}.tflite"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        network = NETWORKS[name]
        print(f"building {path.name}", file=sys.stderr, flush=True)
        write_atomically(path, _convert(network, int8, zeros))
    return path


def masks(
    name: str,
    sparsity: float,
    int8: bool = False,
    rule: str = "paper",
    seed: int = 0,
    zeros: float | None = None,
) -> MaskSet:
    """Propagated masks for a network's layers (the paper's Algorithm 1); RULES says which."""
    file = ModelFile.read(dense(name, int8, zeros))
    views = View(file, 0)
    layers = choose_layers(file, rule)
    if rule == "paper":
        layers = [layer for layer in layers if layer.output not in views.outputs]
    shapes = {layer.name: views.shape(layer.output)[1:3] for layer in layers}
    made = propagate_masks(shapes, NETWORKS[name].size, sparsity, seed)
    return made.replace(fingerprint=fingerprint(file))


def masked(
    name: str,
    sparsity: float,
    int8: bool = False,
    rule: str = "paper",
    seed: int = 0,
    zeros: float | None = None,
) -> bytes:
    """The network with propagated masks, the bytes of a .tflite; dense for a sparsity of 0."""
    if sparsity == 0:
        return dense(name, int8, zeros).read_bytes()
    return apply_masks(dense(name, int8, zeros), masks(name, sparsity, int8, rule, seed, zeros))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tflite-sparse" / "networks"


def _convert(network: Network, int8: bool, zeros: float | None) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = network.build(network.size)
    _settle_batchnorm(model, network.size)
    if zeros is not None:
        _bring_zeros(model, network.size, zeros)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if int8:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _calibration(network.size)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    # Keras reports its intermediate export on standard output, which is for paths here.
    with contextlib.redirect_stdout(sys.stderr):
        content: bytes = converter.convert()
    return content


def _images(size: int, count: int, seed: int) -> np.ndarray:
    """Smooth random pictures in about [-1, 1]: white noise would look alike to a deep layer."""
    generator = np.random.default_rng(seed)
    coarse = generator.standard_normal((count, size // 16, size // 16, 3))
    images = np.kron(coarse, np.ones((1, 16, 16, 1)))
    images += 0.3 * generator.standard_normal(images.shape)
    return np.clip(images / 2, -1, 1).astype(np.float32)


def _calibration(size: int) -> Iterator[list[np.ndarray]]:
    for image in _images(size, _CALIBRATION_IMAGES, seed=2):
        yield [image[None]]


def _settle_batchnorm(model: Any, size: int) -> None:
    """Give BatchNorm the statistics of its input, as training would."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(_images(size, _BATCHNORM_IMAGES, seed=1), training=True)


def _bring_zeros(model: Any, size: int, share: float) -> None:
    """Shift the BatchNorm before each ReLU until that share of its outputs is zero."""
    import keras

    pictures = _images(size, 2, seed=1)
    for layer in model.layers:
        if getattr(layer, "activation", None) is not keras.activations.relu and not isinstance(
            layer, keras.layers.ReLU
        ):
            continue
        values = keras.Model(model.inputs, layer.input)
        below = np.quantile(np.concatenate([values(picture[None]) for picture in pictures]), share)
        producer = layer.input._keras_history.operation
        if isinstance(producer, keras.layers.Add):
            producer = producer.input[-1]._keras_history.operation
        producer.beta.assign(producer.beta - below)


# --- networks -----------------------------------------------------------------------------------


def _conv(
    x: Any, filters: int, kernel: int, stride: int = 1, activation: str | None = "relu"
) -> Any:
    from keras import layers

    x = layers.Conv2D(
        filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    x = layers.BatchNormalization()(x)
    return x if activation is None else layers.Activation(activation)(x)


def _resnet18(size: int) -> Any:
    """He et al., "Deep Residual Learning for Image Recognition", table 1."""
    import keras
    from keras import layers

    inputs = layers.Input((size, size, 3), batch_size=1)
    x = layers.MaxPooling2D(3, 2, "same")(_conv(inputs, 64, 7, 2))
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            y = _conv(_conv(x, filters, 3, stride), filters, 3, activation=None)
            if stride != 1:
                x = _conv(x, filters, 1, stride, activation=None)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(1000)(x))


def _resnet50(size: int) -> Any:
    import keras

    inputs = keras.layers.Input((size, size, 3), batch_size=1)
    return keras.applications.ResNet50(
        weights=None, input_tensor=inputs, classifier_activation=None
    )


def _mobilenetv2(size: int) -> Any:
    import keras

    inputs = keras.layers.Input((size, size, 3), batch_size=1)
    return keras.applications.MobileNetV2(
        weights=None, input_tensor=inputs, classifier_activation=None
    )


def _yolov5n(size: int) -> Any:
    """YOLOv5n v6: depth 0.33, width 0.25, 80 classes, three anchors a scale."""
    import keras
    from keras import layers

    def conv(x: Any, filters: int, kernel: int = 1, stride: int = 1) -> Any:
        return _conv(x, filters, kernel, stride, "silu")

    def c3(x: Any, filters: int, repeats: int, shortcut: bool = True) -> Any:
        y = conv(x, filters // 2)
        for _ in range(repeats):
            inner = conv(conv(y, filters // 2), filters // 2, 3)
            y = layers.Add()([y, inner]) if shortcut else inner
        return conv(layers.Concatenate()([y, conv(x, filters // 2)]), filters)

    def pool(x: Any) -> Any:
        return layers.MaxPooling2D(5, 1, "same")(x)

    def up(x: Any) -> Any:
        # Not UpSampling2D, which the converter spells with RESHAPE and TILE: exports of YOLOv5
        # have RESIZE_NEAREST_NEIGHBOR here.
        _, height, width, _ = x.shape
        return keras.ops.image.resize(x, (2 * height, 2 * width), interpolation="nearest")

    def concat(*values: Any) -> Any:
        return layers.Concatenate()(list(values))

    inputs = layers.Input((size, size, 3), batch_size=1)
    x = c3(conv(conv(inputs, 16, 6, 2), 32, 3, 2), 32, 1)
    p3 = c3(conv(x, 64, 3, 2), 64, 2)
    p4 = c3(conv(p3, 128, 3, 2), 128, 3)
    x = conv(c3(conv(p4, 256, 3, 2), 256, 1), 128)
    once = pool(x)
    twice = pool(once)
    x = conv(concat(x, once, twice, pool(twice)), 256)
    top = conv(x, 128)
    middle = conv(c3(concat(up(top), p4), 128, 1, False), 64)
    small = c3(concat(up(middle), p3), 64, 1, False)
    medium = c3(concat(conv(small, 64, 3, 2), middle), 128, 1, False)
    large = c3(concat(conv(medium, 128, 3, 2), top), 256, 1, False)
    return keras.Model(inputs, [layers.Conv2D(255, 1)(x) for x in (small, medium, large)])


NETWORKS = {
    "resnet18": Network(_resnet18, 224),
    "resnet50": Network(_resnet50, 224),
    "mobilenetv2": Network(_mobilenetv2, 224),
    "yolov5n": Network(_yolov5n, 480),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files that the arguments ask for; prints their paths."""
    parser = argparse.ArgumentParser(
        description="Write the paper's networks as .tflite files with random weights.",
        epilog="example: python benchmarks/networks.py --out /tmp/nets --sparsity 0,0.3,0.5",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--sparsity", default="0,0.3,0.5", help="comma-separated, each in [0, 1)")
    parser.add_argument("--networks", default=",".join(NETWORKS), help=f"of {','.join(NETWORKS)}")
    parser.add_argument("--types", default="float32,int8", help="float32, int8 or both")
    parser.add_argument("--rule", choices=RULES, default="paper", help="which layers get a mask")
    parser.add_argument("--seed", type=int, default=0, help="the masks' seed")
    args = parser.parse_args(argv)
    unknown = set(args.networks.split(",")) - set(NETWORKS)
    if unknown:
        parser.error(f"unknown network {unknown.pop()!r}; known are {', '.join(NETWORKS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.networks.split(","):
        for dtype in args.types.split(","):
            for sparsity in map(float, args.sparsity.split(",")):
                int8 = dtype == "int8"
                suffix = "_int8" if int8 else ""
                path = args.out / f"{name}{suffix}-s{round(sparsity * 100):02d}.tflite"
                write_atomically(path, masked(name, sparsity, int8, args.rule, args.seed))
                print(path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
