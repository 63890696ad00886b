"""A training in phases, counted by steps."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

from tflite_sparse.errors import OptionError

_STATE_VERSION = 1


class Phases(abc.ABC):
    """Phases that begin at fractions of a run; a subclass says what begins with each."""

    def _start(self, begins: Mapping[str, float], total_steps: int) -> None:
        """Enter the first phase; ``begins`` has the fraction of the run where each begins."""
        if isinstance(total_steps, bool) or not isinstance(total_steps, int) or total_steps < 1:
            raise OptionError(
                f"expected total_steps to be a whole number from 1, found {total_steps!r}"
            )
        fractions = list(begins.values())
        if sorted(fractions) != fractions or not all(0 <= value <= 1 for value in fractions):
            raise OptionError(
                f"expected phases that begin one after the other, at fractions in [0, 1] of the "
                f"run; found {dict(begins)}"
            )
        self._begins = {name: round(value * total_steps) for name, value in begins.items()}
        self._step_count = 0
        self._enter_at(0)

    @property
    def phase(self) -> str:
        """The name of the phase that the next training step belongs to."""
        return self._phase

    @property
    def begins(self) -> dict[str, int]:
        """The step, from 0, at which each phase begins."""
        return dict(self._begins)

    @property
    def step_count(self) -> int:
        """How many training steps are done."""
        return self._step_count

    def step(self) -> None:
        """One training step is done. Call it once after each ``optimizer.step()``."""
        self._step_count += 1
        self._enter_at(self._step_count)

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs, as plain numbers, strings, lists and dicts (JSON too)."""
        return {"version": _STATE_VERSION, "run": dict(self._run()), "step": self._step_count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken.

        Raises:
            OptionError: it is of another run (the text names the difference), or no such state;
                nothing is changed then.
        """
        try:
            if state["version"] != _STATE_VERSION:
                raise OptionError(
                    f"expected a state of version {_STATE_VERSION}, found {state['version']}"
                )
            for key, mine in self._run().items():
                if state["run"][key] != mine:
                    raise OptionError(
                        f"the state is of another run: it was made with {key}="
                        f"{state['run'][key]!r}, this {type(self).__name__} has {key}={mine!r}"
                    )
            step = int(state["step"])
            phase = [name for name, begin in self._begins.items() if begin <= step][-1]
            self._resume(phase, state)
        except (KeyError, TypeError) as error:
            raise OptionError(
                f"this is not what state_dict() of {type(self).__name__} gives: {error!r}"
            ) from error
        self._step_count, self._phase = step, phase

    def _enter_at(self, step: int) -> None:
        # One after the other: a phase without steps of its own may do something too.
        for name, begin in self._begins.items():
            if begin == step:
                self._phase = name
                self._enter(name)

    @abc.abstractmethod
    def _enter(self, phase: str) -> None:
        """A phase begins."""

    def _resume(self, phase: str, state: Mapping[str, Any]) -> None:
        """Go on within a phase, from a state that has been checked."""
        self._enter(phase)

    @abc.abstractmethod
    def _run(self) -> Mapping[str, Any]:
        """What makes one run the same as another."""
