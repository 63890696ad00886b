"""The engine, as TFLite models reach it: right numbers in every mode, and a true report."""

import re
from functools import cache

import numpy as np
import pytest

import tflite_sparse as ts
from benchmarks import networks
from tests.convert.small_models import SmallModel
from tests.runtime.models import MASKED_INT8, inputs, run
from tests.runtime.models import content as model_content
from tflite_sparse.convert.checking import Reference
from tflite_sparse.graph import ModelFile, find_layers
from tflite_sparse.measure.sweep import made_masks, masked
from tools.fetch_models import fetched

REAL = ("hand_landmark_lite", "pose_detection", "iris_landmark_fp32")
SPARSITIES = (0.3, 0.5)
HEIGHT, WIDTH, CHANNELS = 6, 8, 4
OUTPUT = {"FLOAT32": {}, "INT8": {"scale": 0.3, "point": 3}}
LOOSE = "saves less than inserting zeros"


@cache
def real_model(name, sparsity):
    return masked(fetched(name).read_bytes(), sparsity)


def run_ours(content, values, **options):
    """Outputs and report of our delegate."""
    with ts.Interpreter(model_content=content, **options) as interpreter:
        interpreter.allocate_tensors()
        outputs = run(interpreter, values)
        return outputs, interpreter.sparsity_report()


def assert_equal(expected, found):
    """Equal values; -0.0 is 0.0, NaN is NaN."""
    assert len(expected) == len(found) > 0
    for a, b in zip(expected, found):
        np.testing.assert_array_equal(a, b)


def assert_modes_agree(content, values, **options):
    """Skipping gives exactly the numbers of multiplying as written; returns them."""
    written, _ = run_ours(content, values, mode="off", **options)
    for mode in ("insert", "compact"):
        assert_equal(written, run_ours(content, values, mode=mode, **options)[0])
    return written


def distances(expected, found):
    """Largest differences, each relative to the largest magnitude of its tensor."""
    return [float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(expected, found)]


# --- real models --------------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("name", REAL)
def test_real_models_equal_the_stock_runtime(name, sparsity):
    """The runtime's two engines, its XNNPACK delegate and its own kernels, add their sums in
    different orders: how far they are apart is what rounding does in this model. The largest
    difference of so few values varies by a small factor, so eight times of it is allowed; without
    the masks, outputs are a hundred thousand times as far.
    """
    from ai_edge_litert.interpreter import Interpreter

    content = real_model(name, sparsity)
    stock = Interpreter(model_content=content, num_threads=1)
    stock.allocate_tensors()
    values = inputs(stock)
    expected = run(stock, values)
    rounding = max(distances(expected, Reference(content).run(values)))
    assert 0 < rounding < 1e-5
    unmasked = Reference(fetched(name).read_bytes()).run(values)
    assert max(distances(expected, unmasked)) > 1e5 * rounding

    ours = assert_modes_agree(content, values)
    assert max(distances(expected, ours)) <= 8 * rounding


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("mode", ["insert", "compact"])
def test_report_has_a_row_for_every_mask(name, sparsity, mode):
    content = real_model(name, sparsity)
    masks = {
        layer.name: layer.multiply.mask
        for layer in find_layers(ModelFile.read(content))
        if layer.multiply is not None
    }
    with ts.Interpreter(model_content=content, mode=mode) as interpreter:
        report = interpreter.sparsity_report()
    assert report.mode == mode
    assert report.left == ()
    assert {row.layer for row in report.layers} == set(masks)
    for row in report.layers:
        mask = masks[row.layer]
        assert (row.kept, row.total) == (np.count_nonzero(mask), mask.size)
        if row.form == "dense":
            assert LOOSE in row.reason, "only the insertion rule may refuse these masks"
            assert row.macs_kept == row.macs_dense
        else:
            assert row.form in ("insert", mode)
            assert row.reason == ""
            # Fewer where windows of the next layer read fewer.
            assert row.macs_kept * row.total <= row.macs_dense * row.kept
    skipping = [row for row in report.layers if row.form != "dense"]
    assert any(row.form == mode for row in skipping)
    everything = sum(row.macs_dense for row in report.layers)
    assert sum(row.macs_dense for row in skipping) > everything / 2


def test_mode_off_skips_nothing():
    content = real_model("hand_landmark_lite", 0.5)
    with ts.Interpreter(model_content=content, mode="off") as interpreter:
        layers = interpreter.sparsity_report().layers
    assert len(layers) == 47
    for row in layers:
        assert (row.form, row.reason) == ("dense", "mode is off")
        assert row.macs_kept == row.macs_dense


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_no_bit(threads):
    content = real_model("hand_landmark_lite", 0.5)
    values = inputs(Reference(content)._interpreter)
    expected = assert_modes_agree(content, values)
    assert_equal(expected, assert_modes_agree(content, values, num_threads=threads))


