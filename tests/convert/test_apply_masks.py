"""apply_masks on models small enough to see what it changes."""

import io
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as fb
from small_models import SmallModel, chain

from tflite_sparse import MaskSet, apply_masks
from tflite_sparse.convert.checking import Reference, check_masked_pixels
from tflite_sparse.errors import ConversionError, MaskError, ModelError
from tflite_sparse.graph import ModelFile, View, find_layers, fingerprint

MASK = np.random.default_rng(1).random((6, 8)) < 0.6
OTHER = np.random.default_rng(2).random((6, 8)) < 0.6


def layers_of(content):
    return {layer.name: layer for layer in find_layers(ModelFile.read(content))}


def kinds_of(content):
    view = View(ModelFile.read(content), 0)
    return [view.op_kind(op) for op in range(len(view.ops))]


def run(content, seed=0):
    model = Reference(content)
    return model.run(model.random_inputs(seed))


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT8", "UINT8", "INT16"])
def test_masked_pixels_are_zero_and_kept_ones_unchanged(dtype):
    masked = apply_masks(chain(dtype).content(), {"conv1": MASK, "conv2": OTHER})
    assert kinds_of(masked) == ["CONV_2D", "MUL", "CONV_2D", "MUL", "ADD"]
    assert check_masked_pixels(masked) == 2


def test_the_check_sees_a_wrong_pixel():
    """What the other tests rely on can fail: here kept pixels are rounded once more."""
    with pytest.raises(ConversionError, match=r"layer 'masked': pixel .* values differ"):
        check_masked_pixels(requantising())


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT8", "UINT8", "INT16"])
def test_masks_that_keep_everything_change_no_number(dtype):
    dense = chain(dtype).content()
    masked = apply_masks(dense, {"conv1": np.ones((6, 8)), "conv2": np.ones((6, 8))})
    for expected, found in zip(run(dense), run(masked)):
        assert np.array_equal(expected, found)


@pytest.mark.parametrize("dtype", ["FLOAT32", "INT8", "UINT8"])
def test_the_whole_model_computes_what_dense_masking_computes(dtype):
    """Against numpy: the second convolution is fed the first's output, masked by hand."""
    dense, masked = chain(dtype).content(), apply_masks(chain(dtype).content(), {"conv1": MASK})
    model, reference = Reference(masked), Reference(dense)
    inputs = reference.random_inputs()
    reference.run(inputs)
    model.run(inputs)
    layer = layers_of(masked)["conv1"]
    zero = {"FLOAT32": 0, "INT8": 3, "UINT8": 130}[dtype]
    by_hand = np.where(
        MASK[None, :, :, None], reference.tensor(layers_of(dense)["conv1"].output), zero
    )
    assert np.array_equal(model.tensor(layer.masked_output), by_hand)


def test_dynamic_range_models_keep_float_activations():
    masked = apply_masks(chain(weights="INT8").content(), {"conv1": MASK})
    assert check_masked_pixels(masked) == 1


def test_integer_masks_are_exact_constants():
    file = ModelFile.read(apply_masks(chain("INT8").content(), {"conv1": MASK}))
    view = View(file, 0)
    multiply = next(layer for layer in find_layers(file) if layer.name == "conv1").multiply
    assert view.quantization(multiply.constant) == ((1.0,), (0,))
    assert view.quantization(multiply.input) == view.quantization(multiply.output)
    assert view.shape(multiply.constant) == (1, 6, 8, 1)
    assert file.model.operatorCodes[view.ops[multiply.op].opcodeIndex].version == 3


def test_equal_masks_share_one_constant():
    dense = chain().content()
    once = apply_masks(dense, {"conv1": MASK})
    shared = apply_masks(dense, {"conv1": MASK, "conv2": MASK})
    apart = apply_masks(dense, {"conv1": MASK, "conv2": OTHER})
    buffers = [len(ModelFile.read(content).model.buffers) for content in (once, shared, apart)]
    assert buffers[0] == buffers[1] == buffers[2] - 1


def test_outputs_signatures_names_and_metadata_stay():
    model = SmallModel()
    first = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    model.output(first, model.conv(first, 2, "conv2"))
    model.signature()
    model.metadata("note", b"kept as it is")
    dense = model.content()
    masked = ModelFile.read(apply_masks(dense, {"conv1": MASK, "conv2": OTHER})).model
    before = ModelFile.read(dense).model
    names = [before.subgraphs[0].tensors[t].name for t in before.subgraphs[0].outputs]
    assert [masked.subgraphs[0].tensors[t].name for t in masked.subgraphs[0].outputs] == names
    signature = masked.signatureDefs[0]
    assert signature.signatureKey == b"serving_default"
    assert [entry.tensorIndex for entry in signature.outputs] == list(masked.subgraphs[0].outputs)
    assert bytes(masked.buffers[masked.metadata[0].buffer].data) == b"kept as it is"
    outputs = run(apply_masks(dense, {"conv1": MASK, "conv2": OTHER}))
    assert not outputs[0][0, ~MASK].any()
    assert not outputs[1][0, ~OTHER].any()
    assert outputs[1][0, OTHER].any()


