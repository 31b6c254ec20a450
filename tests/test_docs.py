"""Pages of the documentation: examples run, links and navigation are complete."""

from __future__ import annotations

import re
import runpy
import warnings
from pathlib import Path
from typing import Any

import pytest

from duologue.protocol import aliases
from duologue.server.session import session as server_session
from duologue.session import client_session
from tools import reactions

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(DOCS)): page.read_text() for page in sorted(DOCS.rglob("*.md"))}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GENERATE: dict[str, Any] = runpy.run_path(str(DOCS / "generate.py"))


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if BLOCK.search(text)])
def test_every_example_runs(page: str) -> None:
    namespace: dict[str, Any] = {"__name__": page}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in BLOCK.finditer(PAGES[page]):
            above = PAGES[page].count("\n", 0, block.start(1))
            code = compile(
                "\n" * above + block[1], str(DOCS / page), "exec"
            )  # its own line numbers
            exec(code, namespace)  # noqa: S102  # our own pages


def test_every_page_is_in_the_navigation_and_exists() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    assert sorted(re.findall(r"- (\S+\.md)$", navigation, re.MULTILINE)) == sorted(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_page_leads_there(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", PAGES[page]):
        assert (DOCS / page).parent.joinpath(link).exists(), link


def test_every_module_of_a_dialect_is_in_its_reference() -> None:
    for dialect in ("ga", "beta"):
        package = ROOT / "src" / "duologue" / "protocol" / dialect
        shown = set(re.findall(r"^::: (\S+)$", PAGES[f"reference/{dialect}.md"], re.MULTILINE))
        for path in package.rglob("*.py"):
            module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
            module = module.removesuffix(".__init__")
            assert module in shown or path.name == "base.py", module


def test_the_reaction_tables_of_the_architecture_are_those_of_the_code() -> None:
    text = PAGES["architecture.md"]
    assert reactions.page(text) == text, "run `python -m tools.reactions`"
    cores = {"client": client_session.REACTIONS, "server": server_session.REACTIONS}
    for name, table in cores.items():
        rows = reactions.rows_of((ROOT / reactions.TABLES[name]).read_text())
        assert [row.cause for row in rows] == [cause.__name__ for cause in table]
        assert [len(row.steps) for row in rows] == [len(steps) for steps in table.values()]
        assert [row.cause for row in rows if not row.steps] == []


def test_every_test_on_the_pages_about_reliability_and_security_exists() -> None:
    pages = PAGES["reliability.md"] + (ROOT / "SECURITY.md").read_text()
    named = set(re.findall(r"`(tests/\S+\.py)`", pages))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_tables_of_names_are_as_generated() -> None:
    text = PAGES["coming-from.md"]
    assert GENERATE["page"](text) == text, "run `python docs/generate.py`"


def test_no_name_is_missing_from_the_tables() -> None:
    there = {
        name.replace(".", "")
        for name in re.findall(r"^\| `(\S+)`", PAGES["coming-from.md"], re.MULTILINE)
    }
    assert {*aliases.BETA, *aliases.GA, *aliases.CLIENT} <= there
