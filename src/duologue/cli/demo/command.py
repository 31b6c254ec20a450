"""The command `duologue demo`: a spoken conversation, with a local server or any other."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from duologue.audio.wav import check_writable, write_wav
from duologue.cli.demo.conversation import DemoConversation
from duologue.cli.demo.scenario import INSTRUCTIONS, TOOLS, scripted_stages
from duologue.cli.demo.screen import Screen
from duologue.cli.demo.speech import Utterance, read_utterance, shipped_utterances
from duologue.errors import ConfigurationError, DuologueError, HandshakeRefused
from duologue.protocol import ga

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.cli.demo.turns import Turn

__all__ = ["demo", "key_of_own_server", "start_server"]

_PAUSE: Final = bytes(24_000)
"""Half a second of silence between the answers in the output file."""


@click.command()
@click.option(
    "--wav",
    "wavs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Send this WAV file instead of the shipped questions. May be repeated.",
)
@click.option("--text", "texts", multiple=True, help="Send this text. May be repeated.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("reply.wav"),
    show_default=True,
    help="WAV file to save the assistant's speech to.",
)
@click.option(
    "--brain",
    type=click.Choice(["local", "scripted"]),
    help="Use the models on this machine, or a script.  [default: local if its models are present]",
)
@click.option("--url", metavar="WSS://…", help="Connect to this server instead of starting one.")
@click.option(
    "--api-key",
    help="API key for --url.  [default: OPENAI_API_KEY for OpenAI, DUOLOGUE_API_KEY for a server on"
    " this machine]",
)
@click.option("--model", default="gpt-realtime", show_default=True, help="Model to request.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--fast", is_flag=True, help="Send speech at once instead of in real time.")
def demo(  # noqa: PLR0913  # one argument per option
    *,
    wavs: tuple[Path, ...],
    texts: tuple[str, ...],
    out: Path,
    brain: str | None,
    url: str | None,
    api_key: str | None,
    model: str,
    as_json: bool,
    fast: bool,
) -> None:
    """Hold a spoken conversation, and show it as it happens.

    The client sends recorded speech in real time over a WebSocket to a server, which transcribes
    it, generates an answer and speaks it. The server runs in this process unless --url names
    another.
    """
    check_writable(out)
    utterances = [read_utterance(path) for path in wavs]
    utterances += [Utterance(name="text", text=text) for text in texts]
    if not all(text.strip() for text in texts):
        raise ConfigurationError("--text is empty")
    screen = Screen(is_quiet=as_json)
    if url is not None and brain is not None:
        raise ConfigurationError(
            "--brain is for the demo's own server; it cannot be used with --url"
        )
    try:
        conversation = asyncio.run(
            _hold(
                utterances,
                screen,
                brain=brain,
                url=url,
                api_key=api_key or key_of_own_server(url),
                model=model,
                is_fast=fast,
            )
        )
    except TimeoutError as error:
        raise DuologueError(f"{error}; is the server stuck?") from error
    except HandshakeRefused as refused:
        if refused.status != 401:
            raise
        fix = "set it with --api-key, or for a server on this machine with DUOLOGUE_API_KEY"
        raise DuologueError(f"{refused}; {fix}") from refused
    now = time.monotonic()
    audio = _PAUSE.join(audio for turn in conversation.turns if (audio := turn.audio(now)))
    if audio:
        write_wav(out, audio)
    if as_json:
        report = {
            "turns": [turn.report(now) for turn in conversation.turns],
            "events": conversation.events,
            "errors": conversation.errors,
        }
        click.echo(json.dumps(report))
    else:
        _summarise(conversation, screen, out if audio else None)


def key_of_own_server(url: str | None) -> str | None:
    """Return `DUOLOGUE_API_KEY` if the server is on this machine; no other may see it."""
    is_local = re.match(r"wss?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|\?|$)", url or "")
    return os.environ.get("DUOLOGUE_API_KEY") if is_local else None


async def _hold(
    utterances: list[Utterance],
    screen: Screen,
    *,
    brain: str | None,
    url: str | None,
    api_key: str | None,
    model: str,
    is_fast: bool,
) -> DemoConversation:
    from duologue import RealtimeClient  # noqa: PLC0415  # not needed for help
    from duologue.transport.handshake import check_url  # noqa: PLC0415  # as above

    async with AsyncExitStack() as stack:
        if url is None:
            url = await start_server(stack, screen.note, brain, knows_the_clips=not utterances)
        else:
            screen.note(f"connecting to {check_url(url)}")
        client = RealtimeClient(
            url=url,
            api_key=api_key,
            model=model,
            reconnect=False,  # its turns are measured, and a server that is gone is said at once
            instructions=INSTRUCTIONS,
            tools=TOOLS,
            audio=ga.AudioConfig(
                input=ga.AudioInput(
                    transcription=ga.AudioTranscription(model="whisper-1", language="en"),
                    turn_detection=ga.ServerVad(silence_duration_ms=200),
                )
            ),
        )
        await stack.enter_async_context(client)
        conversation = DemoConversation(client, screen, is_fast=is_fast)
        await conversation.hold(utterances or shipped_utterances())
    return conversation


async def start_server(
    stack: AsyncExitStack,
    note: Callable[[str], object],
    brain: str | None,
    *,
    knows_the_clips: bool = False,
) -> str:
    """Start a server in this process, and return its URL.

    Args:
        stack: Stops it.
        note: Shows a sentence about it.
        brain: `local` or `scripted`; `None`: local if its models are present.
        knows_the_clips: See `scripted_stages`.
    """
    from duologue.server import LocalServer  # noqa: PLC0415  # an extra

    if brain is None:
        brain, reason = _best_brain()
        if reason:
            note(f"using scripted answers: {reason}")
    if brain == "scripted":
        server = LocalServer(**scripted_stages(knows_the_clips=knows_the_clips))
    else:
        note("loading the models of the local server")
        server = LocalServer("local:")
    began = time.monotonic()
    await stack.enter_async_context(server)
    note(f"{brain} server listening on {server.url} after {time.monotonic() - began:.1f} s")
    return server.url


def _best_brain() -> tuple[str, str]:
    """Return `local` or `scripted`, and the reason if it is `scripted`."""
    from duologue import weights  # noqa: PLC0415  # needed only here

    if find_spec("xllamacpp") is None:
        return "scripted", "for real models, run: pip install 'duologue[local]'"
    try:
        weights.require(weights.DEFAULT_TRANSCRIBER)
    except DuologueError as error:
        return "scripted", str(error)
    if weights.default_brain() is None:
        return "scripted", "no language model is in the cache; run: duologue models fetch"
    return "local", ""


def _summarise(conversation: DemoConversation, screen: Screen, out: Path | None) -> None:
    audible: list[Turn] = [turn for turn in conversation.turns if turn.replies]
    screen.note(
        f"{len(audible)} answers, {conversation.events} events, {len(conversation.errors)} errors"
    )
    if out is not None:
        screen.note(f"the assistant's speech is in {out}")