@pytest.mark.parametrize("name", MASKED_INT8)
def test_int8_models_are_equal_in_every_mode(name):
    content = model_content(name)
    values = inputs(Reference(content)._interpreter)
    (first, *_) = assert_modes_agree(content, values)
    assert len(np.unique(first)) > 100
    assert_equal([first], assert_modes_agree(content, values, num_threads=2)[:1])


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_int8_model_with_masks_put_in_later(sparsity):
    content = masked(model_content("iris_landmark_int8"), sparsity)
    values = inputs(Reference(content)._interpreter)
    assert_modes_agree(content, values)
    forms = [row.form for row in run_ours(content, values)[1].layers]
    assert forms.count("compact") > len(forms) / 2


def test_changing_inputs_leave_nothing_behind():
    """Zero rows and scattered rows must be written again in every inference."""
    content = real_model("hand_landmark_lite", 0.5)
    reference = Reference(content)._interpreter
    with (
        ts.Interpreter(model_content=content, mode="off") as written,
        ts.Interpreter(model_content=content) as compact,
        ts.Interpreter(model_content=content, mode="insert") as insert,
    ):
        for interpreter in (written, compact, insert):
            interpreter.allocate_tensors()
        for seed in range(3):
            values = inputs(reference, seed)
            expected = run(written, values)
            assert_equal(expected, run(compact, values))
            assert_equal(expected, run(insert, values))


# --- empty mask sets ----------------------------------------------------------------------------


