"""What XNNPACK does not take runs in the runtime "built-in" as in tflite-runtime, of the same TensorFlow Lite.

Models of several kinds and of operations that are apart: transforms, strings and tables, recurrent
layers, control flow; and real models with all of their nodes in TensorFlow Lite's own kernels, whose
matrix products are ours (native/ruy_shim).
"""

import functools
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import INT8, content, inputs
from tflite_sparse import builtin_runtime
from tflite_sparse.builtin_runtime import OpResolverType

ROOT = Path(__file__).resolve().parent.parent
STOCK = ROOT / ".venvs" / "tflite-runtime" / "bin" / "python"
WORDS = np.array([b"a", b"cat", b"", b"saw", b"an", b"owl", "füße".encode(), b"dog"], object)

# Arguments: the model, a .npz with its inputs in order, the .npz for its outputs.
REFERENCE = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType
kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
interpreter = Interpreter(sys.argv[1], experimental_op_resolver_type=kind)
interpreter.allocate_tensors()
given = np.load(sys.argv[2])
for detail, name in zip(interpreter.get_input_details(), given.files):
    interpreter.set_tensor(detail["index"], given[name])
interpreter.invoke()
np.savez(sys.argv[3], *(interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()))
"""


def converted(function, *specs):
    """A .tflite of a TensorFlow function."""
    import tensorflow as tf

    module = tf.Module()
    module.function = tf.function(function, input_signature=specs)
    # Tables are variables, which a module has to own.
    module.owned = getattr(function, "owned", None)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.function.get_concrete_function())
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def random(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def audio():
    import tensorflow as tf

    filters, classes = random(129, 20), random(20 * 16, 5)

    def function(sound):
        spectrum = tf.abs(tf.signal.rfft2d(tf.reshape(sound, [1, 16, 256])))
        bands = tf.math.log(tf.reshape(spectrum, [16, 129]) @ tf.abs(filters) + 1e-3)
        return tf.nn.softmax(tf.reshape(bands, [1, -1]) @ classes / 50.0)

    return converted(function, tf.TensorSpec([1, 4096])), [random(1, 4096)]


def text():
    import tensorflow as tf

    keys = tf.constant(["a", "cat", "dog", "owl", "saw", "füße"])
    pairs = tf.lookup.KeyValueTensorInitializer(keys, tf.range(1, 7, dtype=tf.int64))
    table = tf.lookup.StaticHashTable(pairs, 0)
    meanings, classes = random(7, 32), random(32, 3)

    def function(words):
        vectors = tf.gather(meanings, table.lookup(words))
        best, _ = tf.math.top_k(tf.transpose(vectors), 2)
        return tf.nn.softmax(tf.transpose(best) @ classes), tf.math.cumsum(vectors)

    function.owned = table
    return converted(function, tf.TensorSpec([8], tf.string)), [WORDS]


def segmentation():
    import tensorflow as tf

    first, up, last = random(3, 3, 3, 16), random(2, 2, 12, 16), random(1, 1, 12, 4)

    def function(picture):
        features = tf.nn.elu(tf.nn.conv2d(picture, first, 2, "SAME"))
        wide = tf.nn.conv2d_transpose(features, up, [1, 32, 32, 12], 2)
        wide = tf.nn.local_response_normalization(tf.image.resize(wide, [48, 48]), 2)
        classes = tf.nn.conv2d(wide, last, 1, "SAME")
        labels = tf.argmax(classes, -1)
        return classes, labels, tf.reduce_sum(tf.one_hot(labels, 4), [1, 2])

    return converted(function, tf.TensorSpec([1, 32, 32, 3])), [random(1, 32, 32, 3)]


def recurrent():
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    layers = [keras.layers.LSTM(24, return_sequences=True), keras.layers.GRU(16)]
    model = keras.Sequential([keras.Input((12, 8), batch_size=1), *layers])
    return tf.lite.TFLiteConverter.from_keras_model(model).convert(), [random(1, 12, 8)]


def control_flow():
    import tensorflow as tf

    weights = random(8, 8) / 4

    def function(start):
        def step(number, value):
            grown = tf.cond(tf.reduce_sum(value) > 0, lambda: value @ weights, lambda: value + 1.0)
            return number + 1, grown

        return tf.while_loop(lambda number, value: number < 9, step, (0, start))[1]

    return converted(function, tf.TensorSpec([2, 8])), [random(2, 8)]


def solid():
    import tensorflow as tf

    kernel, factors = random(3, 3, 3, 4, 6), random(6, 7, 5)

    def function(volume):
        features = tf.nn.conv3d(volume, kernel, [1, 1, 1, 1, 1], "SAME")
        ordered = tf.linalg.matmul(tf.reshape(features, [6, 40, 7]), factors)
        return tf.reverse(ordered, [1]), tf.unique(tf.cast(features[0, 0, 0, :, 0], tf.int32))[0]

    return converted(function, tf.TensorSpec([1, 7, 8, 5, 4])), [random(1, 7, 8, 5, 4)]


def real(name):
    def make():
        model = content(name)
        interpreter = ts.Interpreter(model_content=model)
        return model, inputs(interpreter)

    return make


# What has to run in TensorFlow Lite's kernels, for these to be a test of them.
KINDS = {
    audio: {"RFFT2D", "COMPLEX_ABS", "LOG"},
    text: {"HASHTABLE", "HASHTABLE_FIND", "GATHER", "TOPK_V2", "CUMSUM"},
    segmentation: {"ARG_MAX", "ONE_HOT", "LOCAL_RESPONSE_NORMALIZATION"},
    recurrent: {"WHILE"},
    control_flow: {"WHILE"},
    solid: {"CONV_3D", "BATCH_MATMUL", "REVERSE_V2", "UNIQUE"},
}
CASES = {
    **{make.__name__: make for make in KINDS},
    **{name: real(name) for name in ("face_landmark_fp32", "pose_detection", "hand_recrop", *INT8)},
}
OPERATIONS = {make.__name__: kinds for make, kinds in KINDS.items()}


@functools.cache
def case(name):
    """Model, its inputs, and the outputs of tflite-runtime's own kernels."""
    model, given = CASES[name]()
    with tempfile.TemporaryDirectory() as scratch:
        return model, given, stock(Path(scratch), model, given)


