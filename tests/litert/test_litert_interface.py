"""`compile_model` and `litert_environment`: what they take, tell and refuse."""

import os
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.compiled_model import (
    CompiledModel,
    CpuKernelMode,
    CpuOptions,
    Environment,
    HardwareAccelerator,
    Options,
)

import tflite_sparse as ts
from tests.runtime.models import SMALL, content, inputs, run
from tflite_sparse import litert
from tflite_sparse.delegate import delegate_library
from tflite_sparse.graph import ModelFile
from tflite_sparse.measure.compiled import CompiledInterpreter
from tflite_sparse.measure.variants import difference
from tools.fetch_models import fetched
from tools.make_models import made

MASKED = "face_landmark_fp32-s50"
DENSE = "face_landmark_fp32"


@pytest.fixture
def asked():
    """A function that tells whether LiteRT has asked for a delegate since the last call."""
    accelerator = litert._accelerator(delegate_library())
    accelerator.set_options()

    def ask():
        found = accelerator.delegate() is not None
        accelerator.set_options()
        return found

    return ask


def outputs(model, values):
    return run(CompiledInterpreter(model), values)


def test_path_and_content_are_the_same():
    from_path = CompiledInterpreter(ts.compile_model(fetched(SMALL)))
    values = inputs(from_path)
    found = outputs(ts.compile_model(model_content=content(SMALL)), values)
    for a, b in zip(run(from_path, values), found):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("as_path", [True, False])
def test_masks_in_memory_equal_the_masked_file(as_path):
    sidecar = made(MASKED).with_suffix(".masks.npz")
    masks = sidecar if as_path else ts.MaskSet.load(sidecar)
    from_memory = ts.compile_model(fetched(DENSE), masks=masks)
    from_file = ts.compile_model(made(MASKED))
    values = inputs(CompiledInterpreter(from_file))
    for a, b in zip(outputs(from_memory, values), outputs(from_file, values)):
        np.testing.assert_array_equal(a, b)
    assert len(from_memory.sparsity_report().layers) == 43


def test_mask_of_another_size_is_refused():
    with pytest.raises(ts.MaskError, match="conv2d_1"):
        ts.compile_model(fetched(DENSE), masks={"conv2d_1": np.ones((3, 3), bool)})


def test_strict_names_the_layers_that_run_dense():
    with pytest.raises(ts.MaskError, match=r"43 of 43 .*depthwise_conv2d: mode is off"):
        ts.compile_model(made(MASKED), mode="off", strict=True)


def test_report():
    report = ts.compile_model(fetched(SMALL)).sparsity_report()
    assert (report.mode, report.num_threads, report.layers) == ("compact", 1, ())
    assert report.nodes_taken == report.nodes_total == 164
    threads = ts.compile_model(fetched(SMALL), num_threads=0).sparsity_report().num_threads
    assert threads == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("kernels", [CpuKernelMode.XNNPACK, CpuKernelMode.BUILTIN])
def test_what_is_left_runs_on_litert(kernels):
    model = content("face_landmark_int8")
    options = Options(cpu_options=CpuOptions(num_threads=1, kernel_mode=kernels))
    compiled = ts.compile_model(model_content=model, int8=False, options=options)
    report = compiled.sparsity_report()
    assert len(report.left) == report.nodes_total - report.nodes_taken > 50
    stock = CompiledInterpreter(CompiledModel.from_buffer(model, options=options))
    values = inputs(stock)
    worst, allowed = difference(run(stock, values), outputs(compiled, values))
    assert allowed, f"outputs differ by {worst}"


def test_profile():
    model = ts.compile_model(made(MASKED), profile=True)
    with pytest.raises(ts.OptionError, match="run the model first"):
        model.profile()
    CompiledInterpreter(model).invoke()
    assert {op.form for op in model.profile().ops} >= {"compact", ""}
    with pytest.raises(ts.OptionError, match="profile=True"):
        ts.compile_model(made(MASKED)).profile()


def test_methods_of_litert():
    model = ts.compile_model(fetched(SMALL))
    (signature,) = model.get_signature_list()
    detail = model.get_input_tensor_details(signature)["input"]
    assert (detail["shape"], detail["dtype"]) == ([1, 128, 128, 3], "float32")
    assert model.is_fully_accelerated()
    with pytest.raises(AttributeError, match="no_such_method"):
        model.no_such_method()


def test_resized_batch_equals_single_runs():
    single = CompiledInterpreter.ours(content(MASKED))
    images = [inputs(single, seed)[0] for seed in (1, 2)]
    expected = [run(single, [image]) for image in images]
    model = ts.compile_model(made(MASKED))
    for batch in ([0, 1], [1], [1, 0, 1]):
        model.resize_input_tensor(0, [len(batch), 192, 192, 3], strict=False)
        found = outputs(model, [np.concatenate([images[number] for number in batch])])
        for position, number in enumerate(batch):
            worst, allowed = difference(
                expected[number], [output[position : position + 1] for output in found]
            )
            assert allowed, f"position {position} of {batch}: outputs differ by {worst}"
    assert not model.sparsity_report().left


