"""Each example, as a process of its own, against the embedded server."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.telephony.fake_phones import TwilioPhone

from duologue.audio.wav import read_wav
from duologue.protocol.ga import ConversationItemTruncateEvent, InputAudioBufferAppendEvent
from duologue.server import LocalServer
from duologue.server.engine.scripted import ScriptedTranscriber
from duologue.server.engine.stages import BrainRequest, Call
from duologue.server.faults import RefuseHandshake

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
AUDIO = ROOT / "tests" / "data" / "audio"
NAMES = sorted(path.name for path in EXAMPLES.glob("*.py"))

pytestmark = pytest.mark.asyncio


@contextlib.asynccontextmanager
async def running(server: LocalServer | None, name: str, *arguments: str) -> AsyncIterator[Process]:
    """Run an example as a process that ends with the context."""
    where = ["--url", server.url] if server else []
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments, *where]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(
    server: LocalServer | None, name: str, *arguments: str, typed: str = ""
) -> tuple[str, str]:
    """Return the standard output and error of an example, which must succeed."""
    async with running(server, name, *arguments) as process:
        out, errors = await process.communicate(typed.encode())
    assert process.returncode == 0, errors.decode()
    return out.decode(), errors.decode()


async def test_a_chat_in_text() -> None:
    async with LocalServer() as server:
        out, errors = await run(server, "text_chat.py", typed="Hello\nAnd again\n\n")
    assert (out, errors) == ("You said: Hello\nYou said: And again\n", "")


async def test_a_chat_goes_on_after_a_response_that_failed() -> None:
    def brain(request: BrainRequest) -> str:
        if request.heard == "Break":
            raise ValueError("broken")
        return "Fine."

    async with LocalServer(brain) as server:
        out, errors = await run(server, "text_chat.py", typed="Break\nHello\n")
    assert out.split() == ["Fine."]
    assert errors.startswith("No answer: response ")


async def test_a_recording_is_answered_by_a_recording(tmp_path: Path) -> None:
    answer = tmp_path / "answer.wav"
    stt = ScriptedTranscriber(["Hello, can you hear me?"])
    async with LocalServer(stt=stt) as server:
        out, _ = await run(server, "push_to_talk.py", str(AUDIO / "hello.wav"), str(answer))
        [session] = server.sessions
    assert out == "You said: Hello, can you hear me?\n"
    assert len(read_wav(answer)) > 48_000
    heard = [event for event in session.received if isinstance(event, InputAudioBufferAppendEvent)]
    assert b"".join(event.audio_data for event in heard) == read_wav(AUDIO / "hello.wav")


def weatherman(request: BrainRequest) -> Iterator[str | Call]:
    if "stop" in request.heard.lower():
        yield "All right."
    elif request.output is None:
        yield Call("get_weather", '{"city": "Paris"}')
    else:
        yield f"It is sunny there. {'And so on. ' * 40}"


async def test_a_tool_is_called_by_voice_and_the_answer_interrupted() -> None:
    stt = ScriptedTranscriber(["What is the weather in Paris today?", "Stop, please."])
    pause = bytes(48_000)
    async with LocalServer(weatherman, stt=stt) as server:
        async with running(server, "voice_tools.py") as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            process.stdin.write(read_wav(AUDIO / "weather_paris.wav") + pause)
            lines = [(await process.stderr.readline()).decode() for _ in range(2)]
            assert lines[0] == 'Tool: get_weather {"city": "Paris"}\n'
            assert lines[1].startswith("Assistant: It is sunny there.")
            while not any(await process.stdout.readexactly(960)):
                pass  # the silence before the answer
            process.stdin.write(read_wav(AUDIO / "bargein_stop.wav") + pause)
            [session] = server.sessions
            cut = await session.wait_for("conversation.item.truncate")
            assert isinstance(cut, ConversationItemTruncateEvent)
            assert 0 < cut.audio_end_ms < 10_000
            await session.wait_for("conversation.item.truncated")
            await process.communicate(b"")  # the microphone is switched off
        assert process.returncode == 0


async def test_a_recording_is_written_down() -> None:
    words = "He was not an ill-disposed young man."
    async with LocalServer(stt=ScriptedTranscriber([words])) as server:
        out, _ = await run(server, "transcribe.py", str(AUDIO / "human_young_man.wav"))
    assert out == words + "\n"


async def test_messages_are_judged_beside_the_conversation() -> None:
    def brain(request: BrainRequest) -> str:
        is_judge = "Name the topic" in (request.instructions or "")
        return "delivery" if is_judge else f"Sorry about {request.heard!r}."

    async with LocalServer(brain) as server:
        out, _ = await run(server, "classify.py", typed="My parcel is late\n")
        [session] = server.sessions
    assert out == "[delivery] Sorry about 'My parcel is late'.\n"
    created = [event for event in session.sent if event.type == "conversation.item.added"]
    assert len(created) == 2  # the question and the answer: the judgement left no trace


async def test_a_question_is_asked_without_await() -> None:
    async with LocalServer() as server:
        assert await run(server, "sync_ask.py", "Why?") == ("You said: Why?\n", "")


async def test_a_deployment_of_azure_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "a-key")
    async with LocalServer(api_key="a-key") as server:
        resource = server.url.replace("ws:", "http:").removesuffix("/v1/realtime")
        arguments = ["Why?", "--resource", resource, "--deployment", "mine"]
        assert await run(None, "azure_ask.py", *arguments) == ("You said: Why?\n", "")


def clerk(request: BrainRequest) -> Iterator[str | Call]:
    if request.heard == "":
        yield "What would you like?"
    elif request.output is None:
        yield Call("order", '{"dish": "Margherita", "pieces": 2}')
        yield Call("hang_up", "{}")


async def test_a_telephone_call_takes_an_order_and_hangs_up() -> None:
    stt = ScriptedTranscriber(["Two Margheritas, please."])
    async with (
        LocalServer(clerk, stt=stt) as server,
        running(server, "phone.py", "--port", "0") as process,
    ):
        assert process.stderr
        assert process.stdout
        port = None
        while port is None:
            line = (await process.stderr.readline()).decode()
            port = re.search(r"running on http://[\d.]+:(\d+)", line)
        async with TwilioPhone(f"ws://127.0.0.1:{port[1]}/phone") as phone:
            await phone.wait_for(lambda: phone.queued >= 1200)
            await phone.play(60_000)
            await phone.speak()
            await phone.wait_for(lambda: phone.close_code == 1000)
        lines = [(await process.stdout.readline()).decode().rstrip() for _ in range(5)]
    assert lines == [
        "Call call-1",
        "Order: 2 x Margherita",
        "assistant: What would you like?",
        "user: Two Margheritas, please.",
        "Ended by the application",
    ]


@pytest.mark.parametrize("name", sorted({*NAMES} - {"azure_ask.py", "phone.py"}))
async def test_a_server_that_refuses_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    arguments = {
        "push_to_talk.py": [str(AUDIO / "hello.wav"), str(tmp_path / "answer.wav")],
        "sync_ask.py": ["Why?"],
        "transcribe.py": [str(AUDIO / "hello.wav")],
    }
    async with LocalServer(faults=[RefuseHandshake(401)]) as server:
        async with running(server, name, *arguments.get(name, [])) as process:
            _, errors = await process.communicate(b"Hello\n")
        assert process.returncode == 1
        assert errors.decode() == (
            "the server refused the connection with HTTP 401: the API key is missing or wrong\n"
        )


@pytest.mark.parametrize("name", NAMES)
async def test_every_example_is_listed_with_its_docstring(name: str) -> None:
    page = (EXAMPLES / "README.md").read_text()
    [row] = re.findall(rf"^\| \[`{name}`\]\({name}\) \| (.+) \|$", page, re.MULTILINE)
    about = ast.get_docstring(ast.parse((EXAMPLES / name).read_text())) or ""
    assert about.split("\n\n")[0].replace("\n", " ").rstrip(".").casefold() == row.casefold()
