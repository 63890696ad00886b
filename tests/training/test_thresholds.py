"""ReLUs with a threshold: their numbers in both frameworks, and in the file, in every runtime."""

import keras
import numpy as np
import pytest
import torch

import tflite_sparse as ts
from tflite_sparse.errors import ConversionError, OptionError
from tflite_sparse.keras import threshold as in_keras
from tflite_sparse.torch import threshold as in_torch

T = 0.125
INFINITY = np.float32(np.inf)
#: What lies around a threshold: at it, one step of float32 above and below, far away, nothing.
EDGES = np.array(
    [
        *(T, np.nextafter(np.float32(T), INFINITY), np.nextafter(np.float32(T), -INFINITY)),
        # No subnormal numbers: TensorFlow flushes them to zero.
        *(0.0, -0.0, 1.2e-38, -1.2e-38, -T, -3.0, 1.0, 5.999, 6.0, 7.5, 3e38, -3e38),
        *(INFINITY, -INFINITY),
    ],
    np.float32,
)


def expected(x, t=T, end=np.inf):
    return np.where(x > t, np.minimum(x, end), 0).astype(np.float32)


def torch_layers(t, end):
    # As a picture [N, C, H, W]; thresholds per channel are all t.
    shape = (1, len(EDGES), 1, 1)
    for layer in (
        in_torch.ThresholdReLU(t, end),
        in_torch.LearnableThresholdReLU(t, max_value=end),
        in_torch.LearnableThresholdReLU(t, channels=len(EDGES), max_value=end),
    ):
        yield (
            lambda x, layer=layer: (
                layer.eval()(torch.from_numpy(x.reshape(shape))).detach().numpy().ravel()
            )
        )


def keras_layers(t, end):
    shape = (1, 1, 1, len(EDGES))
    for layer in (
        in_keras.ThresholdReLU(t, end),
        in_keras.LearnableThresholdReLU(t, max_value=end),
        in_keras.LearnableThresholdReLU(t, channels=len(EDGES), max_value=end),
    ):
        yield lambda x, layer=layer: np.asarray(layer(x.reshape(shape))).ravel()


@pytest.mark.parametrize("layers", [torch_layers, keras_layers])
@pytest.mark.parametrize("t", [0.0, T, 2.0**-20, 0.3])
@pytest.mark.parametrize("end", [None, 6.0])
def test_values_are_those_of_the_definition(layers, t, end):
    for layer in layers(t, end):
        found = layer(EDGES)
        np.testing.assert_array_equal(found, expected(EDGES, np.float32(t), end or np.inf))
        # NaN stays NaN, as in a ReLU: it must not be hidden as a zero.
        assert np.isnan(layer(np.full_like(EDGES, np.nan))).all()


def test_gradients_pass_above_the_threshold_only():
    x = np.array([[-1, 0, 0.1, T, 0.2, 3, 7]], np.float32)
    wanted = [[0, 0, 0, 0, 1, 1, 0]]
    value = torch.from_numpy(x).requires_grad_()
    in_torch.ThresholdReLU(T, 6.0)(value).sum().backward()
    assert value.grad.tolist() == wanted
    import tensorflow as tf

    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = keras.ops.sum(in_keras.ThresholdReLU(T, 6.0)(variable, training=True))
    assert tape.gradient(total, variable).numpy().tolist() == wanted


