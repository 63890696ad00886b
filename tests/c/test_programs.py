"""The examples in C, built as a user builds them, against the unpacked archive."""

import json
from pathlib import Path

import pytest

import tflite_sparse as ts
from tests.c import photo
from tests.c.photo import MODEL
from tools.fetch_sources import cache_root, read_lock
from tools.make_models import made

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "c"
(ZIG,) = [source for source in read_lock() if source.package == "ziglang"]
COMPILERS = {"gcc": ["gcc"], "zig": [cache_root() / f"ziglang-{ZIG.version}" / "zig", "cc"]}
STRICT = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return photo.write(tmp_path_factory.mktemp("picture") / "photo.ppm")


@pytest.fixture(scope="module", params=COMPILERS)
def built(request, package, run, tmp_path_factory):
    """Folder of the examples, compiled with the flags that pkg-config gives."""
    folder = tmp_path_factory.mktemp(request.param)
    config = {"PKG_CONFIG_PATH": str(package / "lib" / "pkgconfig")}
    flags = run("pkg-config", "--cflags", "--libs", "tflite_sparse", **config).split()
    for source in EXAMPLES.glob("*.c"):
        command = [*COMPILERS[request.param], *STRICT, source, *flags, "-o", folder / source.stem]
        run(*command)
    return folder


def test_classify(built, run, picture):
    said, report = run(built / "classify", made(MODEL), picture).strip().splitlines()[-2:]
    photo.check(said)
    facts = json.loads(report)
    assert facts["nodes_taken"] == facts["nodes_total"] > 50
    assert facts["num_threads"] == 2
    assert "compact" in {layer["form"] for layer in facts["layers"]}


def test_classify_says_what_is_wrong(built, run, tmp_path, picture):
    bad = tmp_path / "bad"
    bad.write_bytes(b"no picture, no model")
    for arguments, wanted in (
        ((bad, picture), "the model cannot be read"),
        ((made(MODEL), bad), "expected a binary .pgm or .ppm picture"),
    ):
        with pytest.raises(AssertionError, match=wanted):
            run(built / "classify", *arguments)


def reports(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("variables", "facts", "form"),
    [
        ({"TFLITE_SPARSE_MODE": "insert"}, {"mode": "insert"}, "insert"),
        ({"TFLITE_SPARSE_MODE": "off"}, {"mode": "off"}, "dense"),
        ({"TFLITE_SPARSE_NUM_THREADS": "3"}, {"num_threads": 3}, "compact"),
    ],
)
def test_the_environment_has_the_options(built, run, picture, tmp_path, variables, facts, form):
    path = tmp_path / "reports"
    for _ in range(2):
        run(built / "classify", made(MODEL), picture, TFLITE_SPARSE_REPORT=str(path), **variables)
    for report in reports(path):
        assert facts.items() <= report.items()
        assert form in {layer["form"] for layer in report["layers"]}
    assert len(reports(path)) == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODE", "fast"),
        ("SKIP_ZEROS", "often"),
        ("NUM_THREADS", "many"),
        ("INT8", "yes"),
        ("PROFILE", "2"),
    ],
)
def test_a_bad_value_is_an_error_that_names_it(built, run, picture, name, value):
    variable = f"TFLITE_SPARSE_{name}"
    with pytest.raises(AssertionError) as caught:
        run(built / "classify", made(MODEL), picture, **{variable: value})
    said = str(caught.value)
    assert "the model cannot be prepared" in said
    assert f"has the value '{value}'; expected" in said
    assert variable in said


def test_a_report_that_cannot_be_written_is_told(built, run, picture):
    said = run(built / "classify", made(MODEL), picture, TFLITE_SPARSE_REPORT="/nowhere/report")
    assert "TFLITE_SPARSE_REPORT names /nowhere/report, which cannot be written" in said


def test_the_delegate_in_another_program(built, run):
    library = ts.delegate_library()
    found = {
        mode: float(run(built / "external_delegate", library, made(MODEL), mode).split()[-1])
        for mode in ("compact", "insert", "off")
    }
    assert len(set(found.values())) == 1
    with pytest.raises(AssertionError, match=r"option 'mode' has the value 'fast'; expected"):
        run(built / "external_delegate", library, made(MODEL), "fast")


def test_cmake_refuses_a_newer_version(package, run, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(example C)\n"
        "find_package(tflite_sparse 99.0 REQUIRED)\n"
    )
    with pytest.raises(AssertionError, match=r"99\.0"):
        run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={package}")


BENCHMARK = ("--num_runs=2", "--warmup_runs=1", "--min_secs=0", "--warmup_min_secs=0")


def benchmark(package, run, *options, **environment):
    program = package / "bin" / "benchmark_model"
    return run(program, f"--graph={made(MODEL)}", *BENCHMARK, *options, **environment)


def test_benchmark_model_skips(package, run, tmp_path):
    path = tmp_path / "report"
    said = benchmark(package, run, "--num_threads=2", TFLITE_SPARSE_REPORT=str(path))
    assert "Inference timings in us" in said
    (report,) = reports(path)
    assert report["nodes_taken"] == report["nodes_total"] > 50
    assert report["num_threads"] == 2
    assert "compact" in {layer["form"] for layer in report["layers"]}


def test_benchmark_model_with_an_external_delegate(package, run, tmp_path):
    path = tmp_path / "report"
    said = benchmark(
        package, run, "--use_xnnpack=false", f"--external_delegate_path={ts.delegate_library()}",
        "--external_delegate_options=mode:insert;num_threads:1", TFLITE_SPARSE_REPORT=str(path),
    )  # fmt: skip
    assert "Explicitly applied EXTERNAL delegate" in said
    assert "will be completely executed by the delegate" in said
    assert not path.exists(), "the default delegate was applied"


def test_benchmark_model_does_not_run_when_the_environment_is_wrong(package, run):
    with pytest.raises(AssertionError, match="option 'mode' has the value 'fast'; expected"):
        benchmark(package, run, TFLITE_SPARSE_MODE="fast")
