"""The tests themselves: each of them can fail."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parents[1]
HELPERS: Final = (ROOT / "tests", ROOT / "src/duologue/testing")
VERDICTS: Final = {"pytest.raises", "pytest.warns", "pytest.fail", "exec"}
"""Calls that fail a test beside `assert`: by pytest, or by the code of a page that they run."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def calls(function: Function) -> set[str]:
    """Return the names of the functions that a function calls; methods are left out."""
    return {name for name in _called(function) if "." not in name}


def judges(function: Function) -> bool:
    """Return whether a function itself can say that something is wrong."""
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Raise) and "AssertionError" in ast.unparse(node))
        or (isinstance(node, ast.keyword) and ast.unparse(node) == "check=True")
        for node in ast.walk(function)
    ) or bool(_called(function) & VERDICTS)


@cache
def _called(function: Function) -> set[str]:
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return {ast.unparse(call.func) for call in calls}


def silent(tests: Iterable[ast.Module], helpers: Iterable[ast.Module]) -> list[str]:
    """Return the tests that assert nothing, neither themselves nor in a helper that they call."""
    known: dict[str, list[Function]] = {}
    for tree in helpers:
        for function in functions(tree):
            known.setdefault(function.name, []).append(function)
    asserting = {name for name, same in known.items() if any(map(judges, same))}
    while more := {
        name
        for name, same in known.items()
        if name not in asserting and any(calls(each) & asserting for each in same)
    }:
        asserting |= more
    return [
        function.name
        for tree in tests
        for function in functions(tree)
        if function.name.startswith("test_")
        and not judges(function)
        and not calls(function) & (asserting - {function.name})
    ]


def parsed(*folders: Path) -> list[ast.Module]:
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return [ast.parse(file.read_text(), file) for file in files]


def test_every_test_asserts_something() -> None:
    helpers = parsed(*HELPERS)
    assert silent(helpers, helpers) == []


@pytest.mark.parametrize(
    ("text", "is_silent"),
    [
        ("def test_a(): assert x", False),
        ("async def test_a(): await f()", True),
        ("def test_a():\n with pytest.raises(E): f()", False),
        ("def test_a():\n with suppress(E):\n  while True: f()", True),
        ("def check(): assert x\ndef test_a(): check()", False),
        ("def look(): check()\ndef check(): assert x\ndef test_a(): look()", False),
        ("def send(): assert x\ndef test_a(): connection.send()", True),
        ("def test_a(): subprocess.run(code, check=True)", False),
        ("def look(): pass\ndef test_a(): look()", True),
    ],
)
def test_a_test_that_asserts_nothing_is_found(text: str, *, is_silent: bool) -> None:
    tree = ast.parse(text)
    assert (silent([tree], [tree]) == ["test_a"]) is is_silent
