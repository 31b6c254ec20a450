"""Writes src/duologue/sync/_generated.py: `python -m tests.sync.generate`.

Each public method of the asynchronous client becomes one of the same name, arguments and docstring
that runs it on the loop's thread. The source is found by inspection: the classes of which
`RealtimeClient` consists, wherever their modules are.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue import RealtimeClient

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

TARGET: Final = Path(__file__).parents[2] / "src/duologue/sync/_generated.py"
SOURCES: Final = RealtimeClient.__mro__[:-1]
BY_HAND: Final = {
    "close",
    "connect",
    "conversation",
    "disconnect",
    "off",
    "on",
    "on_next",
    "tool",
    "wait_for_next",
}
HANDLES: Final = {"Pending", "ResponseHandle"}
HEAD: Final = '''\
"""The methods of the blocking client; written by `python -m tests.sync.generate`, not by hand."""

from __future__ import annotations

'''
WORDING: Final = {
    "awaiting it raises": "its `result()` raises",
    "awaiting returns": "`result()` returns",
    "may be awaited for the server's\n    answer": "has a `result()`: the server's answer",
    "that nobody awaits": "that nobody waits for",
}
"""Phrases of the docstrings, and their replacements for blocking code."""


CLASS: Final = '''
C = TypeVar("C", bound=client.RealtimeClient)

class ClientMethods(Generic[C]):
    """Methods that only pass their arguments on to the asynchronous client."""

    _client_class: type[C]
'''


def generated() -> str:
    """Return the module's text, before it is formatted."""
    methods: dict[str, ast.FunctionDef] = {}
    imports: dict[str, str] = {}
    for source in SOURCES:
        tree = ast.parse(inspect.getsource(sys.modules[source.__module__]))
        imports = _imports(tree, sys.modules[source.__module__]) | imports
        [body] = (n.body for n in ast.walk(tree) if _is_class(n, source.__name__))
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_repeated(node.name):
                methods.setdefault(node.name, _method(node))
    head = ast.parse(CLASS).body
    shell = head[-1]
    assert isinstance(shell, ast.ClassDef)
    shell.body += methods.values()
    text = ast.unparse(ast.fix_missing_locations(ast.Module(head, [])))
    values = [value for m in methods.values() for value in (*m.args.defaults, *m.args.kw_defaults)]
    named = _names([shell]) & imports.keys() - HANDLES - {"Final"}
    at_run_time = _names(values) & named
    return "\n".join(
        [
            HEAD,
            "from typing import TYPE_CHECKING, Final, Generic, TypeVar",
            *sorted(imports[name] for name in at_run_time),
            "from duologue.client import client",
            "from duologue.sync.handles import Pending, ResponseHandle",
            "from duologue.sync.loop_thread import LoopThread",
            "if TYPE_CHECKING:",
            *sorted(f"    {imports[name]}" for name in named - at_run_time),
            "",
            '__all__ = ["ClientMethods"]',
            text,
        ]
    )


def formatted(text: str) -> str:
    """Return a module as ruff formats it."""
    for command in (["check", "--fix-only", "--select", "I", "-q"], ["format", "-q"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TARGET), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return text


def _imports(tree: ast.Module, module: ModuleType) -> dict[str, str]:
    """Return the statement that imports each name of a module, and of its own classes."""
    found: dict[str, str] = {
        name: f"from {module.__name__} import {name}"
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = (
                    f"from {node.module} import {ast.unparse(alias)}"
                )
    return found


def _is_class(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.ClassDef) and node.name == name


def _is_repeated(name: str) -> bool:
    return name == "__init__" or not (name.startswith("_") or name in BY_HAND)


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef:
    fields = {name: getattr(node, name) for name in ("name", "args", "decorator_list", "returns")}
    return ast.FunctionDef(**fields, body=_body(node))


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    passed = ", ".join(
        [
            *(arg.arg for arg in [*node.args.posonlyargs, *node.args.args][1:]),
            *(f"{arg.arg}={arg.arg}" for arg in node.args.kwonlyargs),
            *([f"**{node.args.kwarg.arg}"] if node.args.kwarg else []),
        ]
    )
    if node.name == "__init__":
        lines = [
            "self._thread: Final = LoopThread()",
            f"self._client: Final = self._client_class({passed})",
        ]
        return ast.parse("\n".join(lines)).body
    is_property = bool(node.decorator_list)
    name = f"self._client.{node.name}"
    returned = ast.unparse(node.returns) if node.returns else "None"
    if isinstance(node, ast.AsyncFunctionDef):
        result = f"self._thread.run({name}({passed}))"
    elif is_property:
        result = f"self._thread.call(lambda: {name})"
    else:
        result = f"self._thread.call({f'lambda: {name}({passed})' if passed else name})"
    handle = returned.partition("[")[0]
    if handle in HANDLES:
        result = f"{handle}(self._thread, {result})"
    docstring = ast.get_docstring(node, clean=False) or ""
    for there, here in WORDING.items():
        docstring = docstring.replace(there, here)
    statement = result if returned == "None" else f"return {result}"
    return [ast.Expr(ast.Constant(docstring)), *ast.parse(statement).body]


def _names(nodes: Sequence[ast.AST | None]) -> set[str]:
    return {n.id for node in nodes if node for n in ast.walk(node) if isinstance(n, ast.Name)}


if __name__ == "__main__":
    TARGET.write_text(formatted(generated()))
    sys.stdout.write(f"{TARGET}\n")
