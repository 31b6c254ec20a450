"""docs/server/engines.md does what it says."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.doc_blocks import DOCS, blocks
from tests.server.endpoint import chat, endpoint
from tests.server.talking import outcomes

from duologue.server import LocalServer
from duologue.server.engine.http import endpoint as http_endpoint
from duologue.server.engine.http.engine import STAGES

PAGE = "server/engines.md"
TEXT = " ".join((DOCS / PAGE).read_text().split())


@asynccontextmanager
async def serving(line: str, **options: Any) -> AsyncGenerator[tuple[str, str]]:
    """Run a command of the page on a free port; yield what it says of its stages, and its URL."""
    program, *arguments = shlex.split(line)
    assert program == "duologue"
    command = [sys.executable, "-m", "duologue.cli", *arguments, "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, **options
    )
    try:
        assert process.stdout is not None
        _, stages, url = [(await process.stdout.readline()).decode() for _ in range(3)]
        yield stages, url.split()[0]
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.asyncio
async def test_the_commands_serve_an_endpoint_with_its_key() -> None:
    exported, line = blocks(PAGE, "sh")[0].splitlines()
    name, _, key = exported.removeprefix("export ").partition("=")
    async with endpoint() as there:
        there.chat(*chat({"content": "Hello from there."}))
        shown = line.replace("http://127.0.0.1:11434/v1", there.url)
        assert there.url in shown
        async with serving(shown, env={**os.environ, name: key}) as (stages, url):
            assert await outcomes(url, "Hi") == ["Hello from there."]
    assert "brain: llama3.2 at 127.0.0.1" in stages
    assert (there.asked[0].key, there.asked[0].body["model"]) == (key, "llama3.2")


@pytest.mark.asyncio
async def test_the_command_finds_a_stage_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "parrot.py").write_text(blocks(PAGE, "python")[0])
    async with serving(blocks(PAGE, "sh")[1], cwd=tmp_path) as (stages, url):
        assert "brain: parrot:Parrot" in stages
        assert await outcomes(url, "Hi", "Ho") == ["1: Hi", "2: Ho"]


@pytest.mark.asyncio
async def test_the_stage_on_the_page_remembers_for_its_session() -> None:
    page: dict[str, Any] = {"__name__": PAGE}
    exec(blocks(PAGE, "python")[0], page)  # noqa: S102  # our own page
    async with LocalServer(page["Parrot"]) as server:
        for _ in range(2):
            assert await outcomes(server.url, "Hi", "Ho") == ["1: Hi", "2: Ho"]
        assert await outcomes(server.url, "") == [("nothing_heard", "I heard nothing")]


def test_the_codes_on_the_page_are_those_of_the_endpoints() -> None:
    source = Path(http_endpoint.__file__)
    made = [path.read_text() for path in source.parent.glob("*.py")]
    codes = set(re.findall(r"\"(engine_[a-z_]+)\"", "".join(made)))
    assert set(re.findall(r"\| `(engine_[a-z_]+)` \|", TEXT)) == codes | {"engine_failed"}


def test_the_times_on_the_page_are_those_of_the_endpoints() -> None:
    first = [each.timeouts.first for stage, each in STAGES.items() if stage != "translator"]
    between = [each.timeouts.between for stage, each in STAGES.items() if stage != "translator"]
    assert (
        f"no connection after {http_endpoint.Timeouts().connect:g} s; no answer after"
        f" {first[0]:g} s (brain), {first[1]:g} s (speech to text) or {first[2]:g} s"
        f" (text to speech); no further piece after {between[0]:g} s, {between[1]:g} s and"
        f" {between[2]:g} s"
    ) in TEXT
