"""The model that a caller gives as a path or as bytes, with masks applied if there are any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tflite_sparse.errors import OptionError


def read_model(
    model_path: str | os.PathLike[str] | None,
    model_content: bytes | None,
    masks: Any = None,
    label: str | None = None,
) -> tuple[bytes, str]:
    """The bytes of a model, and what errors call it: `label`, its path, or "model_content".

    Raises OptionError unless exactly one of path and content is given, MaskError and ModelError
    where `masks` (a MaskSet, a mapping, or the path of a sidecar) cannot be applied, OSError.
    """
    if (model_path is None) == (model_content is None):
        raise OptionError("expected exactly one of model_path and model_content")
    source: Any = model_content if model_path is None else model_path
    label = label or ("model_content" if model_path is None else os.fspath(source))
    if masks is None:
        return (source if model_path is None else Path(source).read_bytes()), label
    from tflite_sparse.convert import apply_masks
    from tflite_sparse.masks import MaskSet

    if isinstance(masks, (str, os.PathLike)):
        masks = MaskSet.load(masks)
    return apply_masks(source, masks), label
