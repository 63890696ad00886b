"""Models whose shapes are not all known before they run: taken as stock takes them."""

import numpy as np
import pytest

import tflite_sparse as ts
from tflite_sparse.cli import main
from tflite_sparse.runtime import find_runtime

RUNTIMES = ("ai-edge-litert", "tensorflow")
UNKNOWN = "shapes of its tensors are known only while it runs"


def keras_model(name):
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    x = start = keras.Input((None, None, 3) if name == "open size" else (12, 12, 3))
    x = layers.Conv2D(8, 3, activation="relu")(x)
    if name == "flatten":
        x = layers.Dense(4)(layers.Flatten()(x))
    elif name == "reshape":
        x = layers.Conv2D(4, 3)(layers.Reshape((5, 10, 16))(x))
    elif name == "transpose":
        x = layers.Conv2DTranspose(4, 3, strides=2)(x)
    else:
        x = layers.Conv2D(4, 3)(x)
    return keras.Model(start, x)


@pytest.fixture(scope="module")
def content():
    import tensorflow as tf

    made = {}

    def make(name):
        if name not in made:
            # With the batch left open, as TensorFlow's own converter does.
            made[name] = tf.lite.TFLiteConverter.from_keras_model(keras_model(name)).convert()
        return made[name]

    return make


def run(interpreter, values):
    (detail,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(detail["index"], values.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def plain(runtime, model):
    module = find_runtime(runtime).module
    resolver = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return module.Interpreter(model_content=model, experimental_op_resolver_type=resolver)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["flatten", "reshape", "transpose"])
def test_shapes_known_only_at_run_time(content, name, runtime):
    model = content(name)
    interpreter = ts.Interpreter(model_content=model, runtime=runtime)
    interpreter.allocate_tensors()
    for batch in (1, 3):
        values = np.random.default_rng(0).random((batch, 12, 12, 3), np.float32)
        np.testing.assert_array_equal(run(interpreter, values), run(plain(runtime, model), values))
    report = interpreter.sparsity_report()
    assert (report.nodes_taken, report.nodes_total) == (0, len(report.left))
    assert {node.op for node in report.left} >= {"CONV_2D", "SHAPE"}
    assert all(UNKNOWN in node.reason for node in report.left)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_sizes_that_are_fixed_by_resizing(content, runtime):
    model = content("open size")
    interpreter = ts.Interpreter(model_content=model, runtime=runtime)
    with pytest.raises(ts.ModelError, match=r"CONV_2D\) failed to prepare"):
        interpreter.allocate_tensors()  # the file says 1 x 1, too small for these kernels
    for side in (9, 16):
        values = np.random.default_rng(0).random((1, side, side, 3), np.float32)
        found = run(interpreter, values)
        np.testing.assert_allclose(found, run(plain(runtime, model), values), atol=1e-5)
        assert interpreter.sparsity_report().nodes_taken == 2


def test_strict_says_that_nothing_is_skipped(content):
    model = content("transpose")
    with pytest.raises(ts.MaskError, match=f"strict, but nothing is skipped: {UNKNOWN}"):
        ts.Interpreter(model_content=model, strict=True).allocate_tensors()


def test_commands_take_them(content, tmp_path, capsys):
    path, values = str(tmp_path / "m.tflite"), str(tmp_path / "x.npy")
    (tmp_path / "m.tflite").write_bytes(content("flatten"))
    np.save(values, np.zeros((1, 12, 12, 3), np.float32))
    assert main(["run", path, "--input", values, "--report"]) == 0
    assert UNKNOWN in capsys.readouterr().out
    sweep = ["--sweep", "0", "--rounds", "1", "--no-cold"]
    assert main(["bench", path, "--input", values, *sweep]) == 0


def test_compiled_model_says_what_to_do(content):
    """LiteRT gives no such graph to a delegate from outside, and compiles nothing then."""
    with pytest.raises(ts.ModelError, match=r"known only while it runs, .* fixed ones"):
        ts.compile_model(model_content=content("flatten"))
