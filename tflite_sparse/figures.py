"""Figures by matplotlib, which is an extra."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

from tflite_sparse.errors import OptionError


def require_matplotlib() -> None:
    """Raise OptionError if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise OptionError("--plot needs matplotlib; install it: pip install 'tflite-sparse[bench]'")


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib Figure, sizes in inches; OptionError if matplotlib is not installed."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def to_png(figure: Any) -> bytes:
    """A figure as the bytes of a PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()
