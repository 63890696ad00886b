"""Telling what a long task is at."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator


class Progress:
    """Prints each step of a task, and how long it took, on standard error."""

    def __init__(self, enabled: bool = True) -> None:
        self._enabled = enabled

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[float], None]]:
        """One step; its line is complete when it ends.

        Gives a function to call with the share that is done, which a terminal shows.
        """
        start = time.monotonic()
        line = f"tflite-sparse: {text} ..."
        self._show(line)
        try:
            # Converters report on standard output, which is the caller's.
            with contextlib.redirect_stdout(io.StringIO()):
                yield lambda share: self._update(f"{line} {share:4.0%}")
        finally:
            self._update(line)
            self._show(f" {time.monotonic() - start:.1f} s\n")

    def _update(self, line: str) -> None:
        if sys.stderr.isatty():
            self._show(f"\r\x1b[K{line}")

    def _show(self, text: str) -> None:
        if self._enabled:
            print(text, end="", file=sys.stderr, flush=True)