@pytest.mark.parametrize(
    "options",
    [
        {"num_threads": -1},
        {"num_threads": 10_000},
        {"num_threads": 1.5},
        {"mode": "sparse"},
        {"skip_zeros": "yes"},
    ],
)
def test_bad_option_is_named_with_what_is_allowed(options):
    ((name, value),) = options.items()
    with pytest.raises(ts.OptionError, match="expected") as caught:
        ts.compile_model(fetched(SMALL), **options)
    assert name in str(caught.value)
    assert str(value) in str(caught.value)
    # It does not stay behind in the thread.
    assert ts.compile_model(fetched(SMALL)).sparsity_report().num_threads == 1


def test_neither_or_both_of_path_and_content():
    with pytest.raises(ts.OptionError, match="exactly one"):
        ts.compile_model()
    with pytest.raises(ts.OptionError, match="exactly one"):
        ts.compile_model("model.tflite", b"bytes")


def test_closed_model_says_so():
    with ts.compile_model(fetched(SMALL)) as model:
        model.sparsity_report()
    for name in ("sparsity_report", "run_by_index", "get_signature_list"):
        with pytest.raises(ValueError, match="closed"):
            getattr(model, name)()
    model.close()


def test_models_share_an_environment(asked):
    with ts.litert_environment() as environment:
        models = [
            ts.compile_model(made(MASKED), mode=mode, environment=environment)
            for mode in ("compact", "off")
        ]
        values = inputs(CompiledInterpreter(models[0]))
        a, b = (outputs(model, values) for model in models)
        np.testing.assert_array_equal(a[0], b[0])
        assert [model.sparsity_report().mode for model in models] == ["compact", "off"]
        assert not asked(), "an option stayed behind in the thread"
        # LiteRT's own way into the same environment.
        own = CompiledModel.from_file(str(made(MASKED)), environment=environment)
        assert asked()
        np.testing.assert_array_equal(outputs(own, values)[0], a[0])


def test_environments_of_others_stay_as_they_are(asked):
    before = Environment.create()
    model = ts.compile_model(made(MASKED))
    ours = ts.litert_environment()
    values = inputs(CompiledInterpreter(model))
    for environment in (before, Environment.create(), None):
        CompiledModel.from_file(str(made(MASKED)), environment=environment)
        assert not asked()
    assert outputs(model, values)
    CompiledModel.from_file(str(made(MASKED)), environment=ours)
    assert asked()


def test_environment_of_another_kind_is_refused():
    with pytest.raises(ts.DelegateError, match=r"not made by tflite_sparse.litert_environment"):
        ts.compile_model(fetched(SMALL), environment=Environment.create())
    with pytest.raises(ts.OptionError, match="found 'cpu'"):
        ts.compile_model(fetched(SMALL), environment="cpu")
    environment = ts.litert_environment()
    environment.close()
    with pytest.raises(ts.OptionError, match="expected an open one"):
        ts.compile_model(fetched(SMALL), environment=environment)


def test_taken_place_is_told(monkeypatch):
    """As where LiteRT finds another accelerator, or looks under another name."""
    monkeypatch.setattr(litert, "_SLOT", "libLiteRtOther.so")
    with pytest.raises(
        ts.DelegateError, match=r"without the sparse delegate: the place .* is taken"
    ):
        ts.compile_model(fetched(SMALL))


def test_hardware_without_the_cpu_is_told():
    options = Options(hardware_accelerators=HardwareAccelerator.GPU)
    with pytest.raises(ts.OptionError, match=r"expected at least HardwareAccelerator\.CPU"):
        ts.compile_model(fetched(SMALL), options=options)


def test_nothing_is_left_in_the_folder_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = ts.compile_model(fetched(SMALL))
    assert list(tmp_path.iterdir()) == []
    assert outputs(model, inputs(CompiledInterpreter(model)))


def test_missing_file_and_what_is_no_model(tmp_path):
    with pytest.raises(FileNotFoundError):
        ts.compile_model(tmp_path / "missing.tflite")
    Path(tmp_path, "x.tflite").write_bytes(b"text of another kind")
    with pytest.raises(ts.ModelError, match=r"x.tflite: expected a \.tflite model"):
        ts.compile_model(tmp_path / "x.tflite")


def test_more_dimensions_than_litert_has_room_for():
    """LiteRT 2.2 writes them over its stack, and the process dies."""
    file = ModelFile.read(fetched(SMALL))
    tensor = file.model.subgraphs[0].tensors[-1]
    tensor.shape = np.ones(9, np.int32)
    with pytest.raises(
        ts.ModelError, match="has 9 dimensions; LiteRT's CompiledModel takes up to 8"
    ):
        ts.compile_model(model_content=file.to_bytes())


def test_unknown_custom_operation_is_refused():
    with pytest.raises(ts.ModelError, match="LiteRT refuses the model"):
        ts.compile_model(fetched("face_landmark_with_attention"))
