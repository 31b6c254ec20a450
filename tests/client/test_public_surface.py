from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import duologue
from duologue import errors
from duologue.session import updates

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "client.md").read_text()
ON_THE_PAGE = re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE)
FOR_ENGINES = {"EngineFailed"}
"""Errors that only the stages of a server raise, never a function that an application calls."""


def test_exported_names_exist_and_are_sorted() -> None:
    assert duologue.__all__ == sorted(duologue.__all__)
    for name in duologue.__all__:
        assert getattr(duologue, name) is not None
    assert set(duologue.__all__) <= set(dir(duologue))


def test_exported_names_are_the_documented_names() -> None:
    table = PAGE.partition("| --- |")[2].partition("\n\n")[0]
    assert sorted([*re.findall(r"`(\w+)`", table), "__version__"]) == duologue.__all__


def test_type_checkers_see_the_exported_names() -> None:
    tree = ast.parse((ROOT / "src" / "duologue" / "__init__.py").read_text())
    [checked] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = [each.name for each in ast.walk(checked) if isinstance(each, ast.alias)]
    assert sorted([*seen, "__version__"]) == duologue.__all__


def test_all_updates_and_errors_for_applications_are_exported() -> None:
    assert {*updates.__all__, *errors.__all__} - FOR_ENGINES <= set(duologue.__all__)


@pytest.mark.parametrize("name", sorted({*duologue.__all__} - {"Update", "__version__"}))
def test_exported_names_are_described_in_the_reference(name: str) -> None:
    exported = getattr(duologue, name)
    assert exported.__doc__
    assert exported.__module__ in ON_THE_PAGE


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="hologram"):
        _ = duologue.hologram  # type: ignore[attr-defined]  # the point of the test


def test_importing_the_package_imports_no_heavy_dependency() -> None:
    code = (
        "import sys, duologue; "
        "assert not {'asyncio', 'msgspec', 'picows'} & set(sys.modules); "
        "from duologue import RealtimeClient; "
        "assert not {'picows', 'numpy', 'websockets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_opentelemetry_the_extra_is_named_and_only_where_it_is_used() -> None:
    code = """
import sys
sys.modules["opentelemetry"] = None
from duologue import MissingExtra, RealtimeClient
RealtimeClient(url="ws://localhost", api_key="key")
try:
    RealtimeClient(url="ws://localhost", api_key="key", tracer=True)
except MissingExtra as error:
    assert "duologue[otel]" in str(error), error
else:
    raise AssertionError("OpenTelemetry is not there")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
