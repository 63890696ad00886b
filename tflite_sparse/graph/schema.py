"""The TFLite schema's Python classes, which come with ai-edge-litert."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from tflite_sparse.errors import ModelError


@cache
def schema() -> ModuleType:
    """``ai_edge_litert.schema_py_generated``.

    Raises:
        ModelError: it is not installed.
    """
    return _utilities()[0]


def flatbuffer_utils() -> ModuleType:
    """``ai_edge_litert.tools.flatbuffer_utils``.

    Raises:
        ModelError: it is not installed.
    """
    return _utilities()[1]


@cache
def _utilities() -> tuple[ModuleType, ModuleType]:
    # Imported late: running a model that is masked already needs neither.
    try:
        from ai_edge_litert import schema_py_generated
        from ai_edge_litert.tools import flatbuffer_utils
    except ImportError as error:
        raise ModelError(
            "reading or changing a .tflite file needs the schema that comes with ai-edge-litert "
            f"2.1 or newer ({error}); install it: pip install ai-edge-litert. tflite-runtime "
            "alone can run masked files, but not make them"
        ) from error
    return schema_py_generated, flatbuffer_utils
