"""What the wheels in dist/ hold, for each platform: they are unpacked, nothing of them runs."""

import os
import platform
import re
import subprocess
import sys
import zipfile

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from tflite_sparse.delegate import LIBRARY_VARIABLE
from tools.wheel import MACHINES, wheel_of

# What TFLite and LiteRT look up, what the package calls, and of TensorFlow Lite itself its C API; all
# else stays inside a library.
EXPORTED = {
    "libtflite_sparse_delegate.so": {
        "LiteRtAcceleratorImpl",
        "tflite_plugin_create_delegate",
        "tflite_plugin_destroy_delegate",
        "tflite_sparse_free",
        "tflite_sparse_litert_delegate",
        "tflite_sparse_litert_error",
        "tflite_sparse_litert_options",
        "tflite_sparse_litert_register",
        "tflite_sparse_report",
        "tflite_sparse_version",
    },
    "libtensorflowlite_c.so": {
        "tflite_plugin_create_delegate",
        "tflite_plugin_destroy_delegate",
        "tflite_sparse_create_delegate",
        "tflite_sparse_free",
        "tflite_sparse_interpreter_details",
        "tflite_sparse_interpreter_report",
        "tflite_sparse_interpreter_resize",
        "tflite_sparse_interpreter_tensor",
        "tflite_sparse_keep_error",
        "tflite_sparse_no_default_delegate",
        "tflite_sparse_report",
        "tflite_sparse_take_errors",
        "tflite_sparse_tensor_set_bytes",
        "tflite_sparse_version",
    },
}
# What every Linux with glibc has; libc++ is linked in.
LIBRARIES = re.compile(r"lib(c|m|dl|pthread|rt)\.so\.\d|ld-linux.*")
GLIBC_FLOOR = (2, 28)
SIZE_LIMIT = 4_000_000


@pytest.fixture(params=MACHINES.values())
def machine(request):
    return request.param


@pytest.fixture
def wheel(machine):
    return wheel_of(machine)


@pytest.fixture(params=EXPORTED)
def library(request):
    """A library in the wheel."""
    return request.param


@pytest.fixture
def elf(wheel, library, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        path = archive.extract(f"tflite_sparse/lib/{library}", tmp_path)
    with open(path, "rb") as file:
        yield ELFFile(file)


def test_tag(wheel, machine):
    found = re.fullmatch(r"tflite_sparse-[\d.]+-py3-none-manylinux_2_(\d+)_(\w+)\.whl", wheel.name)
    assert found, wheel.name
    assert int(found[1]) <= GLIBC_FLOOR[1]
    assert found[2] == machine
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("dist-info/WHEEL")]
        assert (
            f"Tag: py3-none-manylinux_2_{found[1]}_{machine}\n" in archive.read(metadata).decode()
        )


def test_size(wheel):
    assert wheel.stat().st_size < SIZE_LIMIT


def test_architecture(elf, machine):
    assert MACHINES[elf.header["e_machine"]] == machine
    assert elf.elfclass == 64
    assert elf.little_endian


def test_needed_libraries(elf):
    tags = list(elf.get_section_by_name(".dynamic").iter_tags())
    needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    assert needed
    assert [name for name in needed if not LIBRARIES.fullmatch(name)] == []
    assert [
        tag for tag in tags if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH", "DT_TEXTREL")
    ] == []


def test_glibc_floor(elf):
    versions = set()
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for _, needed in section.iter_versions():
                versions.update(version.name for version in needed)
    numbers = {tuple(map(int, v[6:].split("."))) for v in versions if v.startswith("GLIBC_")}
    assert numbers
    assert max(numbers) <= GLIBC_FLOOR
    assert [v for v in versions if not v.startswith("GLIBC_")] == []


def test_exported_symbols(elf, library):
    symbols = elf.get_section_by_name(".dynsym").iter_symbols()
    exported = {
        symbol.name for symbol in symbols if symbol.name and symbol.entry.st_shndx != "SHN_UNDEF"
    }
    assert {name for name in exported if not name.startswith("TfLite")} == EXPORTED[library]
    assert ("TfLiteInterpreterCreate" in exported) == (library == "libtensorflowlite_c.so")


def test_only_the_package_is_inside(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[-1] for name in names if name.endswith(".so")} == set(EXPORTED)
    tops = {name.split("/")[0] for name in names}
    assert {re.sub(r"-[\d.]*\d", "", top) for top in tops} == {
        "tflite_sparse",
        "tflite_sparse.dist-info",
    }


def test_the_other_platforms_library_is_told_apart(tmp_path):
    here = platform.machine()
    (other,) = set(MACHINES.values()) - {here}
    with zipfile.ZipFile(wheel_of(other)) as archive:
        path = archive.extract("tflite_sparse/lib/libtflite_sparse_delegate.so", tmp_path)
    program = [sys.executable, "-c", "from tflite_sparse.delegate import *; library_version()"]
    done = subprocess.run(
        program,
        env={**os.environ, LIBRARY_VARIABLE: path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert f"the library is for {other} and this machine is {here}" in last
    assert f"install the wheel whose name ends with {here}.whl" in last


def installed_for(tag, wheel, folder):
    """What pip does with a wheel on another platform; the finished process."""
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary=:all:"]
    command += [f"--platform={tag}", f"--target={folder}", str(wheel)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# Another processor, a 32-bit system on a 64-bit kernel, a system without glibc.
@pytest.mark.parametrize(
    "tag", ["manylinux_2_27_{other}", "linux_armv7l", "musllinux_1_2_{machine}"]
)
def test_pip_refuses_the_wheel_elsewhere(wheel, machine, tag, tmp_path):
    (other,) = set(MACHINES.values()) - {machine}
    done = installed_for(tag.format(other=other, machine=machine), wheel, tmp_path)
    assert done.returncode != 0
    assert f"{wheel.name} is not a supported wheel on this platform" in done.stderr


def test_pip_takes_the_wheel_where_it_belongs(wheel, tmp_path):
    own = wheel.stem.rpartition("-")[2]
    done = installed_for(own, wheel, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tflite_sparse" / "lib" / "libtflite_sparse_delegate.so").is_file()
