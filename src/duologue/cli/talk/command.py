"""The command `duologue talk`: its options, the server, the devices and the kind of output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from duologue.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue import RealtimeClient
    from duologue.cli.talk.conversation import Devices, Talk
    from duologue.client.endpoint import Endpoint
    from duologue.devices import InputDevice, OutputDevice

__all__ = ["Choices", "open_talk", "talk"]

DEFAULT_MODEL: Final = "gpt-realtime"

_FILES: Final = ("`WavInput` and `WavOutput`", "--wav FILE and --out FILE")
"""The advice of a device's error, and its form on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The options of the command."""

    url: str | None = None
    azure: str | None = None
    model: str | None = None
    api_key: str | None = None
    brain: str | None = None
    input_device: str | None = None
    output_device: str | None = None
    wav: Path | None = None
    out: Path | None = None
    save: Path | None = None
    push_to_talk: bool = False
    muted: bool = False
    echo: str = "auto"
    tools: bool = False
    instructions: str | None = None
    voice: str | None = None
    plain: bool = False

    @property
    def has_own_server(self) -> bool:
        """Whether the server runs in this process."""
        return self.url is None and self.azure is None and self.model is None


@click.command()
@click.option("--url", metavar="WSS://…", help="Connect to this server instead of starting one.")
@click.option("--azure", metavar="HTTPS://…", help="Connect to this resource of Azure OpenAI.")
@click.option("--model", help="Model to request, of OpenAI unless a server is named.")
@click.option(
    "--api-key",
    help="API key.  [default: OPENAI_API_KEY for OpenAI, AZURE_OPENAI_API_KEY for Azure,"
    " DUOLOGUE_API_KEY for a server on this machine]",
)
@click.option(
    "--brain",
    type=click.Choice(["local", "scripted"]),
    help="Use the models on this machine, or a script.  [default: local if its models are present]",
)
@click.option("--input-device", metavar="NAME", help="Microphone: its number, or part of its name.")
@click.option("--output-device", metavar="NAME", help="Speaker: its number, or part of its name.")
@click.option("--list-devices", is_flag=True, help="List the sound cards, and exit.")
@click.option(
    "--wav",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Use this WAV file as the microphone; the conversation ends after its answer.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Use this WAV file as the speaker.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Save audio and transcript to this new folder.",
)
@click.option("--push-to-talk", is_flag=True, help="Listen only between two presses of space.")
@click.option("--muted", is_flag=True, help="Begin with a muted microphone.")
@click.option(
    "--echo",
    type=click.Choice(["auto", "cancel", "half_duplex", "off"]),
    default="auto",
    show_default=True,
    help="Remove the speaker from the microphone, or do not listen while it plays.",
)
@click.option("--tools", is_flag=True, help="Offer two tools: weather and lights, both invented.")
@click.option("--instructions", help="The system prompt.")
@click.option("--voice", help="Voice of the assistant.")
@click.option("--plain", is_flag=True, help="Print lines instead of a full screen.")
def talk(*, list_devices: bool, **options: Any) -> None:  # noqa: ANN401  # the fields of `Choices`
    """Hold a conversation with microphone and speaker.

    Speak when you like, also while the assistant speaks: it stops, and knows what you heard of its
    answer. The server runs in this process unless --url, --azure or --model name another. Without
    a terminal, and with --plain, the conversation is printed line by line, and lines of the
    standard input are sent as messages.
    """
    _require_extra("numpy", "soxr")
    if list_devices:
        _list_devices()
        return
    choices = Choices(**options)
    if sum(each is not None for each in (choices.url, choices.azure)) > 1:
        raise ConfigurationError("--url and --azure name two servers: leave one of them out")
    if choices.brain is not None and not choices.has_own_server:
        raise ConfigurationError("--brain is for the server in this process: leave out --url,"
                                 " --azure and --model")  # fmt: skip
    try:
        asyncio.run(_hold(choices))
    except MissingExtra:
        raise
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace(*_FILES)) from error


def _require_extra(*packages: str) -> None:
    if any(find_spec(name) is None for name in packages):
        raise MissingExtra("talk", "`duologue talk`")


def _list_devices() -> None:
    from duologue.devices import list_devices  # noqa: PLC0415  # needs an extra

    found = list_devices()
    for each in found:
        is_default = each.is_default_input, each.is_default_output
        kinds = [
            f"{channels} {kind}{' (default)' if default else ''}"
            for kind, channels, default in zip(
                ("in", "out"), (each.input_channels, each.output_channels), is_default, strict=True
            )
            if channels
        ]
        click.echo(f"{each.index:>3}  {each.name}: {', '.join(kinds)}, {each.rate_hz} Hz")
    if not found:
        click.echo("There is no sound card; use --wav FILE and --out FILE.")


async def _hold(choices: Choices) -> None:
    from duologue.cli.talk.lines import talk_in_lines  # noqa: PLC0415  # needs an extra

    async with AsyncExitStack() as stack:
        is_plain = choices.plain or not _is_terminal()
        if not is_plain:
            _require_extra("textual")
        talk = await open_talk(stack, choices)
        if is_plain:
            await talk_in_lines(talk)
        else:
            await _show(talk)