class Integers:
    """Weights of small integers: sums of products with them are exact in float32, in any order."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def standard_normal(self, shape):
        return self.generator.integers(-4, 5, shape).astype(float)


def small_model(mask, dtype="FLOAT32", **output):
    """CONV_2D -> MUL(mask), with the mask as it is given."""
    model = SmallModel(dtype)
    model.generator = Integers()
    scale = {} if dtype == "FLOAT32" else {"scale": 1.0}
    x = model.conv(model.input([1, HEIGHT, WIDTH, CHANNELS]), CHANNELS, "first", **OUTPUT[dtype])
    constant = model.tensor(mask.shape, "mask", data=mask, **scale)
    model.output(model.mul(x, constant, "masked", **(output or OUTPUT[dtype])))
    return model.content()


def checkerboard():
    return (np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2).reshape(1, HEIGHT, WIDTH, 1)


def assert_dense_and_right(content, reason):
    """Computed as written: by the numbers of the stock kernels, and the report says why.

    Integers make float sums exact. 8-bit kernels of different ages may round the convolution's
    halves apart, so by one unit, which the multiply at most doubles and rounds again: three units.
    """
    reference = Reference(content)
    generator = np.random.default_rng(1)
    (detail,) = reference.inputs
    values = [generator.integers(-9, 10, detail["shape"]).astype(detail["dtype"])]
    (expected,) = reference.run(values)
    (found,) = assert_modes_agree(content, values)
    if found.dtype == np.float32:
        np.testing.assert_array_equal(found, expected)
    else:
        assert int(np.abs(found.astype(int) - expected).max()) <= 3
    for mode in ("insert", "compact"):
        (row,) = run_ours(content, values, mode=mode)[1].layers
        assert (row.layer, row.form) == ("masked", "dense")
        assert re.search(reason, row.reason), row.reason
        assert row.macs_kept == row.macs_dense


@pytest.mark.parametrize(("value", "text"), [(0.5, "0.5"), (2, "2"), (-1, "-1"), (np.nan, "nan")])
def test_float_mask_with_another_number_is_dense(value, text):
    mask = checkerboard().astype(np.float32)
    mask[0, 2, 3, 0] = value
    assert_dense_and_right(
        small_model(mask), rf"holds -?{text} at pixel \(y 2, x 3\), expected only 0 and 1"
    )


@pytest.mark.parametrize("value", [2, -1])
def test_int8_mask_with_another_number_is_dense(value):
    mask = checkerboard().astype(np.int8)
    mask[0, 2, 3, 0] = value
    content = small_model(mask, "INT8")
    assert_dense_and_right(content, rf"holds {value} at pixel \(y 2, x 3\)")


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT8"])
def test_mask_of_all_zeros_is_dense(dtype):
    mask = np.zeros((1, HEIGHT, WIDTH, 1), np.int8 if dtype == "INT8" else np.float32)
    assert_dense_and_right(small_model(mask, dtype), "keeps no pixel of 6 x 8")


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT8"])
def test_mask_of_all_ones_is_dense(dtype):
    mask = np.ones((1, HEIGHT, WIDTH, 1), np.int8 if dtype == "INT8" else np.float32)
    assert_dense_and_right(small_model(mask, dtype), "keeps every pixel")


@pytest.mark.parametrize("shape", [(1, 1, WIDTH, 1), (1, HEIGHT, 1, 1)])
def test_mask_that_is_broadcast_along_a_side_is_dense(shape):
    mask = (np.arange(np.prod(shape)) % 2).reshape(shape).astype(np.float32)
    expected = rf"the mask is \[{', '.join(map(str, shape))}\], expected \[1, 6, 8, 1\]"
    assert_dense_and_right(small_model(mask), expected)


def test_int8_mask_multiply_that_requantises_is_dense():
    content = small_model(checkerboard().astype(np.int8), "INT8", scale=0.5, point=3)
    assert_dense_and_right(content, r"requantises from scale 0\.3, .* to scale 0\.5")


def test_strict_raises_with_the_reason():
    mask = checkerboard().astype(np.float32)
    mask[0, 2, 3, 0] = 0.5
    with pytest.raises(ts.MaskError, match=r"masked: the mask holds 0\.5 at pixel \(y 2, x 3\)"):
        ts.Interpreter(model_content=small_model(mask), strict=True).allocate_tensors()


def test_strict_accepts_layers_that_need_not_skip():
    """Nothing masked, or so little that skipping it costs more than it saves."""
    nearly = np.ones((1, HEIGHT, WIDTH, 1), np.float32)
    nearly[0, 2, 3, 0] = 0
    for mask in (np.ones_like(nearly), nearly):
        with ts.Interpreter(model_content=small_model(mask), strict=True) as interpreter:
            interpreter.allocate_tensors()
            (row,) = interpreter.sparsity_report().layers
        assert (row.form, row.by_choice) == ("dense", True)


def test_strict_accepts_masks_that_are_skipped():
    content = real_model("hand_landmark_lite", 0.5)
    with ts.Interpreter(model_content=content, strict=True) as interpreter:
        interpreter.allocate_tensors()


# --- the shape of the input ---------------------------------------------------------------------


@cache
def resizable_model():
    """Convolutions of every kind between masks, with a batch that is left open."""
    model = SmallModel()
    x = model.input([1, 12, 12, 8], signature=[-1, 12, 12, 8])
    first = model.conv(x, 16, "first", activation="RELU")
    second = model.depthwise(first, "second", activation="RELU6")
    third = model.silu(model.conv(second, 16, "third", kernel=1), "third/silu")
    model.output(model.conv(model.add(first, third, "sum"), 8, "last"))
    content = model.content()
    return ts.apply_masks(content, made_masks(content, 0.5))


@pytest.mark.parametrize("mode", ["insert", "compact"])
def test_batches_give_what_their_images_give_alone(mode):
    values = np.random.default_rng(0).standard_normal((5, 12, 12, 8)).astype(np.float32)
    content = resizable_model()
    alone = [assert_modes_agree(content, [image[None]])[0] for image in values]
    with ts.Interpreter(model_content=content, mode=mode) as interpreter:
        assert mode in {row.form for row in interpreter.sparsity_report().layers}
        for batch in (1, 3, 5, 2):
            interpreter.resize_tensor_input(0, [batch, 12, 12, 8])
            interpreter.allocate_tensors()
            (found,) = run(interpreter, [values[:batch]])
            np.testing.assert_array_equal(found, np.concatenate(alone[:batch]))


def test_another_height_is_refused():
    """The masks are of one size; an error, not a crash and not wrong numbers."""
    interpreter = ts.Interpreter(model_content=resizable_model())
    interpreter.resize_tensor_input(0, [1, 14, 12, 8])
    with pytest.raises(ts.ModelError):
        interpreter.allocate_tensors()


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("int8", [False, True])
def test_arena_of_mobilenetv2_at_50_percent(int8):
    """At least 35% below the arena without masks."""
    arenas = []
    for content in (
        networks.dense("mobilenetv2", int8).read_bytes(),
        networks.masked("mobilenetv2", 0.5, int8),
    ):
        with ts.Interpreter(model_content=content) as interpreter:
            interpreter.allocate_tensors()
            interpreter.invoke()
            arenas.append(interpreter.sparsity_report().arena_bytes)
    dense, sparse = arenas
    assert 0 < sparse <= 0.65 * dense
