"""The library as it is: what it shows of itself, and what it needs."""

import re

import pytest
from elftools.elf.elffile import ELFFile

OWN = {
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
}
LIBRARIES = re.compile(r"lib(c|m|dl|pthread|rt)\.so\.\d|ld-linux.*")
GLIBC_FLOOR = (2, 28)


@pytest.fixture(scope="module")
def elf(package):
    with (package / "lib" / "libtensorflowlite_c.so").open("rb") as file:
        yield ELFFile(file)


def dynamic(elf):
    return list(elf.get_section_by_name(".dynamic").iter_tags())


def test_only_the_c_interface_is_exported(elf):
    symbols = elf.get_section_by_name(".dynsym").iter_symbols()
    exported = {s.name for s in symbols if s.name and s.entry.st_shndx != "SHN_UNDEF"}
    assert {name for name in exported if not name.startswith("TfLite")} == OWN
    assert {"TfLiteInterpreterCreate", "TfLiteExternalDelegateCreate"} <= exported


def test_its_own_functions_are_called_whatever_else_is_loaded(elf):
    flags = [tag.entry.d_val for tag in dynamic(elf) if tag.entry.d_tag == "DT_FLAGS"]
    symbolic = [tag for tag in dynamic(elf) if tag.entry.d_tag == "DT_SYMBOLIC"]
    assert symbolic or any(value & 2 for value in flags)


def test_it_needs_glibc_only(elf):
    needed = [tag.needed for tag in dynamic(elf) if tag.entry.d_tag == "DT_NEEDED"]
    assert needed
    assert [name for name in needed if not LIBRARIES.fullmatch(name)] == []
    versions = elf.get_section_by_name(".gnu.version_r").iter_versions()
    names = {one.name for _, needs in versions for one in needs}
    numbers = {tuple(map(int, name[6:].split("."))) for name in names if name.startswith("GLIBC_")}
    assert numbers
    assert max(numbers) <= GLIBC_FLOOR


def test_licences_of_everything_inside_are_there(package):
    names = {path.name for path in (package / "share" / "doc" / "tflite_sparse").iterdir()}
    assert {
        "LICENSE",
        "NOTICE",
        "tensorflow-LICENSE",
        "xnnpack-LICENSE",
        "eigen3-COPYING.MPL2",
    } <= names
    assert all(
        path.stat().st_size > 500 for path in (package / "share").rglob("*") if path.is_file()
    )
