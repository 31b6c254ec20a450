"""Figures and rules of the module tree: `python -m tools.structure [--json] [SOURCE]`.

The source is parsed, never imported. Exit status 1 if modules import each other in a circle, if a
public name stands for two things, or if a docstring begins with a question word.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["ALLOWED", "Module", "Report", "examine", "main", "read"]

SOURCE: Final = Path(__file__).parents[1] / "src/duologue"
SMALL_LINES: Final = 50
NOT_SMALL: Final = {"__init__", "__main__", "_version"}
"""Modules whose size follows from what they are, not from how the code is cut."""
QUESTION: Final = re.compile(r"(What|Whatever|Who|Whom|Whose|How|Where|When|Which|Why)\b")

DIALECTS: Final = ("protocol.beta", "protocol.ga")
"""Packages whose equal names mean the same: the one noun of the protocol in each dialect."""
FACES: Final = {"sync": ("client", "session", "devices")}
"""A package that repeats public names of others, for callers without an event loop."""

ALLOWED: Final[Mapping[str, str]] = {
    "Delay": "both public: of a transcription (API reference), and the fault that delays an event",
}
"""Names that may stand for two things, with the reason; one that no longer does is an error."""


@dataclass(frozen=True)
class Docstring:
    """The first line of a docstring."""

    line: int
    head: str


@dataclass(frozen=True)
class Module:
    """One source file.

    Attributes:
        name: Its dotted name; that of the package for `__init__.py`.
        path: Its path from the folder that holds the package.
    """

    name: str
    path: Path
    text: str = field(repr=False)

    @property
    def is_package(self) -> bool:
        """Whether the file is the `__init__.py` of a package."""
        return self.path.name == "__init__.py"

    @property
    def lines(self) -> int:
        """The number of lines, blank ones included."""
        return len(self.text.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    def imports(self, known: Iterable[str]) -> set[str]:
        """Return the modules among `known` that this one names in an import, wherever it stands."""
        names = set(known)
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                for alias in node.names:
                    # `from a import b` names the module `a.b` if there is one, else a part of `a`.
                    inner = f"{origin}.{alias.name}"
                    found.add(inner if inner in names else origin)
        return (found & names) - {self.name}

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        depth = node.level - 1 if self.is_package else node.level
        parents = self.name.split(".")
        base = parents[: len(parents) - depth]
        return ".".join([*base, node.module] if node.module else base)

    def public_nouns(self) -> Iterator[str]:
        """Yield the public classes that are defined here, and the type aliases in `__all__`."""
        exported = self._exported()
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name
            elif (name := _alias(node)) in exported:
                yield name

    def _exported(self) -> set[str]:
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=names)):
                    return {str(name.value) for name in names if isinstance(name, ast.Constant)}
                case _:
                    pass
        return set()

    def docstrings(self) -> Iterator[Docstring]:
        """Yield the docstrings of the module, its constants, classes and functions.

        Those of class attributes are left out: "How long a response may take" describes a field.
        """
        yield from _strings(self.tree.body)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _strings(node.body[:1])


def _alias(node: ast.stmt) -> str:
    """Return the name that a statement gives to a type, or an empty string."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
            return name
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp() | ast.Subscript()):
            return name if name[:1].isupper() and not name.isupper() else ""
        case _:
            return ""


def _strings(body: list[ast.stmt]) -> Iterator[Docstring]:
    for node in body:
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield Docstring(node.lineno, text.strip().partition("\n")[0])
            case _:
                pass


def read(source: Path) -> list[Module]:
    """Return the modules of the package in the folder `source`, by name."""
    modules: list[Module] = []
    for file in source.rglob("*.py"):
        path = file.relative_to(source.parent)
        parts = path.with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, path, file.read_text()))
    return sorted(modules, key=lambda module: module.name)


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that reach each other (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in sorted(arrows[name]):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            start = stack.index(name)
            group = sorted(stack[start:])
            del stack[start:]
            if len(group) > 1:
                found.append(group)

    for name in sorted(arrows):
        if name not in order:
            visit(name)
    return found


def homonyms(modules: Iterable[Module]) -> dict[str, list[str]]:
    """Return the public names that are defined twice with different meanings, and where."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        for name in module.public_nouns():
            places[name].append(module.name)
    return {name: where for name, where in sorted(places.items()) if _meanings(where) > 1}


def _meanings(places: list[str]) -> int:
    """Return how many things a name stands for."""
    homes = [place.partition(".")[2] for place in places]
    dialects = [package for package in DIALECTS if any(_within(home, package) for home in homes)]
    one_in_each = all(sum(_within(home, package) for home in homes) == 1 for package in dialects)
    count = len(homes)
    if one_in_each and dialects:
        count -= len(dialects) - 1
    for face, originals in FACES.items():
        if any(_within(home, original) for home in homes for original in originals):
            count -= sum(_within(home, face) for home in homes)
    return count


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@dataclass(frozen=True)
class Report:
    """The figures of a source tree, and the places that break a rule."""

    modules: int
    lines: int
    median: float
    p90: int
    largest: int
    small: list[str]
    circles: list[list[str]]
    homonyms: dict[str, list[str]]
    stale_allowances: list[str]
    questions: list[str]

    @property
    def holds(self) -> bool:
        """Whether no rule is broken."""
        return not (self.circles or self.homonyms or self.stale_allowances or self.questions)

    def as_text(self) -> str:
        """Return the figures a line each, and the broken rules below them."""
        sizes = f"median {self.median:g}, p90 {self.p90}, max {self.largest}"
        lines = [
            f"{self.modules} modules, {self.lines} lines: {sizes}",
            f"{len(self.small)} modules under {SMALL_LINES} lines",
            *(f"  {each}" for each in self.small),
            f"{len(self.circles)} import circles",
            *(f"  {' <-> '.join(group)}" for group in self.circles),
            f"{len(self.homonyms)} public names with two meanings",
            *(f"  {name}: {', '.join(where)}" for name, where in self.homonyms.items()),
            *(f"  {name}: allowed, but there is one meaning" for name in self.stale_allowances),
            f"{len(self.questions)} docstrings that begin with a question word",
            *(f"  {place}" for place in self.questions),
        ]
        return "\n".join(lines)


def examine(modules: list[Module], *, allowed: Mapping[str, str]) -> Report:
    """Measure a source tree and check its rules."""
    names = [module.name for module in modules]
    sizes = sorted(module.lines for module in modules)
    doubles = homonyms(modules)
    return Report(
        modules=len(modules),
        lines=sum(sizes),
        median=statistics.median(sizes),
        p90=sizes[int(len(sizes) * 0.9)],
        largest=sizes[-1],
        small=[
            f"{module.path} ({module.lines})"
            for module in modules
            if module.lines < SMALL_LINES and module.path.stem not in NOT_SMALL
        ],
        circles=circles({module.name: module.imports(names) for module in modules}),
        homonyms={name: where for name, where in doubles.items() if name not in allowed},
        stale_allowances=sorted(allowed.keys() - doubles.keys()),
        questions=[
            f"{module.path}:{each.line}: {each.head}"
            for module in modules
            for each in module.docstrings()
            if QUESTION.match(each.head)
        ],
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the report; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.structure",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="?", type=Path, default=SOURCE, help="the package's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    allowed = ALLOWED if options.source == SOURCE else {}
    report = examine(read(options.source), allowed=allowed)
    print(json.dumps(vars(report), indent=1) if options.json else report.as_text())
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