def stock(folder, model, given):
    (folder / "model.tflite").write_bytes(model)
    as_bytes = (value.astype(bytes) if value.dtype == object else value for value in given)
    np.savez(folder / "inputs.npz", *as_bytes)
    files = [folder / name for name in ("model.tflite", "inputs.npz", "outputs.npz")]
    done = subprocess.run(
        [STOCK, "-c", REFERENCE, *files], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(files[2]) as outputs:
        return [outputs[name] for name in outputs.files]


def check(interpreter, given, expected):
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), given, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    details = interpreter.get_output_details()
    assert len(details) == len(expected)
    assert any(np.unique(right).size > 2 for right in expected), "the outputs say nothing"
    for detail, right in zip(details, expected):
        found = interpreter.get_tensor(detail["index"])
        assert found.shape == right.shape
        assert found.dtype == right.dtype
        allowed = 1.5e-4 * np.abs(right).max() if right.dtype.kind == "f" else 2
        if right.dtype in (np.int32, np.int64):
            allowed = 0
        np.testing.assert_allclose(found.astype(float), right.astype(float), rtol=0, atol=allowed)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_own_kernels(name, threads):
    model, given, expected = case(name)
    interpreter = builtin_runtime.Interpreter(
        model_content=model,
        num_threads=threads,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    check(interpreter, given, expected)


@pytest.mark.parametrize("mode", ["compact", "off"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_beside_the_delegate(name, mode):
    model, given, expected = case(name)
    interpreter = ts.Interpreter(model_content=model, runtime="built-in", mode=mode)
    check(interpreter, given, expected)
    left = {op["op_name"] for op in interpreter._get_ops_details()}
    assert OPERATIONS[name] <= left


def test_a_custom_operation_is_refused():
    with pytest.raises(ts.ModelError, match=r"custom op.*pass a delegate that has it"):
        ts.Interpreter(model_content=content("selfie_segmentation"), runtime="built-in")
