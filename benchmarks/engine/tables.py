"""Results as Markdown tables, which read well on a terminal too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.engine.by_layer import Layers
from benchmarks.engine.case import DENSE
from benchmarks.engine.end_to_end import Row

_NAME_LENGTH = 44


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with padded cells; the first column to the left, the others to the right."""
    cells = [list(headers), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = [
        [text.ljust(width) if column == 0 else text.rjust(width)
         for column, (text, width) in enumerate(zip(row, widths))]
        for row in cells
    ]  # fmt: skip
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def end_to_end_table(rows: Sequence[Row]) -> str:
    """All variants of one case."""
    headers = ("sparsity", "threads", "variant", "median ms", "p10", "p90", "speed-up", "ideal",
               "reached", "threads' ratio", "arena MB", "of dense", "masks KB", "of arena",
               "compact / insert / dense")  # fmt: skip
    cells = []
    for row in rows:
        is_dense = row.variant == DENSE
        forms = "-" if is_dense else _forms(row.forms)
        cells.append(
            (
                f"{row.sparsity:.0%}",
                str(row.threads),
                row.variant,
                f"{row.latency.median:.2f}",
                f"{row.latency.p10:.2f}",
                f"{row.latency.p90:.2f}",
                "1" if is_dense else f"{row.speed_up:.3f}",
                f"{row.ideal:.3f}",
                f"{row.speed_up.value / row.ideal:.0%}",
                f"{row.scaling:.3f}" if row.scaling and not is_dense else "-",
                f"{row.arena_bytes / 1e6:.2f}",
                f"{row.arena_bytes / max(row.dense_arena_bytes, 1):.0%}",
                f"{row.sparsity_bytes / 1e3:.0f}",
                f"{row.sparsity_bytes / max(row.dense_arena_bytes, 1):.1%}",
                forms,
            )
        )
    return markdown_table(headers, cells)


def layers_table(layers: Layers) -> str:
    """All convolutions of one case at one sparsity, and the sums."""
    headers = ("layer", "op", "kernel", "form", "kept", "dense us", "insert us", "compact us",
               "insert", "compact", "ideal")  # fmt: skip
    cells = []
    for row in layers.rows:
        dense, insert, compact = (row.microseconds[name] for name in (DENSE, "insert", "compact"))
        cells.append(
            (
                _short(row.layer),
                row.kind,
                "x".join(map(str, row.kernel)),
                row.form or "no mask",
                f"{row.kept / row.total:.1%}",
                f"{dense:.1f}",
                f"{insert:.1f}",
                f"{compact:.1f}",
                f"{dense / insert:.2f}",
                f"{dense / compact:.2f}",
                f"{row.ideal:.2f}",
            )
        )
    sums = {name: sum(row.microseconds[name] for row in layers.rows) for name in layers.total_us}
    for label, times in (("all convolutions", sums), ("all operations", layers.total_us)):
        dense, insert, compact = (times[name] for name in (DENSE, "insert", "compact"))
        cells.append(
            (label, "", "", "", "", f"{dense:.0f}", f"{insert:.0f}", f"{compact:.0f}",
             f"{dense / insert:.2f}", f"{dense / compact:.2f}", "")
        )  # fmt: skip
    return (
        f"{markdown_table(headers, cells)}\n\nGathers and zero insertions take "
        f"{layers.row_copy_share('compact'):.2%} of the dense time in mode compact, "
        f"{layers.row_copy_share('insert'):.2%} in mode insert."
    )


def overview_table(records: Iterable[dict[str, Any]]) -> str:
    """One line per case, sparsity and number of threads, from the records of result files."""
    headers = ("network", "sparsity", "threads", "dense ms", "insert", "compact", "ideal",
               "reached", "threads' ratio", "arena", "masks of arena", "row copies")  # fmt: skip
    cells = []
    for record in records:
        shares = {layers["sparsity"]: layers["row_copy_share"] for layers in record["layers"]}
        by_key = {
            (row["sparsity"], row["threads"], row["variant"]): row for row in record["end_to_end"]
        }
        for sparsity, threads in dict.fromkeys(key[:2] for key in by_key):
            dense, insert, compact = (
                by_key[sparsity, threads, name] for name in (DENSE, "insert", "compact")
            )
            gain = compact["speed_up"]["value"]
            scaling = compact["scaling"]
            cells.append(
                (
                    record["name"],
                    f"{sparsity:.0%}",
                    str(threads),
                    f"{dense['latency']['median']:.2f}",
                    f"{insert['speed_up']['value']:.3f}",
                    f"{gain:.3f}",
                    f"{compact['ideal']:.3f}",
                    f"{gain / compact['ideal']:.0%}",
                    f"{scaling['value']:.2f}" if scaling else "-",
                    f"{compact['arena_bytes'] / max(dense['arena_bytes'], 1):.0%}",
                    f"{compact['sparsity_bytes'] / max(dense['arena_bytes'], 1):.1%}",
                    f"{shares[sparsity]['compact']:.2%}" if sparsity in shares else "-",
                )
            )
    return markdown_table(headers, cells)


def _forms(forms: dict[str, int]) -> str:
    return " / ".join(str(forms.get(form, 0)) for form in ("compact", "insert", "dense"))


def _short(name: str) -> str:
    first = name.split(";")[0]
    return first if len(first) <= _NAME_LENGTH else f"...{first[3 - _NAME_LENGTH :]}"
