"""The library and what comes with it; tests/wheels looks at its symbols and what it needs."""

import pytest
from elftools.elf.elffile import ELFFile


@pytest.fixture(scope="module")
def elf(package):
    with (package / "lib" / "libtensorflowlite_c.so").open("rb") as file:
        yield ELFFile(file)


def dynamic(elf):
    return list(elf.get_section_by_name(".dynamic").iter_tags())


def test_its_own_functions_are_called_whatever_else_is_loaded(elf):
    flags = [tag.entry.d_val for tag in dynamic(elf) if tag.entry.d_tag == "DT_FLAGS"]
    symbolic = [tag for tag in dynamic(elf) if tag.entry.d_tag == "DT_SYMBOLIC"]
    assert symbolic or any(value & 2 for value in flags)


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
