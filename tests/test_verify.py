"""verify_model knows all that the newest runtime's schema points to, and refuses what lies outside."""

import re
import struct
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as fb
from ai_edge_litert.tools import flatbuffer_utils

import tflite_sparse as ts
from tests.convert.small_models import SmallModel, chain
from tflite_sparse import verify

SCHEMA = Path(fb.__file__).read_text()


def pointers(table):
    """Fields of a table that are not scalars, by number, as the generated reader follows them."""
    (source,) = re.findall(
        rf"^class {table}\(object\):\n(.*?)^def ", SCHEMA, re.DOTALL | re.MULTILINE
    )
    found = set()
    for offset, body in re.findall(
        r"_tab\.Offset\((\d+)\)\)(.*?)(?=\n    def |\Z)", source, re.DOTALL
    ):
        if re.search(r"\.Vector\(|\.String\(|\.Indirect\(|\.Union\(", body):
            found.add((int(offset) - 4) // 2)
    return found


def known(table):
    return {field for field, kind in verify._SCHEMA[table].items() if not isinstance(kind, int)}


TABLES = [name for name in verify._SCHEMA if hasattr(fb, name)]


@pytest.mark.parametrize("table", TABLES)
def test_no_pointer_of_the_schema_is_missing(table):
    assert len(TABLES) > 15
    assert pointers(table) == known(table)


@pytest.mark.parametrize("union", ["BuiltinOptions", "BuiltinOptions2"])
def test_no_options_with_pointers_are_missing(union):
    members = {value: name for name, value in vars(getattr(fb, union)).items() if name[0] != "_"}
    kinds = verify._SCHEMA["Operator"][4 if union == "BuiltinOptions" else 12]
    for number, name in members.items():
        if name != "NONE":
            table = kinds.get(number, kinds.get(None))
            expected = set() if table is None else known(table)
            assert pointers(name) == expected, name


def outside(change):
    """A model that `change` has made wrong."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(chain().content()))
    change(model)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


@pytest.mark.parametrize("start", [2**20, 2**64 - 8])
def test_content_outside_of_the_file_is_refused(start):
    def buffer(model):
        index = model.subgraphs[0].tensors[model.subgraphs[0].operators[0].inputs[1]].buffer
        model.buffers[index].data = None
        model.buffers[index].offset, model.buffers[index].size = start, 100

    def options(model):
        model.subgraphs[0].operators[0].largeCustomOptionsOffset = start
        model.subgraphs[0].operators[0].largeCustomOptionsSize = 100

    for change, text in ((buffer, "buffer .* ends at byte"), (options, "options of node 0 .* end")):
        with pytest.raises(ts.ModelError, match=text):
            verify.verify_model(outside(change), "model")


def test_damaged_options_of_a_stablehlo_operation_are_refused():
    model = SmallModel()
    x = model.input([1, 6, 8, 4])
    model.output(model.op("STABLEHLO_TRANSPOSE", [x], [1, 6, 8, 4], "y"))
    options = fb.StablehloTransposeOptionsT()
    options.permutation = [0, 2**40 + 12345, 2, 3]
    operator = model.graph.operators[0]
    operator.builtinOptions2Type = fb.BuiltinOptions2.StablehloTransposeOptions
    operator.builtinOptions2 = options
    content = bytearray(model.content())
    verify.verify_model(bytes(content), "model")
    at = content.index(struct.pack("<q", 2**40 + 12345)) - 12
    assert struct.unpack_from("<I", content, at) == (4,)
    struct.pack_into("<I", content, at, 2**30)
    with pytest.raises(ts.ModelError, match="refers to byte"):
        verify.verify_model(bytes(content), "model")
