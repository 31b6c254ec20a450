"""The command `duologue demo`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from duologue.audio.wav import check_writable, write_wav
from duologue.cli.demo.conversation import Talk
from duologue.cli.demo.scenario import INSTRUCTIONS, scripted_stages
from duologue.cli.demo.screen import Screen
from duologue.cli.demo.speech import Utterance, of_file, shipped
from duologue.cli.demo.tools import TOOLS
from duologue.errors import ConfigurationError, DuologueError, HandshakeRefused
from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.cli.demo.turns import Turn

__all__ = ["demo"]

_PAUSE = bytes(24_000)  # half a second between the answers in the file


@click.command()
@click.option(
    "--wav",
    "wavs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Say this instead of the shipped questions; any rate and channels. May be repeated.",
)
@click.option("--text", "texts", multiple=True, help="Type this. May be repeated.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("reply.wav"),
    show_default=True,
    help="Where to save what the assistant said.",
)
@click.option(
    "--brain",
    type=click.Choice(["local", "scripted"]),
    help="Models on this machine, or a script.  [default: local if its models are here]",
)
@click.option("--url", metavar="WSS://…", help="Talk to this server instead of one of our own.")
@click.option(
    "--api-key",
    help="Key to show at --url. Without one, OpenAI alone is shown OPENAI_API_KEY, and this machine"
    " alone DUOLOGUE_API_KEY.",
)
@click.option("--model", default="gpt-realtime", show_default=True, help="Model to ask for.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, nothing else.")
@click.option("--fast", is_flag=True, help="Do not wait for real time: speech is sent at once.")
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

    Recorded speech goes in real time through the client, over a WebSocket, to a server that hears,
    thinks and answers aloud: one inside this process, or any at --url.
    """
    check_writable(out)
    utterances = [of_file(path) for path in wavs]
    utterances += [Utterance(name="text", text=text) for text in texts]
    if not all(text.strip() for text in texts):
        raise ConfigurationError("--text is empty: there is nothing to say")
    screen = Screen(is_quiet=as_json)
    if url is not None and brain is not None:
        raise ConfigurationError("--brain chooses our own server; leave it out with --url")
    try:
        talk = asyncio.run(
            _hold(
                utterances,
                screen,
                brain=brain,
                url=url,
                api_key=api_key or own_key(url),
                model=model,
                is_fast=fast,
            )
        )
    except TimeoutError as error:
        raise DuologueError(f"{error}; is the server stuck?") from error
    except HandshakeRefused as refused:
        if refused.status != 401:
            raise
        fix = "give it with --api-key, or on this machine by DUOLOGUE_API_KEY"
        raise DuologueError(f"{refused}; {fix}") from refused
    now = time.monotonic()
    audio = _PAUSE.join(audio for turn in talk.turns if (audio := turn.audio(now)))
    if audio:
        write_wav(out, audio)
    if as_json:
        turns = [turn.report(now) for turn in talk.turns]
        click.echo(json.dumps({"turns": turns, "events": talk.events, "errors": talk.errors}))
    else:
        _summarise(talk, screen, out if audio else None)


def own_key(url: str | None) -> str | None:
    """Return the key of a server of ours, which is for no other machine to see."""
    is_here = re.match(r"wss?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|\?|$)", url or "")
    return os.environ.get("DUOLOGUE_API_KEY") if is_here else None


async def _hold(  # the options
    utterances: list[Utterance],
    screen: Screen,
    *,
    brain: str | None,
    url: str | None,
    api_key: str | None,
    model: str,
    is_fast: bool,
) -> Talk:
    from duologue import RealtimeClient  # noqa: PLC0415  # help needs no client

    async with AsyncExitStack() as stack:
        if url is None:
            url = await _serve(stack, screen, brain, is_shipped=not utterances)
        else:
            screen.note(f"connecting to {url.partition('?')[0]}")
        client = RealtimeClient(
            url=url,
            api_key=api_key,
            model=model,
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
        talk = Talk(client, screen, is_fast=is_fast)
        await talk.hold(utterances or shipped())
    return talk


async def _serve(
    stack: AsyncExitStack, screen: Screen, brain: str | None, *, is_shipped: bool
) -> str:
    """Start our own server, and return where it listens."""
    from duologue.server import LocalServer  # noqa: PLC0415  # an extra

    if brain is None:
        brain, reason = _best_brain()
        if reason:
            screen.note(f"answers come from a script: {reason}")
    if brain == "scripted":
        server = LocalServer(**scripted_stages(knows_the_clips=is_shipped))
    else:
        screen.note("loading the models of the local server")
        server = LocalServer("local:")
    began = time.monotonic()
    await stack.enter_async_context(server)
    screen.note(f"{brain} server listening on {server.url} after {time.monotonic() - began:.1f} s")
    return server.url


def _best_brain() -> tuple[str, str]:
    """Return `local` or `scripted`, and why it is not local."""
    from duologue import weights  # noqa: PLC0415  # needed here alone

    if find_spec("xllamacpp") is None:
        return "scripted", "pip install 'duologue[local]' brings a real voice"
    try:
        weights.require(weights.DEFAULT_TRANSCRIBER)
    except DuologueError as error:
        return "scripted", str(error)
    if weights.default_brain() is None:
        return "scripted", "no language model is here; fetch one with: duologue models fetch"
    return "local", ""


def _summarise(talk: Talk, screen: Screen, out: Path | None) -> None:
    audible: list[Turn] = [turn for turn in talk.turns if turn.replies]
    screen.note(f"{len(audible)} answers, {talk.events} events, {len(talk.errors)} errors")
    if out is not None:
        screen.note(f"what the assistant said is in {out}")
