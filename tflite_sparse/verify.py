"""Check that a .tflite holds together, for programs that follow its offsets and indices unchecked.

A flatbuffer is a graph of tables: a table starts with the distance back to its vtable, which holds
the offset of each field. A damaged or cut file sends a reader that trusts it out of its memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from tflite_sparse.errors import ModelError

# What a field of a table is: an int is the size of a scalar, stored in the table itself; a list is
# a vector of such; a string is a table of that name, "str" a string. Fields by number, as in
# TFLite's schema.fbs. A union is a dict from the value of the type field before it to the kind.
_Kind = object
_INTS, _LONGS, _BYTES = [4], [8], [1]
# The second union of options (BuiltinOptions2), by its type; those without pointers are not here.
_STABLEHLO: dict[int, dict[int, _Kind]] = {
    2: {0: _LONGS},
    3: dict.fromkeys(range(3), _LONGS),
    4: {**dict.fromkeys((0, 1, 2, 3, 7, 10, 13), _LONGS), 4: _BYTES, 16: _INTS},
    5: {0: "str", 2: "str", 4: _INTS, 5: _BYTES},
    6: {0: _LONGS},
    7: dict.fromkeys((1, 2, 3), _LONGS),
    9: {0: _LONGS},
    10: dict.fromkeys(range(3), _LONGS),
    12: {**dict.fromkeys(range(4), _LONGS), 4: _INTS},
    13: dict.fromkeys(range(5), _LONGS),
    16: dict.fromkeys((0, 1, 2, 4), _LONGS),
    17: {0: _LONGS},
    21: {0: "str", 2: _BYTES},
    23: {0: _INTS},
}
_SCHEMA: dict[str, dict[int, _Kind]] = {
    "Model": {
        0: 4, 1: ["OperatorCode"], 2: ["SubGraph"], 3: "str", 4: ["Buffer"], 5: _INTS,
        6: ["Metadata"], 7: ["SignatureDef"], 8: ["ExternalBufferGroup"], 9: ["ExternalBuffer"],
    },
    "ExternalBufferGroup": {0: "str"},
    "ExternalBuffer": {0: 4, 1: 4, 2: 8, 3: 8, 4: "str"},
    "OperatorCode": {0: 1, 1: "str", 2: 4, 3: 4},
    "SubGraph": {0: ["Tensor"], 1: _INTS, 2: _INTS, 3: ["Operator"], 4: "str"},
    "Tensor": {
        0: _INTS, 1: 1, 2: 4, 3: "str", 4: "QuantizationParameters", 5: 1,
        6: "SparsityParameters", 7: _INTS, 8: 1, 9: ["VariantSubType"],
    },
    "VariantSubType": {0: _INTS, 1: 1, 2: 1},
    "QuantizationParameters": {
        0: _INTS, 1: _INTS, 2: _INTS, 3: _LONGS, 4: 1, 5: {1: "CustomQuantization"}, 6: 4,
    },
    "CustomQuantization": {0: _BYTES},
    "SparsityParameters": {0: _INTS, 1: _INTS, 2: ["DimensionMetadata"]},
    "DimensionMetadata": {
        0: 1, 1: 4,
        2: 1, 3: {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"},
        4: 1, 5: {1: "Int32Vector", 2: "Uint16Vector", 3: "Uint8Vector"},
    },
    "Int32Vector": {0: _INTS},
    "Uint16Vector": {0: [2]},
    "Uint8Vector": {0: _BYTES},
    "Operator": {
        0: 4, 1: _INTS, 2: _INTS, 3: 1,
        # Of the options only those that point to something; all others are scalars.
        4: {3: "ConcatEmbeddingsOptions", 8: "FullyConnectedOptions", 17: "ReshapeOptions", 30: "SqueezeOptions",
            111: "VarHandleOptions", 115: "BucketizeOptions", None: "Scalars"},
        5: _BYTES, 6: 1, 7: _BYTES, 8: _INTS, 9: 8, 10: 8, 11: 1,
        12: {number: f"options {number}" for number in _STABLEHLO},
    },
    **{f"options {number}": fields for number, fields in _STABLEHLO.items()},
    "ConcatEmbeddingsOptions": {0: 4, 1: _INTS, 2: _INTS},
    "FullyConnectedOptions": {5: _BYTES},
    "ReshapeOptions": {0: _INTS},
    "SqueezeOptions": {0: _INTS},
    "VarHandleOptions": {0: "str", 1: "str"},
    "BucketizeOptions": {0: _INTS},
    "Scalars": {},
    "Buffer": {0: _BYTES, 1: 8, 2: 8},
    "Metadata": {0: "str", 1: 4},
    "SignatureDef": {0: ["TensorMap"], 1: ["TensorMap"], 2: "str", 4: 4},
    "TensorMap": {0: "str", 1: 4},
}  # fmt: skip

_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
_U64 = struct.Struct("<Q")


def verify_model(content: bytes, label: str) -> None:
    """Check that every offset and every index of a .tflite leads to something inside it.

    Raises ModelError naming the model by `label`.
    """
    if content[4:8] != b"TFL3":
        raise ModelError(
            f"{label}: expected a .tflite model ('TFL3' at byte 4), found {content[4:8]!r} in "
            f"{len(content)} bytes; give the file that a converter wrote"
        )
    try:
        root = _U32.unpack_from(content, 0)[0]
        _Walk(content).table("Model", root)
        _check_indices(_Reader(content), root, len(content))
    except (struct.error, _Damaged) as error:
        raise ModelError(
            f"{label}: the model is damaged or cut short ({len(content)} bytes): {error}. "
            "Copy or convert it again"
        ) from None


def verify_ranks(content: bytes, label: str, most: int, runtime: str) -> None:
    """Check that no tensor of a verified model has more than `most` dimensions.

    Raises ModelError naming the model by `label` and the one that cannot take it by `runtime`.
    """
    reader = _Reader(content)
    for subgraph in reader.tables(_U32.unpack_from(content, 0)[0], 2):
        for index, tensor in enumerate(reader.tables(subgraph, 0)):
            # Its shape, and the one with open sizes.
            rank = max(len(reader.numbers(tensor, field)) for field in (0, 7))
            if rank > most:
                raise ModelError(
                    f"{label}: tensor {index} has {rank} dimensions; {runtime} takes up to {most}"
                )


class _Damaged(Exception):
    """An offset leads out of the file, or an index to nothing."""


class _Walk:
    """Visits each table of a model once."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._seen: set[tuple[str, int]] = set()

    def table(self, name: str, position: int) -> None:
        if (name, position) in self._seen:
            return
        self._seen.add((name, position))
        fields, size = self._fields(name, position)
        for number, kind in _SCHEMA[name].items():
            offset = fields[number] if number < len(fields) else 0
            if not offset:
                continue
            if isinstance(kind, dict):
                tag = self._content[position + fields[number - 1]] if fields[number - 1] else 0
                kind = kind.get(tag, kind.get(None))
                if kind is None:
                    continue
            width = kind if isinstance(kind, int) else 4
            if offset + width > size:
                raise _Damaged(f"field {number} of {name} at {position} is outside its table")
            if not isinstance(kind, int):
                target = position + offset
                self._value(kind, target + _U32.unpack_from(self._content, target)[0], name)

    def _fields(self, name: str, position: int) -> tuple[tuple[int, ...], int]:
        """The offset of each field of a table, 0 where it is absent, and the table's size."""
        content = self._content
        vtable = position - _I32.unpack_from(content, position)[0]
        if position % 4 or vtable % 2 or not 0 <= vtable <= len(content) - 4:
            raise _Damaged(f"{name} at {position} has no field table")
        length = _U16.unpack_from(content, vtable)[0]
        size = _U16.unpack_from(content, vtable + 2)[0]
        if length < 4 or length % 2 or vtable + length > len(content):
            raise _Damaged(f"the field table of {name} at {position} has {length} bytes")
        if size < 4 or position + size > len(content):
            raise _Damaged(f"{name} at {position} has {size} bytes")
        fields = struct.unpack_from(f"<{length // 2 - 2}H", content, vtable + 4)
        if any(field >= size for field in fields):
            raise _Damaged(f"a field of {name} at {position} is outside its table")
        return fields, size

    def _value(self, kind: _Kind, position: int, owner: str) -> None:
        if isinstance(kind, str) and kind != "str":
            self.table(kind, position)
            return
        count = _U32.unpack_from(self._content, position)[0]
        item = kind[0] if isinstance(kind, list) else 1
        width = item if isinstance(item, int) else 4
        end = position + 4 + count * width + (kind == "str")
        if end > len(self._content):
            raise _Damaged(f"{owner} refers to byte {end}")
        if kind == "str" and self._content[end - 1]:
            raise _Damaged(f"a text of {owner} at {position} has no end")
        if isinstance(item, str):
            for index in range(count):
                entry = position + 4 + 4 * index
                self.table(item, entry + _U32.unpack_from(self._content, entry)[0])


