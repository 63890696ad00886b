"""tf.lite.Interpreter's interface, and what `Interpreter` adds to it."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tflite_sparse as ts
from tests.runtime.models import SMALL, content, inputs, run
from tflite_sparse.measure.variants import difference
from tools.make_models import made


@pytest.fixture
def small(runtime):
    interpreter = ts.Interpreter(model_content=content(SMALL), runtime=runtime)
    interpreter.allocate_tensors()
    return interpreter


def test_path_and_content_are_the_same(runtime, small, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content(SMALL))
    from_path = ts.Interpreter(path, runtime=runtime)
    from_path.allocate_tensors()
    values = inputs(small)
    for a, b in zip(run(small, values), run(from_path, values)):
        np.testing.assert_array_equal(a, b)


def test_details(small):
    (detail,) = small.get_input_details()
    assert detail["name"] == "input"
    assert list(detail["shape"]) == [1, 128, 128, 3]
    assert [output["name"] for output in small.get_output_details()] == [
        "regressors",
        "classificators",
    ]
    # Not in our class: reaches the runtime's own.
    assert any(tensor["name"] == "input" for tensor in small.get_tensor_details())


def test_resized_batch_equals_single_runs(runtime):
    model = content("face_landmark_fp32")
    single = ts.Interpreter(model_content=model, runtime=runtime)
    single.allocate_tensors()
    both = ts.Interpreter(model_content=model, runtime=runtime)
    index = both.get_input_details()[0]["index"]
    both.resize_tensor_input(index, [2, 192, 192, 3])
    both.allocate_tensors()
    images = [inputs(single, seed)[0] for seed in (1, 2)]
    batched = run(both, [np.concatenate(images)])
    for position, image in enumerate(images):
        worst, allowed = difference(
            run(single, [image]), [output[position : position + 1] for output in batched]
        )
        assert allowed, f"image {position}: outputs differ by {worst}"


def test_resize_to_another_number_of_channels_is_refused(runtime):
    interpreter = ts.Interpreter(model_content=content(SMALL), runtime=runtime)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, [1, 128, 128, 4])
    with pytest.raises(ts.ModelError):
        interpreter.allocate_tensors()


def test_resize_that_does_not_fit_can_be_taken_back(runtime):
    """The runtime drops its delegates then; the next allocation needs them and their memory again."""
    interpreter = ts.Interpreter(
        model_content=content("face_detection_short_range-s50"), runtime=runtime
    )
    interpreter.allocate_tensors()
    values = inputs(interpreter)
    before, report = run(interpreter, values), interpreter.sparsity_report()
    index = interpreter.get_input_details()[0]["index"]
    for _ in range(2):
        interpreter.resize_tensor_input(index, [1, 64, 128, 3])
        with pytest.raises(ts.ModelError, match="not broadcastable"):
            interpreter.allocate_tensors()
        interpreter.resize_tensor_input(index, values[0].shape)
        interpreter.allocate_tensors()
        for a, b in zip(before, run(interpreter, values)):
            np.testing.assert_array_equal(a, b)
        assert interpreter.sparsity_report() == report


def test_signature_runner(runtime):
    model = content("face_landmark_int8")
    interpreter = ts.Interpreter(model_content=model, runtime=runtime)
    runner = interpreter.get_signature_runner("serving_default")
    ((name, detail),) = runner.get_input_details().items()
    image = inputs(interpreter)[0].reshape(detail["shape"])
    found = runner(**{name: image})
    plain = ts.Interpreter(model_content=model, runtime=runtime)
    plain.allocate_tensors()
    expected = run(plain, [image])
    names = [output["name"] for output in plain.get_output_details()]
    assert len(found) == len(expected)
    for output, value in zip(names, expected):
        match = [array for array in found.values() if array.shape == value.shape]
        assert any(np.array_equal(array, value) for array in match), output


def test_signature_that_is_not_there(small):
    with pytest.raises(ValueError, match="signature"):
        small.get_signature_runner("no such signature")


@pytest.mark.parametrize(
    "value",
    [np.zeros((1, 128, 128, 4), np.float32), np.zeros((1, 128, 128, 3), np.int8), "text", None],
)
def test_input_that_does_not_fit_is_refused(small, value):
    with pytest.raises((ValueError, TypeError)):
        small.set_tensor(small.get_input_details()[0]["index"], value)


def test_report(small):
    report = small.sparsity_report()
    assert report.mode == "compact"
    assert report.num_threads == 1
    assert report.version == ts.__version__
    assert report.nodes_taken == report.nodes_total == 164
    assert report.layers == ()
    assert "164 of 164" in str(report)
    assert report.to_dict()["nodes_taken"] == 164


def test_int8_off_leaves_the_nodes_with_a_reason(runtime):
    interpreter = ts.Interpreter(
        model_content=content("face_landmark_int8"), runtime=runtime, int8=False
    )
    interpreter.allocate_tensors()
    report = interpreter.sparsity_report()
    assert report.nodes_taken < report.nodes_total
    assert len(report.left) == report.nodes_total - report.nodes_taken
    assert all(node.reason and node.op for node in report.left)
    assert report.left[0].reason in str(report)


def test_zero_threads_are_all_cores(runtime):
    import os

    interpreter = ts.Interpreter(model_content=content(SMALL), runtime=runtime, num_threads=0)
    assert interpreter.sparsity_report().num_threads == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "options",
    [
        {"num_threads": -1},
        {"num_threads": 10_000},
        {"num_threads": "many"},
        {"num_threads": 1.5},
        {"mode": "sparse"},
    ],
)
def test_bad_option_is_named_with_what_is_allowed(runtime, options):
    ((name, value),) = options.items()
    with pytest.raises(ts.OptionError, match="expected") as caught:
        ts.Interpreter(model_content=content(SMALL), runtime=runtime, **options)
    assert name in str(caught.value)
    assert str(value) in str(caught.value)


def test_unknown_option_of_the_delegate(runtime):
    with pytest.raises(ts.OptionError, match=r"colour.*num_threads"):
        ts.load_delegate(runtime=runtime, colour="red")


def test_delegate_in_the_runtimes_own_interpreter(runtime):
    from tflite_sparse.runtime import find_runtime

    module = find_runtime(runtime).module
    interpreter = module.Interpreter(
        model_content=content(SMALL),
        experimental_delegates=[ts.load_delegate(runtime=runtime, num_threads=2)],
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    ours = ts.Interpreter(model_content=content(SMALL), runtime=runtime)
    ours.allocate_tensors()
    values = inputs(interpreter)
    _, allowed = difference(run(interpreter, values), run(ours, values))
    assert allowed


def test_neither_or_both_of_path_and_content():
    with pytest.raises(ts.OptionError, match="exactly one"):
        ts.Interpreter()
    with pytest.raises(ts.OptionError, match="exactly one"):
        ts.Interpreter("model.tflite", b"bytes")


def test_closed_interpreter_says_so(small):
    with small:
        small.invoke()
    for name in ("invoke", "sparsity_report", "get_input_details", "get_tensor_details"):
        with pytest.raises(ValueError, match="closed"):
            getattr(small, name)()
    small.close()


def test_a_view_outlives_close(small):
    index = small.get_output_details()[0]["index"]
    small.invoke()
    view = small.tensor(index)()
    expected = view.copy()
    delegate = weakref.ref(small._delegate)
    small.close()
    gc.collect()
    np.testing.assert_array_equal(view, expected)
    # The native interpreter that the view keeps is destroyed with it, and needs its delegate then.
    assert delegate() is not None
    del view
    gc.collect()
    assert delegate() is None


def test_threads_that_share_a_signature_runner_wait_for_each_other(runtime):
    interpreter = ts.Interpreter(model_content=content("face_landmark_int8"), runtime=runtime)
    runner = interpreter.get_signature_runner("serving_default")
    ((name, detail),) = runner.get_input_details().items()
    generator = np.random.default_rng(0)
    images = [generator.integers(-128, 128, detail["shape"], np.int8) for _ in range(4)]
    expected = [runner(**{name: image}) for image in images]
    wrong = []

    def work(number):
        for _ in range(50):
            found = runner(**{name: images[number]})
            for output, value in expected[number].items():
                if not np.array_equal(found[output], value):
                    wrong.append((number, output))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_profile_is_off_unless_asked_for(small):
    small.invoke()
    with pytest.raises(ts.OptionError, match="profile=True"):
        small.profile()


def test_profile_adds_up(runtime):
    interpreter = ts.Interpreter(
        model_content=content("hand_landmark_full"), runtime=runtime, profile=True
    )
    interpreter.allocate_tensors()
    with pytest.raises(ts.OptionError, match="run the model"):
        interpreter.profile()
    for _ in range(3):
        interpreter.invoke()
    profile = interpreter.profile()
    # Every operation that was taken is there once: its output is a tensor of the model, and it took
    # time.
    names = [tensor["name"] for tensor in interpreter.get_tensor_details()]
    layers = [op.layer for op in profile.ops]
    assert set(layers) <= set(names)
    assert {output["name"] for output in interpreter.get_output_details()} <= set(layers)
    assert len(layers) == len(set(layers))
    assert all(op.microseconds > 0 for op in profile.ops)
    assert profile.total_microseconds == sum(op.microseconds for op in profile.ops)
    assert str(profile).splitlines()[-1].split()[0] == "total"


@pytest.mark.parametrize("mode", ["compact", "insert", "off"])
@pytest.mark.parametrize("name", ["face_landmark_fp32-s50", "face_landmark_int8-s50"])
def test_report_of_masked_layers(runtime, name, mode):
    masks = ts.MaskSet.load(made(name).with_suffix(".masks.npz"))
    interpreter = ts.Interpreter(model_content=content(name), runtime=runtime, mode=mode)
    interpreter.allocate_tensors()
    report = interpreter.sparsity_report()
    found = {layer.layer: (layer.kept, layer.total) for layer in report.layers}
    assert found == {layer: (masks.kept(layer), masks[layer].size) for layer in masks}
    for layer in report.layers:
        assert layer.sparsity == 1 - layer.kept / layer.total
        if mode == "off":
            assert layer.form == "dense"
            assert layer.reason
        elif layer.accelerated:
            assert layer.macs_kept * layer.total == layer.macs_dense * layer.kept
        else:
            # The engine's own choice, where skipping would cost more than it saves.
            assert layer.reason
    assert (len(report.not_accelerated()) < len(masks)) == (mode != "off")
    assert report.layers[0].layer in str(report)
    assert len(report.to_dict()["layers"]) == len(masks)


def test_strict_names_the_layers_that_run_dense(runtime):
    model = content("face_landmark_fp32-s50")
    with pytest.raises(ts.MaskError, match=r"43 of 43 .*depthwise_conv2d: mode is off"):
        ts.Interpreter(model_content=model, runtime=runtime, mode="off", strict=True)


def test_profile_names_the_form_of_masked_layers(runtime):
    interpreter = ts.Interpreter(
        model_content=content("face_landmark_fp32-s50"), runtime=runtime, profile=True
    )
    interpreter.allocate_tensors()
    interpreter.invoke()
    assert {op.form for op in interpreter.profile().ops} >= {"compact", ""}