@pytest.mark.parametrize("channels", [None, 3])
def test_learnable_thresholds_are_soft_in_training_and_equal_in_both(channels):
    """Value and gradients, of the input and of t, against finite differences and each other."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)
    factors = generator.normal(size=x.shape).astype(np.float32)
    mine = in_torch.LearnableThresholdReLU(T, 20.0, channels).train()
    other = in_keras.LearnableThresholdReLU(T, 20.0, channels)
    given = torch.from_numpy(x).permute(0, 3, 1, 2).requires_grad_()
    result = mine(given)
    (result * torch.from_numpy(factors).permute(0, 3, 1, 2)).sum().backward()
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        found = other(variable, training=True)
        total = keras.ops.sum(found * factors)
    in_x, in_t = tape.gradient(total, [variable, other.trainable_variables[0]])
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(result.detach().permute(0, 2, 3, 1), found, **close)
    np.testing.assert_allclose(given.grad.permute(0, 2, 3, 1), in_x, **close)
    np.testing.assert_allclose(mine.t.grad, in_t, **close)

    def soft(t):
        a = np.maximum(x.astype(np.float64), 0)
        return a / (1 + np.exp(-20.0 * (a - t)))

    np.testing.assert_allclose(found, soft(T), **close)
    slope = (soft(T + 1e-6) - soft(T - 1e-6)) / 2e-6 * factors
    axes = (0, 1, 2) if channels else (0, 1, 2, 3)
    np.testing.assert_allclose(mine.t.grad, np.ravel(slope.sum(axes)), rtol=1e-3, atol=1e-3)


def test_thresholds_change_in_place():
    layer = in_torch.ThresholdReLU(T)
    layer.set_threshold(0.5)
    assert layer(torch.tensor([[0.4, 0.6]])).tolist() == [[0, pytest.approx(0.6)]]
    other = in_keras.ThresholdReLU(T)
    other.set_threshold(0.5)
    assert np.asarray(other(np.array([[0.4, 0.6]], np.float32))).tolist() == [
        [0, pytest.approx(0.6)]
    ]
    again = in_keras.ThresholdReLU.from_config(other.get_config())
    assert again.t == 0.5


@pytest.mark.parametrize("package", [in_torch, in_keras])
def test_bad_parameters_are_refused(package):
    for t in (-0.1, np.nan, np.inf):
        with pytest.raises(OptionError, match="expected a threshold t"):
            package.ThresholdReLU(t)
        with pytest.raises(OptionError, match="expected a threshold t"):
            package.LearnableThresholdReLU(t)
    with pytest.raises(OptionError, match="nothing would pass"):
        package.ThresholdReLU(6.0, max_value=6.0)
    with pytest.raises(OptionError, match="expected a steepness beta"):
        package.LearnableThresholdReLU(beta=0.0)
    layer = package.ThresholdReLU(0.25, max_value=1.0)
    with pytest.raises(OptionError, match="nothing would pass"):
        layer.set_threshold(1.5)
    assert layer.t == 0.25


class Network(torch.nn.Module):
    """A convolution that hands its input on, a threshold, and a second output behind it."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = threshold
        self.conv = torch.nn.Conv2d(1, 2, 1, bias=False)
        torch.nn.init.constant_(self.conv.weight, 1.0)

    def forward(self, x):
        return self.threshold(self.conv(x))


def converted(kind):
    """A .tflite of ``[1, 8, 8, 1]`` to ``[1, 8, 8, 2]``: the input, twice, through a threshold."""
    if kind == "keras":
        model = keras.Sequential(
            [
                keras.layers.Input((8, 8, 1)),
                keras.layers.Conv2D(2, 1, use_bias=False, kernel_initializer="ones"),
                in_keras.ThresholdReLU(T),
            ]
        )
        return ts.convert_keras(model, progress=False)
    layer = {
        "torch": in_torch.ThresholdReLU(T),
        "learnable": in_torch.LearnableThresholdReLU(T, channels=2),
        "relu6": in_torch.ThresholdReLU(T, 6.0),
    }[kind]
    return ts.convert_torch(Network(layer), (torch.zeros(1, 1, 8, 8),), progress=False)


