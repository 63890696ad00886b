"""Semi-structured activation sparsity for TFLite / LiteRT.

A convolution's output pixels are masked by a fixed 0/1 array that is trained in; the delegate of
this package runs such models in any stock interpreter and does not compute what is masked.

Names are imported on first use, so that `import tflite_sparse` costs nothing and works on a
platform, or in an environment, where some of the parts cannot.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tflite_sparse._version import __version__
from tflite_sparse.errors import (
    ConversionError,
    DelegateError,
    MaskError,
    ModelError,
    OptionError,
    TfliteSparseError,
)

if TYPE_CHECKING:
    from tflite_sparse.activity import ActivityReport, LayerActivity
    from tflite_sparse.convert import apply_masks
    from tflite_sparse.delegate import delegate_library, load_delegate
    from tflite_sparse.interpreter import Interpreter
    from tflite_sparse.keras.conversion import convert as convert_keras
    from tflite_sparse.litert import compile_model, litert_environment
    from tflite_sparse.masks import MaskSet, lattice_masks, propagate_masks
    from tflite_sparse.measure.activity import measure_activity
    from tflite_sparse.report import LayerReport, NodeLeft, OpTime, Profile, SparsityReport
    from tflite_sparse.torch.conversion import convert as convert_torch

_HOME = {
    "apply_masks": "convert",
    "convert_keras": "keras.conversion:convert",
    "convert_torch": "torch.conversion:convert",
    "lattice_masks": "masks",
    "propagate_masks": "masks",
    "Interpreter": "interpreter",
    "compile_model": "litert",
    "litert_environment": "litert",
    "MaskSet": "masks",
    "delegate_library": "delegate",
    "load_delegate": "delegate",
    "measure_activity": "measure.activity",
    "ActivityReport": "activity",
    "LayerActivity": "activity",
    "LayerReport": "report",
    "NodeLeft": "report",
    "OpTime": "report",
    "Profile": "report",
    "SparsityReport": "report",
}

__all__ = [
    "ActivityReport",
    "ConversionError",
    "DelegateError",
    "Interpreter",
    "LayerActivity",
    "LayerReport",
    "MaskError",
    "MaskSet",
    "ModelError",
    "NodeLeft",
    "OpTime",
    "OptionError",
    "Profile",
    "SparsityReport",
    "TfliteSparseError",
    "__version__",
    "apply_masks",
    "compile_model",
    "convert_keras",
    "convert_torch",
    "delegate_library",
    "lattice_masks",
    "litert_environment",
    "load_delegate",
    "measure_activity",
    "propagate_masks",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
