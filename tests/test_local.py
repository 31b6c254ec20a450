"""`duologue.local`: a client and a server in one process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import duologue
from duologue import ServerError
from duologue.protocol import ga
from duologue.server.engine.scripted import ScriptedTranscriber
from duologue.server.faults import SendError


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_client_is_connected_to_a_server_of_its_own(dialect: Any) -> None:
    async with duologue.local(dialect=dialect, instructions="Be brief") as client:
        assert isinstance(client.session, ga.RealtimeSession)
        assert client.session.instructions == "Be brief"
        response = client.send_user_message_content("Hello")
        await response
        assert response.transcript
    assert not client.is_connected


@pytest.mark.asyncio
async def test_options_pass_through() -> None:
    async with duologue.local(
        lambda request: f"You said: {request.heard}",
        faults=[SendError("server_error", at="response.create", nth=2)],
    ) as client:
        response = client.send_user_message_content("Hello")
        await response
        assert response.transcript == "You said: Hello"
        with pytest.raises(ServerError, match="server_error"):
            await client.create_response()


@pytest.mark.asyncio
async def test_it_transcribes_alone() -> None:
    async with duologue.local(stt=ScriptedTranscriber(["Hello"]), kind="transcription") as client:
        assert isinstance(client.session, ga.TranscriptionSession)


def test_the_name_is_the_function_whatever_is_imported() -> None:
    code = "import duologue._local, duologue; assert callable(duologue.local)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.asyncio
async def test_a_proxy_of_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with duologue.local() as client:
        assert client.is_connected