def test_attached_files_stay_readable():
    content = io.BytesIO(chain().content())
    content.seek(0, io.SEEK_END)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    masked = apply_masks(content.getvalue(), {"conv1": MASK})
    with zipfile.ZipFile(io.BytesIO(masked)) as archive:
        assert archive.read("labels.txt") == b"cat\ndog\n"
        assert archive.infolist()[0].header_offset < len(masked)
    assert check_masked_pixels(masked) == 1


def test_buffers_are_aligned_as_the_schema_asks():
    masked = apply_masks(chain().content(), {"conv1": MASK})
    offsets = [
        masked.find(buffer.data.tobytes())
        for buffer in ModelFile.read(masked).model.buffers
        if buffer.data is not None
    ]
    assert len(offsets) == 5
    assert [offset % 16 for offset in offsets] == [0] * 5


def test_old_files_with_only_the_deprecated_code():
    model = chain()
    for code in model.model.operatorCodes:
        code.builtinCode = 0
    masked = apply_masks(model.content(), {"conv1": MASK})
    assert kinds_of(masked) == ["CONV_2D", "MUL", "CONV_2D", "ADD"]
    assert check_masked_pixels(masked) == 1


def test_a_batch_left_open_stays_open():
    model = SmallModel()
    x = model.input([1, 6, 8, 4], signature=[-1, 6, 8, 4])
    model.output(model.conv(x, 4, "conv1", signature=[-1, 6, 8, 4]))
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=apply_masks(model.content(), {"conv1": MASK}))
    interpreter.resize_tensor_input(0, [3, 6, 8, 4])
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.ones((3, 6, 8, 4), np.float32))
    interpreter.invoke()
    output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert output.shape[0] == 3
    assert not output[:, ~MASK].any()
    assert output[:, MASK].any()


def with_activation(kind):
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    if kind == "SILU":
        y = model.silu(y, "act")
    elif kind == "HARD_SWISH decomposed":
        three = model.tensor([], "three", data=np.float32(3))
        sixth = model.tensor([], "sixth", data=np.float32(1 / 6))
        gate = model.unary(
            "RELU6",
            model.op("ADD", [y, three], model.shape(y), "plus", fb.AddOptionsT()),
            "clipped",
        )
        y = model.mul(y, model.mul(gate, sixth, "gate"), "act")
    elif kind == "PRELU":
        alpha = model.tensor([1, 1, 4], "alpha", data=np.full(4, 0.2, np.float32))
        y = model.op("PRELU", [y, alpha], model.shape(y), "act")
    elif kind == "LEAKY_RELU":
        y = model.op("LEAKY_RELU", [y], model.shape(y), "act", fb.LeakyReluOptionsT())
    else:
        y = model.unary(kind, y, "act")
    model.output(model.depthwise(y, "after"))
    return model.content()


ACTIVATIONS = ["SILU", "HARD_SWISH decomposed", "PRELU", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC",
               "TANH", "RELU", "RELU6", "ELU"]  # fmt: skip


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("name", ["conv1", "act"])
def test_the_mask_stands_behind_the_activation(kind, name):
    """Whichever of the two tensors names the layer; sigmoid shows it: it is 0.5 at 0."""
    dense = with_activation(kind)
    masked = apply_masks(dense, {name: MASK})
    assert layers_of(masked)["act"].multiply is not None
    assert kinds_of(masked)[-2:] == ["MUL", "DEPTHWISE_CONV_2D"]
    assert check_masked_pixels(masked) == 1
    assert len(kinds_of(masked)) == len(kinds_of(dense)) + 1


def test_an_activation_that_others_read_too_is_not_followed():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    model.output(model.add(model.unary("RELU", y, "act"), y, "sum"))
    masked = apply_masks(model.content(), {"conv1": MASK})
    assert kinds_of(masked) == ["CONV_2D", "MUL", "RELU", "ADD"]


