"""The script that measures the module tree and checks its rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tools.structure import Report, examine, main, read

if TYPE_CHECKING:
    from pathlib import Path


def source(folder: Path, files: dict[str, str]) -> Path:
    """Write a package and return its folder."""
    package = folder / "pkg"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


def examined(folder: Path, **files: str) -> Report:
    """Examine a package; `a__b="..."` writes `a/b.py`."""
    paths = {f"{name.replace('__', '/')}.py": text for name, text in files.items()}
    return examine(read(source(folder, paths)), allowed={})


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    report = examined(tmp_path, a="x = 1\n" * 10, b="x = 1\n" * 20, c="x = 1\n" * 60)
    assert (report.modules, report.lines) == (3, 90)
    assert (report.median, report.p90, report.largest) == (20, 60, 60)
    assert report.small == ["pkg/a.py (10)", "pkg/b.py (20)"]
    assert report.holds


def test_the_file_of_a_package_may_be_small(tmp_path: Path) -> None:
    files = {"sub/__init__.py": "", "__main__.py": "", "_version.py": ""}
    assert examine(read(source(tmp_path, files)), allowed={}).small == []


@pytest.mark.parametrize(
    "back",
    [
        "import pkg.a",
        "from pkg.a import A",
        "from pkg import a",
        "from .a import A",
        "from . import a",
        "from pkg.a import *",
        "if TYPE_CHECKING:\n    from pkg.a import A",
        "def f():\n    from pkg.a import A",
    ],
)
def test_two_modules_that_import_each_other_are_a_circle(tmp_path: Path, back: str) -> None:
    report = examined(tmp_path, __init__="", a="from pkg.b import B", b=back)
    assert report.circles == [["pkg.a", "pkg.b"]]
    assert not report.holds


def test_a_longer_circle_is_found_and_its_neighbours_are_not(tmp_path: Path) -> None:
    report = examined(
        tmp_path,
        a="import pkg.b",
        b="import pkg.c",
        c="import pkg.a\nimport pkg.leaf",
        leaf="",
        root="import pkg.a",
    )
    assert report.circles == [["pkg.a", "pkg.b", "pkg.c"]]


def test_a_name_from_a_package_is_an_arrow_to_the_package(tmp_path: Path) -> None:
    files = {
        "sub/__init__.py": "from pkg.sub.a import A\nfrom pkg.sub.b import B",
        "sub/a.py": "class A: ...",
        "sub/b.py": "from pkg.sub import A\nclass B: ...",
    }
    report = examine(read(source(tmp_path, files)), allowed={})
    assert report.circles == [["pkg.sub", "pkg.sub.b"]]


def test_a_relative_import_starts_at_the_package_of_its_module(tmp_path: Path) -> None:
    files = {"sub/__init__.py": "from .a import A", "sub/a.py": "from ..top import T", "top.py": ""}
    modules = {module.name: module for module in read(source(tmp_path, files))}
    assert modules["pkg.sub"].imports(modules) == {"pkg.sub.a"}
    assert modules["pkg.sub.a"].imports(modules) == {"pkg.top"}


def test_a_class_defined_twice_is_a_homonym(tmp_path: Path) -> None:
    report = examined(
        tmp_path, a="class Kind: ...", b="class Kind: ...", c="from pkg.a import Kind"
    )
    assert report.homonyms == {"Kind": ["pkg.a", "pkg.b"]}
    assert not report.holds


@pytest.mark.parametrize("alias", ["Kind = int | str", "Kind: TypeAlias = 'int'"])
def test_an_exported_alias_is_a_name_as_a_class_is(tmp_path: Path, alias: str) -> None:
    report = examined(tmp_path, a="class Kind: ...", b=f'__all__ = ["Kind"]\n{alias}')
    assert list(report.homonyms) == ["Kind"]


def test_private_and_unexported_names_are_no_homonyms(tmp_path: Path) -> None:
    report = examined(
        tmp_path,
        a="class _Kind: ...\nclass Word: ...\nLIMIT = 1 | 2",
        b='class _Kind: ...\nWord = int | str\n__all__ = ["LIMIT"]\nLIMIT = 1 | 2',
    )
    assert report.homonyms == {}


def test_a_noun_of_both_dialects_is_one_meaning(tmp_path: Path) -> None:
    both = {"protocol__ga__items": "class Item: ...", "protocol__beta__items": "class Item: ..."}
    assert examined(tmp_path, **both).holds
    third = examined(tmp_path, **both, server="class Item: ...")
    assert third.homonyms == {
        "Item": ["pkg.protocol.beta.items", "pkg.protocol.ga.items", "pkg.server"]
    }


def test_a_name_twice_in_one_dialect_is_a_homonym(tmp_path: Path) -> None:
    report = examined(
        tmp_path,
        protocol__ga__items="class Item: ...",
        protocol__ga__content="class Item: ...",
        protocol__beta__items="class Item: ...",
    )
    assert list(report.homonyms) == ["Item"]


def test_a_blocking_face_shares_the_name_of_its_original(tmp_path: Path) -> None:
    face = {"sync__client": "class RealtimeClient: ..."}
    assert examined(tmp_path, **face, client__client="class RealtimeClient: ...").holds
    assert not examined(
        tmp_path, **face, server="class RealtimeClient: ...", client__client=""
    ).holds


def test_an_allowed_homonym_passes_until_it_is_none(tmp_path: Path) -> None:
    allowed = {"Delay": "both are public"}
    folder = source(tmp_path, {"a.py": "class Delay: ...", "b.py": "class Delay: ..."})
    assert examine(read(folder), allowed=allowed).holds
    (folder / "b.py").write_text("")
    report = examine(read(folder), allowed=allowed)
    assert report.stale_allowances == ["Delay"]
    assert not report.holds


@pytest.mark.parametrize(
    "text",
    [
        '"""What it does."""',
        'class A:\n    """Who asks."""',
        'def f():\n    """How it goes."""',
        'class A:\n    async def f(self):\n        """When it ends."""',
        'X = 1\n"""Which one.\n\nMore."""',
    ],
)
def test_a_docstring_does_not_begin_with_a_question_word(tmp_path: Path, text: str) -> None:
    report = examined(tmp_path, a=text)
    assert len(report.questions) == 1
    assert not report.holds


@pytest.mark.parametrize(
    "text",
    [
        '"""Whether it is open."""',
        '"""Howitzers."""',
        'class A:\n    """An answer."""\n    x: int\n    """How long it takes, in seconds."""',
        'def f():\n    "Return."\n    "What is a string within."',
    ],
)
def test_other_docstrings_pass(tmp_path: Path, text: str) -> None:
    assert examined(tmp_path, a=text).holds


def test_the_command_prints_figures_and_fails_on_a_broken_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = source(tmp_path, {"a.py": "import pkg.b", "b.py": "x = 1\n"})
    assert main([str(folder)]) == 0
    assert "2 modules, 2 lines" in capsys.readouterr().out
    (folder / "b.py").write_text("import pkg.a\n")
    assert main([str(folder)]) == 1
    assert "pkg.a <-> pkg.b" in capsys.readouterr().out


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = source(tmp_path, {"a.py": "class A: ...", "b.py": "class A: ..."})
    assert main([str(folder), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["homonyms"] == {"A": ["pkg.a", "pkg.b"]}


def test_the_source_itself_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--json"])
    assert json.loads(capsys.readouterr().out)["modules"] > 100
