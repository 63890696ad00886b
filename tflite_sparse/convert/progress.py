"""Telling what a long conversion is at."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator


class Progress:
    """Prints each step of a conversion, and how long it took, on standard error."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """One step; its line is complete when it ends."""
        start = time.monotonic()
        if self._enabled:
            print(f"tflite-sparse: {text} ...", end="", file=sys.stderr, flush=True)
        try:
            # Converters report on standard output, which is the caller's.
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        finally:
            if self._enabled:
                print(f" {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
