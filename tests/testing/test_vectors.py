"""The behaviour vectors of the reference client, and the command that runs them."""

from __future__ import annotations

import copy
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.doc_blocks import blocks

from duologue.testing.vectors import BadVectors, check, load, main

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

FILE = Path(__file__).parents[1] / "data" / "behaviour_vectors.jsonl"
VECTORS = {vector["name"]: vector for vector in load(FILE)}


def test_all_vectors_are_there() -> None:
    assert len(VECTORS) == 133


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("dialect", ["beta", "ga"])
def test_the_client_does_what_the_vector_says(name: str, dialect: Dialect) -> None:
    assert check(VECTORS[name], dialect) == []


def changed(name: str, where: str, value: object) -> dict[str, Any]:
    """Return a vector with another expectation at a path."""
    vector = copy.deepcopy(VECTORS[name])
    *path, last = [int(step) if step.isdigit() else step for step in where.split(".")]
    place: Any = vector["expect"]
    for step in path:
        place = place[step]
    place[last] = value
    return vector


@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("text_reply", "items.1.formatted.text", "Goodbye"),
        ("text_reply", "items.1.content.0.text", "Goodbye"),
        ("text_reply", "items.1.status", "in_progress"),
        ("text_reply", "responses.0.output", []),
        ("text_reply", "emitted", []),
        ("audio_reply", "items.1.formatted.audio_sha256", "0" * 16),
        ("audio_reply", "emitted.6.delta", {"audio_samples": 1}),
        ("call_cancel_at_sample", "sent.1.audio_end_ms", 25),
        ("call_cancel_unknown", "raised", []),
        ("call_add_tool", "sent.0.session.tools", []),
        ("tool_call", "sent.0.item.output", '{"temp":22}'),
        ("tool_bad_arguments", "sent.0.item.output", {"$json_has_keys": ["result"]}),
        ("tool_parallel", "sent", []),
    ],
)
@pytest.mark.parametrize("dialect", ["beta", "ga"])
def test_a_vector_that_expects_something_else_does_not_hold(
    name: str, where: str, value: object, dialect: Dialect
) -> None:
    assert check(changed(name, where, value), dialect) != []


def test_the_order_of_the_log_is_compared_in_beta() -> None:
    vector = changed("text_reply", "log.0", "server:session.created")
    assert check(vector) != []
    assert check(vector, "ga") == []


def written(path: Path, *vectors: object) -> str:
    path.write_text("".join(json.dumps(vector) + "\n" for vector in vectors))
    return str(path)


def test_the_command_prints_a_line_per_vector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = VECTORS["text_reply"]
    wrong = changed("text_reply", "items", [])
    assert main([written(tmp_path / "v.jsonl", right), "--dialect", "ga"]) == 0
    assert capsys.readouterr().out == "ok  text_reply\n1 of 1 hold (ga)\n"
    assert main([written(tmp_path / "v.jsonl", right, wrong)]) == 1
    told = capsys.readouterr().out
    assert "FAIL  text_reply" in told
    assert "1 of 2 hold (beta)" in told


def test_a_client_that_raises_does_not_hold(tmp_path: Path) -> None:
    vector = VECTORS["text_reply"] | {"events": [{"type": "@call", "name": "dance"}]}
    assert "'dance'" in check(vector)[0]


@pytest.mark.parametrize(
    "line", ["nonsense", "[]", '{"name": "x"}', '{"name": "x", "events": [{}], "expect": {}}', ""]
)
def test_what_is_no_vector_is_named_with_its_line(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(line)
    assert main([str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadVectors):
        load(tmp_path / "nothing.jsonl")
    assert main([str(tmp_path / "nothing.jsonl")]) == 2


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Exit status" in capsys.readouterr().out


def test_the_command_on_the_page_runs() -> None:
    (line,) = blocks("client/conversation.md", "sh")
    python, *arguments = shlex.split(line)
    assert python == "python"
    root = FILE.parents[2]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("133 of 133 hold (ga)\n")
