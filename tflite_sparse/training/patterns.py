"""Values by shell patterns of layers' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tflite_sparse.errors import OptionError


def chosen(names: Sequence[str], patterns: str | Sequence[str], what: str = "layers") -> list[str]:
    """The names that one of the shell patterns matches, in their order.

    Raises:
        OptionError: a pattern that matches no name.
    """
    several = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in several:
        if not any(fnmatchcase(name, pattern) for name in names):
            some = ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")
            raise OptionError(f"{what}: {pattern!r} matches none of the names; they are {some}")
    return [name for name in names if any(fnmatchcase(name, p) for p in several)]


def by_pattern(
    values: float | Mapping[str, float], names: Sequence[str], what: str
) -> dict[str, float]:
    """The value of each name: one for all, or of the first pattern that matches.

    Args:
        values: a number, or ``{name or shell pattern: number}``; names that none matches have none.
        names: of the layers.
        what: the values are, for error texts.

    Raises:
        OptionError: a pattern that matches no name.
    """
    if not isinstance(values, Mapping):
        return dict.fromkeys(names, float(values))
    chosen(names, list(values), what)
    found = {
        name: next((float(values[p]) for p in values if fnmatchcase(name, p)), None)
        for name in names
    }
    return {name: value for name, value in found.items() if value is not None}
