"""Masks from C headers, as the paper's training code exports them."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from tflite_sparse.errors import MaskError

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ARRAY = re.compile(
    r"\buint8_t\s+(?P<name>[A-Za-z_]\w*)\s*\[\s*(?P<rows>\d+)\s*\]\s*\[\s*(?P<columns>\d+)\s*\]\s*="
    r"(?P<body>[^;]*);"
)
_ROW = re.compile(r"\{([^{}]*)\}")
_ANY_ARRAY = re.compile(r"\w+\s*(?:\[[^\]]*\]\s*)+=")


def decode(content: bytes, where: str) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    """The name and array of every ``const uint8_t NAME[H][W] = {{...}, ...};`` of a C header.

    Names are the header's, C identifiers; where a layer's name has dots or
    slashes, give the masks their names back with ``MaskSet({...})``.

    Raises:
        MaskError: no such array, one of another form, or rows that do not match H
            and W; ``where`` names the file.
    """
    text = _COMMENT.sub(" ", content.decode(errors="replace"))
    matches = list(_ARRAY.finditer(text))
    if len(matches) != len(_ANY_ARRAY.findall(text)):
        raise MaskError(
            f"{where} holds an array that is not of the form uint8_t NAME[H][W] = "
            "{...}; expected only such arrays"
        )
    if not matches:
        raise MaskError(f"{where} holds no array; expected const uint8_t NAME[H][W] = {{...}};")
    return [_named_array(match, where) for match in matches]


def _named_array(match: re.Match[str], where: str) -> tuple[str, npt.NDArray[np.bool_]]:
    name, rows, columns = match["name"], int(match["rows"]), int(match["columns"])
    lines = [
        [value.strip() for value in line.split(",") if value.strip()]
        for line in _ROW.findall(match["body"])
    ]
    lengths = {len(line) for line in lines}
    if len(lines) != rows or lengths != {columns}:
        raise MaskError(
            f"{where}: array {name!r} says [{rows}][{columns}], but holds {len(lines)} rows of "
            f"{sorted(lengths)} values"
        )
    odd = {value for line in lines for value in line} - {"0", "1"}
    if odd:
        raise MaskError(
            f"{where}: array {name!r} is not binary: found {sorted(odd)[0]!r}; expected 0 and 1"
        )
    return name, np.array([[value == "1" for value in line] for line in lines])