@pytest.mark.parametrize("kind", ["torch", "keras", "learnable", "relu6"])
def test_the_file_has_the_exact_form_in_stock_and_in_ours(kind):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    content = converted(kind)
    plain = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    names = [op["op_name"] for op in plain._get_ops_details()]
    assert names[0].endswith("CONV_2D")
    assert names[-4:] == ["SUB", "CEIL", "MINIMUM", "MUL"], names
    picture = np.zeros(64, np.float32)
    picture[: len(EDGES)] = EDGES
    picture[len(EDGES) :] = np.random.default_rng(0).uniform(-1, 1, 64 - len(EDGES))
    picture[-1] = np.nan
    picture = picture.reshape(1, 8, 8, 1)
    wanted = expected(np.repeat(picture, 2, 3), T, 6.0 if kind == "relu6" else np.inf)
    ours = {mode: ts.Interpreter(model_content=content, mode=mode) for mode in ("compact", "off")}
    runs = {"plain": plain, "stock": Interpreter(model_content=content), **ours}
    for name, interpreter in runs.items():
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        # A runtime's own ReLU ends at the largest number, and may make 0 of NaN.
        most = np.finfo(np.float32).max
        assert all(value == 0 or np.isnan(value) for value in found[0, -1, -1]), (name, found)
        found[0, -1, -1] = 0
        np.testing.assert_array_equal(np.minimum(found, most), np.minimum(wanted, most), name)


def test_masks_stand_behind_thresholds():
    """A mask named by a convolution goes behind its threshold, as behind any activation."""
    mask = np.indices((8, 8)).sum(0) % 2 == 0
    model = Network(in_torch.ThresholdReLU(T))
    content = ts.convert_torch(
        model, (torch.zeros(1, 1, 8, 8),), masks={"conv": mask}, progress=False
    )
    interpreter = ts.Interpreter(model_content=content, mode="off")
    interpreter.allocate_tensors()
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 1)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    wanted = expected(np.repeat(picture, 2, 3)) * mask[None, :, :, None]
    np.testing.assert_array_equal(found, wanted)


def test_masked_pixels_are_left_out_of_thresholds():
    """Rows stay compact from one convolution through a threshold to the next."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        *(torch.nn.Conv2d(3, 16, 3, padding=1), in_torch.LearnableThresholdReLU(T, channels=16)),
        *(torch.nn.Conv2d(16, 16, 3, padding=1), in_torch.ThresholdReLU(T)),
        torch.nn.Conv2d(16, 4, 1),
    )
    mask = np.indices((8, 8)).sum(0) % 2 == 0
    content = ts.convert_torch(
        model.eval(), (torch.zeros(1, 3, 8, 8),), masks={"0": mask, "2": mask}, progress=False
    )
    picture = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    outputs, forms = [], []
    for mode in ("off", "compact"):
        interpreter = ts.Interpreter(model_content=content, mode=mode)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
        forms.append([layer.form for layer in interpreter.sparsity_report().layers])
    np.testing.assert_array_equal(*outputs)
    assert forms == [["dense", "dense"], ["compact", "compact"]]


@pytest.mark.parametrize("kind", ["torch", "keras"])
def test_int8_is_refused_and_a_threshold_of_zero_is_a_relu(kind):
    data = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 1)).astype(np.float32)
    if kind == "keras":
        model = keras.Sequential(
            [
                keras.layers.Input((8, 8, 1)),
                keras.layers.Conv2D(2, 1, name="conv"),
                in_keras.ThresholdReLU(T, name="relu"),
            ]
        )
        layer, name = model.get_layer("relu"), "'relu'"

        def convert(**options):
            return ts.convert_keras(model, progress=False, **options)
    else:
        model = Network(in_torch.ThresholdReLU(T))
        layer, name = model.threshold, "'threshold'"
        data = data.transpose(0, 3, 1, 2).copy()

        def convert(**options):
            return ts.convert_torch(model, (torch.from_numpy(data[:1]),), progress=False, **options)

    from ai_edge_litert.interpreter import Interpreter

    with pytest.raises(ConversionError, match=f"the threshold 0.125 of {name}"):
        convert(quantize="int8", representative_data=data)
    for quantize in ("float16", "dynamic"):
        assert "CEIL" in operations(Interpreter(model_content=convert(quantize=quantize)))
    layer.set_threshold(0.0)
    names = operations(Interpreter(model_content=convert()))
    assert not {"CEIL", "SUB", "MUL", "RELU"} & names, names
    assert "CONV_2D" in operations(
        Interpreter(model_content=convert(quantize="int8", representative_data=data))
    )


def operations(interpreter):
    return {op["op_name"].removeprefix("DEPTHWISE_") for op in interpreter._get_ops_details()}