def test_a_masked_layer_keeps_what_both_masks_keep():
    once = apply_masks(chain().content(), {"conv1": MASK})
    twice = apply_masks(once, {"conv1": OTHER})
    assert kinds_of(twice) == kinds_of(once)
    assert np.array_equal(layers_of(twice)["conv1"].multiply.mask, MASK & OTHER)
    assert check_masked_pixels(twice) == 1


def test_select_becomes_multiply():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    condition = model.tensor([1, 6, 8, 1], "mask", "BOOL", MASK)
    zero = model.tensor([], "zero", data=np.float32(0))
    selected = model.op("SELECT_V2", [condition, y, zero], model.shape(y), "chosen",
                        fb.SelectV2OptionsT())  # fmt: skip
    model.output(model.conv(selected, 2, "conv2"))
    dense = model.content()
    masked = apply_masks(dense, {"conv2": OTHER})
    assert kinds_of(masked) == ["CONV_2D", "MUL", "CONV_2D", "MUL"]
    assert np.array_equal(layers_of(masked)["chosen"].multiply.mask, MASK)
    assert check_masked_pixels(masked) == 2


def test_an_activation_fused_into_the_multiply_moves_to_the_convolution():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    mask = model.tensor([1, 6, 8, 1], "mask", data=MASK.astype(np.float32))
    options = fb.MulOptionsT()
    options.fusedActivationFunction = 1
    masked = model.op("MUL", [y, mask], model.shape(y), "masked", options)
    model.output(model.conv(masked, 2, "conv2"))
    dense = model.content()
    converted = apply_masks(dense, {"conv2": np.ones((6, 8))})
    view = View(ModelFile.read(converted), 0)
    assert [view.fused_activation(op) for op in range(3)] == ["RELU", "NONE", "NONE"]
    assert np.array_equal(layers_of(converted)["masked"].multiply.mask, MASK)
    assert np.array_equal(run(converted)[0], run(dense)[0])


def requantising(producer="CONV_2D"):
    """An int8 mask as converters leave it: 1 is 127 steps, the product has its own scale."""
    model = SmallModel("INT8")
    x = model.input([1, 6, 8, 4])
    y = model.conv(x, 4, "conv1", scale=0.09)
    if producer == "LOGISTIC":
        y = model.unary("LOGISTIC", y, "act", scale=1 / 256, point=-128)
    mask = model.tensor([1, 6, 8, 1], "mask", "INT8", np.where(MASK, 127, 0).astype(np.int8),
                        scale=1 / 127)  # fmt: skip
    product = model.mul(y, mask, "masked", scale=0.08, point=-5)
    model.output(model.conv(product, 2, "conv2"))
    return model.content()


def test_a_converters_int8_mask_is_made_exact():
    masked = apply_masks(requantising(), {"conv2": OTHER})
    file = ModelFile.read(masked)
    view, layer = View(file, 0), layers_of(masked)["masked"]
    assert view.quantization(layer.output) == view.quantization(layer.masked_output)
    assert view.quantization(layer.masked_output)[1] == (-5,)
    assert view.quantization(layer.multiply.constant) == ((1.0,), (0,))
    assert check_masked_pixels(masked) == 2


def test_a_producer_of_fixed_scale_is_refused_by_name():
    with pytest.raises(ModelError, match=r"'masked'.*LOGISTIC"):
        apply_masks(requantising("LOGISTIC"), {"conv2": OTHER})


def test_several_subgraphs_with_control_flow():
    """A layer inside the branch of an IF is masked there; the rest stays."""
    model = SmallModel()
    model.output()
    choose = model.tensor([1], "choose", "BOOL")
    model.graph.inputs.append(choose)
    x = model.input([1, 6, 8, 4])
    options = fb.IfOptionsT()
    options.thenSubgraphIndex, options.elseSubgraphIndex = 1, 2
    model.output(model.op("IF", [choose, x], [1, 6, 8, 4], "result", options))
    for name in ("then", "else"):
        model.subgraph(name)
        y = model.input([1, 6, 8, 4], f"{name}/x")
        model.output(model.conv(y, 4, f"{name}/conv"))
    dense = model.content()
    masked = apply_masks(dense, {"then/conv": MASK})
    x = np.random.default_rng(0).standard_normal((1, 6, 8, 4)).astype(np.float32)
    for taken in (True, False):
        (expected,) = Reference(dense).run([np.array([taken]), x])
        (found,) = Reference(masked).run([np.array([taken]), x])
        by_hand = np.where(MASK[None, :, :, None], expected, 0) if taken else expected
        assert np.array_equal(found, by_hand)


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ({"conv1": np.ones((8, 6))}, r"'conv1' has the shape \[8, 6\].*\[1, 6, 8, 4\].*transposed"),
        ({"conv1": np.ones((3, 3))}, r"expected \[6, 8\]"),
        ({"conv3": MASK}, r"no layer 'conv3'.*did you mean 'conv[12]'"),
        ({"nothing alike": MASK}, "it has 'conv1', 'conv2'"),
        ({"conv1": MASK * 2}, "not binary"),
        ({}, "empty set"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, text):
    with pytest.raises(MaskError, match=text):
        apply_masks(chain().content(), masks)


