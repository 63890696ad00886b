"""Making .tflite files whose masks every runtime honours."""

from __future__ import annotations

from typing import Any

from tflite_sparse.convert.apply import apply_masks

__all__ = ["apply_masks", "convert_keras", "convert_torch"]


def __getattr__(name: str) -> Any:
    # Late, so that a board without tensorflow and torch can apply masks.
    if name == "convert_keras":
        from tflite_sparse.convert.keras import convert_keras

        return convert_keras
    if name == "convert_torch":
        from tflite_sparse.convert.torch import convert_torch

        return convert_torch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
