"""Filling a table whose columns are as wide as what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import DataTable

from fclocal.escapes import visible

# Cells of a column; only the last one may be wider.
WIDEST = 44


def fill(table: DataTable[Text], headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Put `rows` in the place of what `table` holds; the cursor stays where it is, as far as there are rows.

    The widths are given, because a table that measures its cells itself does so when it is idle, and what was painted
    before that stays cut.
    """
    at = table.cursor_row
    shown = [[Text(visible(cell), no_wrap=True, overflow="ellipsis") for cell in row] for row in rows]
    table.clear(columns=True)
    for index, header in enumerate(headers):
        widest = max([cell_len(header), *(row[index].cell_len for row in shown)])
        table.add_column(header, width=widest if index == len(headers) - 1 else min(widest, WIDEST))
    for row in shown:
        table.add_row(*row)
    table.move_cursor(row=min(at, len(rows) - 1))