def test_two_names_of_one_layer_are_refused():
    with pytest.raises(MaskError, match="'conv1' and 'act' both name"):
        apply_masks(with_activation("RELU"), {"conv1": MASK, "act": OTHER})


def test_a_part_of_a_fused_name_is_enough_unless_several_layers_have_it():
    model = SmallModel()
    first = model.conv(model.input([1, 6, 8, 4]), 4, "net/relu;net/conv1;shared")
    model.output(model.conv(first, 4, "net/conv2;shared"))
    assert kinds_of(apply_masks(model.content(), {"net/conv1": MASK}))[1] == "MUL"
    with pytest.raises(MaskError, match="'shared' names 2 layers"):
        apply_masks(model.content(), {"shared": MASK})


def test_masks_of_another_model_are_refused_unless_meant():
    dense, other = chain().content(), SmallModel(seed=5)
    other.output(other.conv(other.input([1, 6, 8, 4]), 4, "conv1"))
    masks = MaskSet({"conv1": MASK}, fingerprint=fingerprint(ModelFile.read(dense)))
    masked = apply_masks(dense, masks)
    assert fingerprint(ModelFile.read(masked)) == masks.fingerprint
    with pytest.raises(MaskError, match="belong to another model"):
        apply_masks(other.content(), masks)
    assert apply_masks(other.content(), masks, any_model=True)


def test_an_open_size_is_refused_by_name():
    model = SmallModel()
    x = model.input([1, 6, 8, 4], signature=[1, -1, -1, 4])
    model.output(model.conv(x, 4, "conv1", signature=[1, -1, -1, 4]))
    with pytest.raises(MaskError, match=r"'conv1'.*leaves its height or width open"):
        apply_masks(model.content(), {"conv1": MASK})


def test_every_truncation_is_refused():
    """No cut makes a crash, or a model of wrong numbers."""
    content = chain().content()
    whole = apply_masks(content, {"conv1": MASK})
    for length in [*range(64), *range(64, len(content), 7)]:
        try:
            assert apply_masks(content[:length], {"conv1": MASK}) == whole
        except (ModelError, MaskError):
            continue


def test_altered_bytes_never_escape_as_another_error():
    content = chain().content()
    generator = np.random.default_rng(0)
    for _ in range(300):
        altered = bytearray(content)
        altered[int(generator.integers(8, len(content)))] ^= int(generator.integers(1, 256))
        try:
            apply_masks(bytes(altered), {"conv1": MASK})
        except (ModelError, MaskError, ConversionError):
            continue


def test_a_graph_that_goes_in_circles_is_refused():
    model = SmallModel()
    y = model.conv(model.input([1, 6, 8, 4]), 4, "conv1")
    z = model.unary("RELU", y, "act")
    model.raw_op("RELU", [z], [y])
    model.output(z)
    with pytest.raises(ModelError, match=r"node 2 of subgraph 0 writes tensor \d+"):
        apply_masks(model.content(), {"conv1": MASK})


@pytest.mark.parametrize(
    ("inputs", "outputs", "text"),
    [(1, 1, "CONV_2D with 1 inputs"), (3, 0, "which nothing wrote"), (0, 1, "0 inputs")],
)
def test_an_operator_that_lacks_tensors_is_refused(inputs, outputs, text):
    model = chain()
    op = model.graph.operators[0]
    op.inputs, op.outputs = op.inputs[:inputs], op.outputs[:outputs]
    with pytest.raises(ModelError, match=text):
        apply_masks(model.content(), {"conv1": MASK})


def test_not_a_tflite(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"PK\3\4 something else")
    with pytest.raises(ModelError, match=r"model.tflite: expected a \.tflite model"):
        apply_masks(path, {"conv1": MASK})
    with pytest.raises(FileNotFoundError):
        apply_masks(tmp_path / "none.tflite", {"conv1": MASK})


def test_more_than_two_gibibytes_is_refused(monkeypatch):
    monkeypatch.setattr("tflite_sparse.graph.file._MAX_BYTES", 500)
    with pytest.raises(ModelError, match=r"2 GiB"):
        apply_masks(chain().content(), {"conv1": MASK})
