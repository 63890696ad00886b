"""What docs/c.md shows works."""

import shutil

from tests.c.conftest import ROOT
from tests.test_docs import blocks
from tflite_sparse.delegate import delegate_library
from tools.c_package import archive_of
from tools.fetch_models import fetched
from tools.make_models import made

PAGE = ROOT / "docs" / "c.md"


def code(kind):
    found = [text for found, text in blocks(PAGE) if found == kind]
    assert found
    return found


def test_commands(run, tmp_path, monkeypatch):
    from PIL import Image

    shutil.copy(made("face_landmark_fp32-s50"), tmp_path / "model.tflite")
    Image.open(fetched("astronaut")).convert("RGB").save(tmp_path / "photo.ppm")
    for path in (ROOT / "examples" / "c" / "classify.c", delegate_library()):
        shutil.copy(path, tmp_path)
    archive = archive_of()
    shutil.copy(archive, tmp_path)
    monkeypatch.chdir(tmp_path)
    # The loader looks for a name without a folder where it is told to.
    here = {"LD_LIBRARY_PATH": str(tmp_path)}
    said = run("bash", "-euo", "pipefail", "-c", "\n".join(code("sh c")), **here)
    assert said.count("Inference timings in us") == 3
    assert "will be completely executed by the delegate" in said


def test_snippets_compile(run, package, tmp_path):
    for number, snippet in enumerate(code("c")):
        program = tmp_path / f"{number}.c"
        program.write_text(
            "#include <tflite_sparse_runtime.h>\n"
            "#include <tensorflow/lite/delegates/external/external_delegate.h>\n"
            "void print_error(const char* message);\n"
            f"void snippet(TfLiteInterpreterOptions* options) {{\n{snippet}}}\n"
        )
        run("gcc", "-fsyntax-only", "-Wall", "-Werror", f"-I{package / 'include'}", program)


def test_cmake(run, package, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(example C)\n"
        f"add_executable(classify {ROOT / 'examples' / 'c' / 'classify.c'})\n{code('cmake')[0]}"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={package}")
    run("cmake", "--build", tmp_path / "build")
