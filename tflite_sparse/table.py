"""Tables of fixed width, for terminals and text files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def format_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out `rows` under `headers`: numbers to the right, text to the left, None as a dash.

    Floats are printed as they come, so format them first where a number of digits is meant. A
    column counts as numeric when each of its cells starts with a digit, a sign or a dash.

    Raises ValueError if a row has not as many cells as there are headers.
    """
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    for number, row in enumerate(cells):
        if len(row) != len(headers):
            raise ValueError(f"row {number} has {len(row)} cells, expected {len(headers)}")
    lines = []
    columns = []
    for index, header in enumerate(headers):
        column = [row[index] for row in cells]
        width = max(len(text) for text in [header, *column])
        numeric = bool(column) and all(text[:1] in "0123456789+-" and text for text in column)
        columns.append((width, numeric))
    for row in [list(headers), ["-" * width for width, _ in columns], *cells]:
        padded = [
            text.rjust(width) if numeric else text.ljust(width)
            for text, (width, numeric) in zip(row, columns)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def shorten(name: str) -> str:
    """A name cut in its middle to at most 48 characters: converters join all that they fused."""
    return name if len(name) <= 48 else f"{name[:22]}...{name[-23:]}"
