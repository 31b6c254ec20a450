"""The commands on the page about faults, as they stand; and that the page names everything."""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import fields

import pytest
from tests.doc_blocks import DOCS, blocks

from duologue.server.faults.grammar import USAGE, WORDS

PAGE = "server/faults.md"
COMMANDS = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_serves_with_its_faults(command: str) -> None:
    name, *arguments = shlex.split(command)
    assert name == "duologue"
    asked = [arguments[place + 1] for place, word in enumerate(arguments) if word == "--fault"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "duologue.cli", *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        last = f"  fault: {asked[-1]}\n"
        told = [*iter(server.stdout.readline, last), last]
        server.terminate()
    assert [line for line in told if "fault" in line] == [f"  fault: {text}\n" for text in asked]


def test_the_page_names_every_kind_and_field_and_the_grammar() -> None:
    text = (DOCS / PAGE).read_text()
    assert USAGE in text
    signs = {"at", "nth", "chance"}  # written `@`, `#` and `:`
    for word, kind in WORDS.items():
        assert f"| `{word}` |" in text
        first = next((each.name for each in fields(kind) if not each.kw_only), "")
        for name in {each.name for each in fields(kind)} - signs - {first}:
            assert f"`{name}`" in text or f"`{name}=`" in text, name


def test_a_fault_that_cannot_be_read_is_one_clear_sentence_with_the_grammar() -> None:
    command = [sys.executable, "-m", "duologue.cli", "serve", "--fault", "drop@respons.done"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 2
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("Error: cannot read the fault 'drop@respons.done': no event matches")
    assert USAGE in sentence