class _Reader:
    """Reads fields of tables whose structure has been checked."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def _place(self, table: int, field: int) -> int | None:
        """Where a field is stored; None if it is absent."""
        vtable = table - _I32.unpack_from(self._content, table)[0]
        entry = 4 + 2 * field
        if entry >= _U16.unpack_from(self._content, vtable)[0]:
            return None
        offset = _U16.unpack_from(self._content, vtable + entry)[0]
        return table + offset if offset else None

    def number(self, table: int, field: int) -> int:
        place = self._place(table, field)
        return 0 if place is None else int(_U32.unpack_from(self._content, place)[0])

    def long(self, table: int, field: int) -> int:
        place = self._place(table, field)
        return 0 if place is None else int(_U64.unpack_from(self._content, place)[0])

    def numbers(self, table: int, field: int) -> tuple[int, ...]:
        place = self._place(table, field)
        if place is None:
            return ()
        vector = place + _U32.unpack_from(self._content, place)[0]
        count = _U32.unpack_from(self._content, vector)[0]
        return struct.unpack_from(f"<{count}i", self._content, vector + 4)

    def length(self, table: int, field: int) -> int:
        """Elements of a vector; 0 if it is absent."""
        place = self._place(table, field)
        if place is None:
            return 0
        vector = place + _U32.unpack_from(self._content, place)[0]
        return int(_U32.unpack_from(self._content, vector)[0])

    def is_set(self, table: int, field: int) -> bool:
        """Whether a scalar of one byte is there and not 0."""
        place = self._place(table, field)
        return place is not None and self._content[place] != 0

    def tables(self, table: int, field: int) -> list[int]:
        place = self._place(table, field)
        if place is None:
            return []
        first = place + _U32.unpack_from(self._content, place)[0] + 4
        offsets = self.numbers(table, field)
        return [first + 4 * i + (offset & 0xFFFFFFFF) for i, offset in enumerate(offsets)]


def _check_indices(reader: _Reader, model: int, length: int) -> None:
    for index, buffer in enumerate(reader.tables(model, 4)):
        # 0 and 1 mean that the content is in the table.
        start, size = reader.long(buffer, 1), reader.long(buffer, 2)
        if start > 1 and start + size > length:
            raise _Damaged(f"buffer {index} ends at byte {start + size}")
    codes = len(reader.tables(model, 1))
    stored = reader.tables(model, 4)
    buffers = len(stored)
    subgraphs = reader.tables(model, 2)
    if not subgraphs:
        raise _Damaged("it has no subgraph")
    counts = []
    for number, subgraph in enumerate(subgraphs):
        tensors = reader.tables(subgraph, 0)
        counts.append(len(tensors))
        where = f"subgraph {number}"
        for index, tensor in enumerate(tensors):
            _check([reader.number(tensor, 2)], buffers, f"tensor {index} of {where}: buffer")
        for field, what in ((1, "input"), (2, "output")):
            _check(reader.numbers(subgraph, field), len(tensors), f"{what} of {where}: tensor")
        for index, op in enumerate(reader.tables(subgraph, 3)):
            _check([reader.number(op, 0)], codes, f"node {index} of {where}: operation")
            start, size = reader.long(op, 9), reader.long(op, 10)
            if start > 1 and start + size > length:
                raise _Damaged(f"the options of node {index} of {where} end at byte {start + size}")
            for field in (1, 2, 8):
                # -1 is an optional tensor that is absent.
                used = [tensor for tensor in reader.numbers(op, field) if tensor != -1]
                _check(used, len(tensors), f"node {index} of {where}: tensor")
        _check_order(reader, subgraph, stored, where)
    for signature in reader.tables(model, 7):
        subgraph = reader.number(signature, 4)
        _check([subgraph], len(subgraphs), "a signature: subgraph")
        for field in (0, 1):
            used = [reader.number(entry, 1) for entry in reader.tables(signature, field)]
            _check(used, counts[subgraph], "a signature: tensor")


def _check_order(reader: _Reader, subgraph: int, buffers: list[int], where: str) -> None:
    """Check that each tensor has one origin, and that nodes read it after that.

    An interpreter runs other graphs too; what it reads then is what happens to be in memory.
    """
    known = set(reader.numbers(subgraph, 1))
    variables = set()
    for index, tensor in enumerate(reader.tables(subgraph, 0)):
        buffer = buffers[reader.number(tensor, 2)]
        # Data in the file, behind it, or none because there are no elements.
        is_constant = reader.length(buffer, 0) or reader.number(buffer, 1) > 1
        if is_constant and index in known:
            raise _Damaged(f"input {index} of {where} is a constant")
        if is_constant or 0 in reader.numbers(tensor, 0):
            known.add(index)
        if reader.is_set(tensor, 5):
            variables.add(index)
    for index, op in enumerate(reader.tables(subgraph, 3)):
        for tensor in reader.numbers(op, 1):
            if tensor not in known and tensor not in variables and tensor != -1:
                raise _Damaged(
                    f"node {index} of {where} reads tensor {tensor}, which nothing wrote"
                )
        for tensor in reader.numbers(op, 2):
            if tensor in known and tensor != -1:
                raise _Damaged(
                    f"node {index} of {where} writes tensor {tensor}, which is an input, a constant "
                    "or written already"
                )
            known.add(tensor)


def _check(indices: Iterable[int], count: int, what: str) -> None:
    for index in indices:
        if not 0 <= index < count:
            raise _Damaged(f"{what} {index} is not there, there are {count}")
