"""The sidecar: an .npz with the masks of one model. docs/model-format.md describes it."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError

FORMAT = "tflite-sparse masks"
VERSION = 1

_METADATA = "metadata"
_FIELDS = {"fingerprint": (str,), "seed": (int,), "sparsity": (int, float)}
_MEMBER = re.compile(r"(metadata|mask_\d{1,6})\.npy")
# Far above any real sidecar (a mask of 1024 x 1024 is 1 MiB), far below what
# would hurt a board: what a file claims to unpack to is checked against these.
_MAX_MEMBERS = 10_000
_MAX_BYTES = 256 * 2**20
# What zipfile raises on damaged archives held in memory.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def encode(masks: Mapping[str, npt.NDArray[np.bool_]], metadata: Mapping[str, Any]) -> bytes:
    """The sidecar of ``{layer: [H, W]}``; ``metadata`` are fingerprint, seed and sparsity."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    stored: dict[tuple[tuple[int, ...], bytes], str] = {}
    layers = []
    for name, mask in masks.items():
        key = (mask.shape, mask.tobytes())
        if key not in stored:
            stored[key] = f"mask_{len(stored)}"
            arrays[stored[key]] = mask
        layers.append(
            {
                "layer": name,
                "mask": stored[key],
                "shape": list(mask.shape),
                "kept": int(np.count_nonzero(mask)),
            }
        )
    content = {
        "format": FORMAT,
        "version": VERSION,
        **{field: metadata[field] for field in _FIELDS},
        "layers": layers,
    }
    text = json.dumps(content, ensure_ascii=True).encode()
    arrays[_METADATA] = np.frombuffer(text, np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def decode(content: bytes, where: str) -> tuple[list[tuple[str, npt.NDArray[Any]]], dict[str, Any]]:
    """Each layer with its mask, and the metadata that :func:`encode` was given.

    Raises:
        MaskError: it is not a sidecar, is damaged, or of a newer format; ``where``
            names the file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = _arrays(archive, where)
    except MaskError:
        raise
    except _DAMAGED as error:
        raise MaskError(
            f"{where} is not a sidecar or is damaged: expected an .npz written by MaskSet.save, "
            f"but {error}"
        ) from error
    if _METADATA not in arrays:
        raise MaskError(
            f"{where} is an .npz without {_METADATA!r}, so not a sidecar; make one from its arrays "
            "with MaskSet({name: array}).save(...)"
        )
    return _content(_metadata(arrays[_METADATA], where), arrays, where)


def _arrays(archive: zipfile.ZipFile, where: str) -> dict[str, npt.NDArray[Any]]:
    members = archive.infolist()
    if len(members) > _MAX_MEMBERS:
        raise MaskError(f"{where} holds {len(members)} members; expected at most {_MAX_MEMBERS}")
    names = [member.filename for member in members]
    for name in names:
        if not _MEMBER.fullmatch(name) or names.count(name) > 1:
            raise MaskError(
                f"{where} holds an unexpected member {name!r}; a sidecar holds metadata.npy and "
                "mask_0.npy, mask_1.npy, ..., each once"
            )
    claimed = sum(member.file_size for member in members)
    if claimed > _MAX_BYTES:
        raise MaskError(
            f"{where} would unpack to {claimed} bytes; expected at most {_MAX_BYTES}. "
            "Such a file is damaged or made to harm"
        )
    return {member.filename[: -len(".npy")]: _array(archive, member, where) for member in members}


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> npt.NDArray[Any]:
    with archive.open(member) as stream:
        # Bounded, because the size in a zip's directory is only a claim.
        content = stream.read(member.file_size + 1)
    buffer = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(buffer)
        if version != (1, 0):
            raise ValueError(f"it has .npy version {version}, expected (1, 0)")
        shape, _, dtype = np.lib.format.read_array_header_1_0(buffer)
        if dtype not in (np.dtype(np.bool_), np.dtype(np.uint8)):
            raise ValueError(f"it has elements of type {dtype}, expected bool")
        count = 1
        for size in shape:
            count *= size
        if len(content) - buffer.tell() != count:
            raise ValueError(
                f"its shape {list(shape)} needs {count} bytes, it holds "
                f"{len(content) - buffer.tell()}"
            )
        buffer.seek(0)
        return np.lib.format.read_array(buffer, allow_pickle=False)
    except (ValueError, SyntaxError, TypeError, OverflowError) as error:
        raise MaskError(f"{where}: member {member.filename!r} is damaged: {error}") from error


def _metadata(encoded: npt.NDArray[Any], where: str) -> dict[str, Any]:
    try:
        metadata = json.loads(encoded.tobytes().decode())
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise MaskError(f"{where}: its metadata is not JSON: {error}") from error
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise MaskError(f"{where}: its metadata does not say {FORMAT!r}; it is no sidecar")
    if metadata.get("version") != VERSION:
        raise MaskError(
            f"{where} has format version {metadata.get('version')!r}; this tflite-sparse reads "
            f"version {VERSION}. Update tflite-sparse"
        )
    return metadata


def _content(
    metadata: dict[str, Any], arrays: dict[str, npt.NDArray[Any]], where: str
) -> tuple[list[tuple[str, npt.NDArray[Any]]], dict[str, Any]]:
    pairs = []
    try:
        for entry in metadata["layers"]:
            name, mask = entry["layer"], arrays[entry["mask"]]
            kept = int(np.count_nonzero(mask))
            if list(mask.shape) != entry["shape"] or kept != entry["kept"]:
                raise MaskError(
                    f"{where} is damaged: the mask of layer {name!r} is {list(mask.shape)} with "
                    f"{kept} kept pixels, its metadata says {entry['shape']} with {entry['kept']}"
                )
            pairs.append((name, mask))
        known = {field: metadata[field] for field in _FIELDS}
    except (KeyError, TypeError) as error:
        raise MaskError(f"{where}: its metadata lacks or misnames {error}") from error
    for field, value in known.items():
        if value is not None and not isinstance(value, _FIELDS[field]):
            raise MaskError(f"{where}: its {field} is malformed: {value!r}")
    return pairs, known