async def _show(talk: Talk) -> None:
    raise NotImplementedError


async def open_talk(stack: AsyncExitStack, choices: Choices) -> Talk:
    """Return a conversation with a connected client.

    Args:
        stack: Closes it.
        choices: The options.

    Raises:
        DuologueError: If an option cannot be fulfilled, or the server not be reached.
    """
    from duologue.cli.talk.conversation import Talk  # noqa: PLC0415  # needs an extra
    from duologue.cli.talk.recording import Recording  # noqa: PLC0415  # as above
    from duologue.devices import VoicePolicy  # noqa: PLC0415  # as above

    devices = _devices(choices)
    recording = None if choices.save is None else Recording(choices.save)
    notes: list[str] = []
    client = await _connect(stack, choices, notes)
    policy = VoicePolicy(
        interrupted_by="push_to_talk" if choices.push_to_talk else "speech",
        echo=_echo(choices),
        starts_muted=choices.muted,
    )
    talk = Talk(client, devices, policy, recording)
    for note in notes:
        talk.view.note(note)
    return talk


def _echo(choices: Choices) -> Any:  # noqa: ANN401  # one of the choices of click
    is_audible = choices.wav is None and choices.out is None
    return choices.echo if is_audible or choices.echo != "auto" else "off"


async def _connect(stack: AsyncExitStack, choices: Choices, notes: list[str]) -> RealtimeClient:
    from duologue import RealtimeClient  # noqa: PLC0415  # not needed for help
    from duologue.cli.demo.command import start_server  # noqa: PLC0415  # as above
    from duologue.cli.demo.scenario import INSTRUCTIONS, TOOLS  # noqa: PLC0415  # as above
    from duologue.client.endpoint import Endpoint  # noqa: PLC0415  # as above
    from duologue.protocol import ga  # noqa: PLC0415  # as above
    from duologue.session.prices import PRICES, PriceTable  # noqa: PLC0415  # as above

    prices = PRICES
    if choices.has_own_server:
        prices = PriceTable(PRICES.as_of, {})  # it costs nothing
        url = await start_server(stack, notes.append, choices.brain)
        endpoint = Endpoint(url, model=DEFAULT_MODEL)
        detection: ga.TurnDetection | None = ga.ServerVad(silence_duration_ms=200)
    else:
        endpoint = _endpoint(choices)
        detection = ga.ServerVad()
    client = RealtimeClient(
        endpoint=endpoint,
        prices=prices,
        instructions=choices.instructions or INSTRUCTIONS,
        input_audio_transcription=ga.AudioTranscription(model="whisper-1"),
        turn_detection=None if choices.push_to_talk else detection,
    )
    if choices.voice is not None:
        client.update_session(voice=choices.voice)
    for tool in TOOLS if choices.tools else ():
        if isinstance(tool, ga.FunctionTool) and tool.name:
            client.add_tool(tool, _handler(tool.name))
    await stack.enter_async_context(client)
    return client


def _handler(name: str) -> Callable[[dict[str, Any]], object]:
    from duologue.cli.demo.scenario import call_tool  # noqa: PLC0415  # not needed for help

    def handle(arguments: dict[str, Any]) -> object:
        return json.loads(call_tool(name, json.dumps(arguments)))

    return handle


def _endpoint(choices: Choices) -> Endpoint:
    from duologue.cli.demo.command import key_of_own_server  # noqa: PLC0415  # not needed for help
    from duologue.client.endpoint import Endpoint  # noqa: PLC0415  # as above

    if choices.azure is not None:
        return Endpoint.azure(choices.azure, deployment=choices.model, api_key=choices.api_key)
    model = choices.model or DEFAULT_MODEL
    if choices.url is not None:
        key = choices.api_key or key_of_own_server(choices.url)
        return Endpoint(choices.url, api_key=key, model=model)
    return Endpoint.from_env(api_key=choices.api_key, model=model)


def _devices(choices: Choices) -> Devices:
    from duologue.cli.talk.conversation import Devices  # noqa: PLC0415  # needs an extra
    from duologue.devices import (  # noqa: PLC0415  # as above
        SoundCardInput,
        SoundCardOutput,
        WavInput,
        WavOutput,
    )

    file_in = None if choices.wav is None else WavInput(choices.wav)
    file_out = None if choices.out is None else WavOutput(choices.out)

    def microphone(picked: int | None) -> InputDevice:
        if file_in is not None and picked is None:
            return file_in
        return SoundCardInput(_device(choices.input_device) if picked is None else picked)

    def speaker(picked: int | None) -> OutputDevice:
        if file_out is not None and picked is None:
            return file_out
        return SoundCardOutput(_device(choices.output_device) if picked is None else picked)

    if file_in is None:
        return Devices(microphone, speaker)
    return Devices(microphone, speaker, lambda: file_in.has_ended)


def _device(name: str | None) -> int | str | None:
    return int(name) if name is not None and name.isdecimal() else name


def _is_terminal() -> bool:
    is_dumb = os.environ.get("TERM") == "dumb"
    return sys.stdin.isatty() and sys.stdout.isatty() and not is_dumb
