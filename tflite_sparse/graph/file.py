"""A .tflite file in memory: read whole, changed, written whole."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any, Union

import numpy as np

from tflite_sparse.errors import ModelError
from tflite_sparse.graph.schema import flatbuffer_utils, schema
from tflite_sparse.verify import verify_model

Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview]

_IDENTIFIER = b"TFL3"
# Offsets in a flatbuffer are 32 bits, signed in places.
_MAX_BYTES = 2**31 - 1
_MAX_ATTACHED_BYTES = 2**30
_ALIGNMENT = 16
# What the generated readers raise where an offset or length points out of the file.
_DAMAGED = (
    AssertionError,
    AttributeError,
    IndexError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)


class ModelFile:
    """A parsed .tflite.

    Attributes:
        model: the schema's object tree, free to change.
        where: the file's name for messages, or ``"the model"`` for bytes.
    """

    def __init__(self, model: Any, attachments: bytes, where: str) -> None:
        self.model = model
        self._attachments = attachments
        self.where = where

    @classmethod
    def read(cls, source: Source, label: str | None = None) -> ModelFile:
        """Parse a path or the bytes of a .tflite; messages call it `label`, or by its path.

        Files attached behind the model as a zip archive (TFLite Metadata: label
        maps and the like) are kept; other bytes behind the model are not, since
        nothing in the format tells where they begin.

        Raises:
            ModelError: not a .tflite, truncated, inconsistent, or larger than 2 GiB.
            OSError: the file cannot be read.
        """
        content, where = read_source(source)
        where = label or where
        if len(content) > _MAX_BYTES:
            raise ModelError(
                f"{where} has {len(content)} bytes; expected at most {_MAX_BYTES} (2 GiB): larger "
                "models keep weights outside of the flatbuffer, which cannot be rewritten here"
            )
        verify_model(content, where)
        reader = flatbuffer_utils()
        try:
            model = reader.read_model_from_bytearray(content)
        except _DAMAGED as error:
            raise ModelError(
                f"{where} is damaged or truncated ({len(content)} bytes): {error}. Fetch or "
                "export it again"
            ) from error
        return cls(model, _attachments(content, where), where)

    def to_bytes(self) -> bytes:
        """The .tflite, weights aligned as the schema asks, attached files behind it.

        Raises:
            ModelError: it would be larger than 2 GiB.
        """
        import flatbuffers

        buffers = self.model.buffers
        self.model.buffers = [_AlignedBuffer(buffer.data) for buffer in buffers]
        size = sum(0 if buffer.data is None else len(buffer.data) for buffer in buffers)
        try:
            # Room for everything at once: the builder would double and copy otherwise.
            builder = flatbuffers.Builder(min(size + size // 16 + 65536, _MAX_BYTES))
            builder.Finish(self.model.Pack(builder), file_identifier=_IDENTIFIER)
            content = bytes(builder.Output())
        except flatbuffers.builder.BuilderSizeError as error:
            raise ModelError(f"{self.where} would grow beyond 2 GiB") from error
        finally:
            self.model.buffers = buffers
        return _attach(content, self._attachments)

    def add_buffer(self, data: np.ndarray[Any, Any]) -> int:
        """Append a buffer of a constant's bytes; its index."""
        buffer = schema().BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def add_operator_code(self, builtin: int, version: int) -> int:
        """The index of a builtin operator's code at this version, added if need be."""
        code_of = flatbuffer_utils().get_builtin_code_from_operator_code
        for index, code in enumerate(self.model.operatorCodes):
            if code_of(code) == builtin and code.version == version:
                return index
        code = schema().OperatorCodeT()
        code.builtinCode = builtin
        # Readers older than builtinCode look here; codes above 127 are beyond them.
        code.deprecatedBuiltinCode = min(builtin, 127)
        code.version = version
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1


class _AlignedBuffer:
    """Packs a buffer at the 16 bytes the schema asks for, which the generated code does not."""

    def __init__(self, data: Any) -> None:
        self._data = None if data is None else np.frombuffer(memoryview(data), np.uint8)

    def Pack(self, builder: Any) -> int:
        fb = schema()
        data = None
        if self._data is not None:
            size = len(self._data)
            builder.StartVector(1, size, _ALIGNMENT)
            builder.head -= size
            builder.Bytes[builder.head : builder.head + size] = self._data.tobytes()
            data = builder.EndVector()
        fb.BufferStart(builder)
        if data is not None:
            fb.BufferAddData(builder, data)
        packed: int = fb.BufferEnd(builder)
        return packed


def read_source(source: Source) -> tuple[bytes, str]:
    """The bytes of a model, and what messages call it; OSError if the file cannot be read."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), "the model"
    return Path(source).read_bytes(), os.fspath(source)


def _attachments(content: bytes, where: str) -> bytes:
    """The zip archive behind the model, stored again, or nothing."""
    source = io.BytesIO(content)
    if not zipfile.is_zipfile(source):
        return b""
    try:
        with zipfile.ZipFile(source) as archive:
            if not archive.infolist():
                return b""
            size = sum(member.file_size for member in archive.infolist())
            if size > _MAX_ATTACHED_BYTES:
                raise ModelError(
                    f"the files attached to {where} would unpack to {size} bytes; expected at "
                    f"most {_MAX_ATTACHED_BYTES}"
                )
            start = min(member.header_offset for member in archive.infolist())
            return content[start:]
    except (zipfile.BadZipFile, ValueError) as error:
        raise ModelError(f"the files attached to {where} are damaged: {error}") from error


def _attach(content: bytes, archive: bytes) -> bytes:
    """``content`` with the archive's members behind it.

    Written again and not copied: the offsets in an archive count from the start
    of the file, and some readers trust them.
    """
    if not archive:
        return content
    target = io.BytesIO(content)
    target.seek(0, io.SEEK_END)
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "a") as copy:
        copy.comment = source.comment
        for member in source.infolist():
            copy.writestr(member, source.read(member))
    return target.getvalue()
