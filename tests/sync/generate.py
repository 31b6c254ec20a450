"""Writes src/duologue/sync/_generated.py: `python -m tests.sync.generate`.

Each public method of the asynchronous client becomes one of the same name, arguments and docstring
that runs it on the bridge.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue.client import client, offering, sending

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

TARGET: Final = Path(__file__).parents[2] / "src/duologue/sync/_generated.py"
SOURCES: Final = {
    client: "RealtimeClient",
    sending: "Sending",
    offering: "Offering",
}
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
SAID: Final = {
    "awaiting it raises": "its `result()` raises",
    "awaiting returns": "`result()` returns",
    "may be awaited for the server's\n    answer": "has a `result()`: the server's answer",
    "that nobody awaits": "that nobody waits for",
}
"""How a docstring says it here."""


def generated() -> str:
    """Return the module's text, before it is formatted."""
    methods: list[ast.FunctionDef] = []
    imports: dict[str, str] = {}
    for module, name in SOURCES.items():
        tree = ast.parse(inspect.getsource(module))
        imports |= _imports(tree, module)
        body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name).body
        found = [n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        methods += [
            _method(n)
            for n in found
            if (n.name == "__init__" and module is client)
            or not (n.name.startswith("_") or n.name in BY_HAND)
        ]
    docstring = ast.Expr(ast.Constant("The methods that only pass on what they are told."))
    shell = ast.ClassDef("ClientMethods", [], [], [docstring, *methods], [])
    text = ast.unparse(ast.fix_missing_locations(shell))
    defaults = {name for m in methods for name in _names([*m.args.defaults, *m.args.kw_defaults])}
    named = _names([shell]) & imports.keys() - HANDLES - {"Final"}
    at_run_time = defaults & named
    return "\n".join(
        [
            HEAD,
            "from typing import TYPE_CHECKING, Final",
            *sorted(imports[name] for name in at_run_time),
            "from duologue.sync.loop_thread import Bridge",
            "from duologue.sync._bridged import BridgedClient",
            "from duologue.sync.handles import Pending, ResponseHandle",
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
        lines = ["self._bridge: Final = Bridge()", f"self._client: Final = BridgedClient({passed})"]
        return ast.parse("\n".join(lines)).body
    is_property = bool(node.decorator_list)
    name = f"self._client.{node.name}"
    returned = ast.unparse(node.returns) if node.returns else "None"
    if isinstance(node, ast.AsyncFunctionDef):
        result = f"self._bridge.run({name}({passed}))"
    elif is_property:
        result = f"self._bridge.call(lambda: {name})"
    else:
        result = f"self._bridge.call({f'lambda: {name}({passed})' if passed else name})"
    handle = returned.partition("[")[0]
    if handle in HANDLES:
        result = f"{handle}(self._bridge, {result})"
    docstring = ast.get_docstring(node, clean=False) or ""
    for there, here in SAID.items():
        docstring = docstring.replace(there, here)
    statement = result if returned == "None" else f"return {result}"
    return [ast.Expr(ast.Constant(docstring)), *ast.parse(statement).body]


def _names(nodes: Sequence[ast.AST | None]) -> set[str]:
    return {n.id for node in nodes if node for n in ast.walk(node) if isinstance(n, ast.Name)}


if __name__ == "__main__":
    TARGET.write_text(formatted(generated()))
    sys.stdout.write(f"{TARGET}\n")
