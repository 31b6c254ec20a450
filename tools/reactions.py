"""The reaction tables of both cores, for docs/architecture.md: `python -m tools.reactions`.

They are read from the source, with the comment above each row as its reason. `--check` compares the
page with the code instead of writing it.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/architecture.md"
TABLES: Final = {
    "client": "src/duologue/session/client_session.py",
    "server": "src/duologue/server/session/session.py",
    "translation": "src/duologue/server/session/translation.py",
}
"""The modules with a table called `REACTIONS`, by the name of its place in the page."""


class Row(NamedTuple):
    """What happens, the steps that follow, and why in this order."""

    cause: str
    steps: list[str]
    reason: str


def rows_of(source: str) -> list[Row]:
    """Return the rows of the `REACTIONS` in a module's source."""
    lines = source.splitlines()
    tree = ast.parse(source)
    tuples = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Tuple)
    }
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "REACTIONS"
    )
    if not isinstance(table, ast.Dict):
        raise TypeError("REACTIONS is not written as a dict")
    return [
        Row(_name(key), _steps(value, tuples), _reason(lines, key, value))
        for key, value in zip(table.keys, table.values, strict=True)
        if key is not None
    ]


def _steps(row: ast.expr, tuples: dict[str, ast.expr | None]) -> list[str]:
    steps: list[str] = []
    for step in row.elts if isinstance(row, ast.Tuple) else [row]:
        if isinstance(step, ast.Starred):
            shared = tuples[ast.unparse(step.value)]
            steps += [] if shared is None else _steps(shared, tuples)
        elif isinstance(step, ast.Lambda):
            call = step.body.func if isinstance(step.body, ast.Call) else step.body
            steps.append(ast.unparse(call).removeprefix("s."))
        else:
            steps.append(_name(step))
    return steps


def _name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _reason(lines: list[str], key: ast.expr, value: ast.expr) -> str:
    """Return the comment above a row, and those beside its steps."""
    above: list[str] = []
    at = key.lineno - 2
    while lines[at].lstrip().startswith("#"):
        above.insert(0, lines[at].lstrip("# "))
        at -= 1
    inside = lines[key.lineno - 1 : value.end_lineno]
    beside = [found[1] for line in inside if (found := re.search(r"  # (.*)$", line))]
    return " ".join([*above, *(f"{text[0].upper()}{text[1:]}." for text in beside)])


def table(rows: list[Row]) -> str:
    """Return rows as a table in Markdown."""
    lines = ["| What happens | Steps, in order | Why |", "| --- | --- | --- |"]
    for row in rows:
        steps = ", ".join(f"`{step}`" for step in row.steps)
        lines.append(f"| `{row.cause}` | {steps} | {row.reason} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page's text with new tables in their places."""
    for name, module in TABLES.items():
        place = rf"(<!-- reactions: {name} -->\n).*?(<!-- end -->)"
        new = table(rows_of((ROOT / module).read_text()))
        text, count = re.subn(
            place, lambda found, new=new: f"{found[1]}{new}\n{found[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"{PAGE.name} has no place for the table {name!r}")
    return text


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 if the page is out of date"
    )
    text = PAGE.read_text()
    new = page(text)
    if parser.parse_args().check:
        return int(new != text)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
