"""The command `duologue transcribe`: the transcript of an audio file, or its subtitles."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from duologue.audio import PCM16, check_writable, read_audio
from duologue.errors import Closed, ConfigurationError, DuologueError, ServerError

if TYPE_CHECKING:
    from duologue import Disconnected, Endpoint, RealtimeClient, Transcript
    from duologue.client.endpoint import DialectChoice
    from duologue.protocol.ga import (
        ConversationItemInputAudioTranscriptionCompletedEvent,
        ConversationItemInputAudioTranscriptionFailedEvent,
        InputAudioBufferSpeechStartedEvent,
    )

__all__ = ["Transcription", "transcribe"]

CHUNK: Final = PCM16.bytes(500)
"""Size of an append."""

MAX_OPEN_TURNS: Final = 4
"""Turns that wait for their transcripts before more audio is sent."""

PATIENCE: Final = 60.0
"""Seconds to wait for the next transcript."""

_FORMATS: Final = ("txt", "jsonl", "md", "srt", "vtt")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    help="Format of the transcript.  [default: by the suffix of --output, or txt]",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write.  [default: standard output]",
)
@click.option("--language", metavar="CODE", help="Language of the speech, such as en.")
@click.option("--url", metavar="WSS://…", help="Use this server instead of starting one.")
@click.option("--azure", metavar="HTTPS://…", help="Use this resource of Azure OpenAI.")
@click.option(
    "--api-key",
    help="API key.  [default: OPENAI_API_KEY for OpenAI, AZURE_OPENAI_API_KEY for Azure,"
    " DUOLOGUE_API_KEY for a server on this machine]",
)
@click.option(
    "--model", default="gpt-4o-transcribe", show_default=True, help="Transcription model to use."
)
@click.option(
    "--dialect",
    type=click.Choice(["ga", "beta", "auto"]),
    help="Dialect of the protocol.  [default: ga]",
)
@click.option(
    "--stt",
    help="Speech to text of the server that is started: local:, local:NAME, or"
    " https://host/v1#MODEL.  [default: local:]",
)
def transcribe(  # noqa: PLR0913  # one argument per option
    *,
    file: Path,
    format_: str | None,
    output: Path | None,
    language: str | None,
    url: str | None,
    azure: str | None,
    api_key: str | None,
    model: str,
    dialect: DialectChoice | None,
    stt: str | None,
) -> None:
    """Transcribe an audio file, with its times.

    The speech in FILE is sent to a transcription session: of a server in this process, which uses
    the models on this machine, or of the one that --url or --azure names. FILE may be WAV, FLAC,
    MP3, Ogg and so on.

    The exit code is 1 if a part of the speech has no transcript.
    """
    if output is not None:
        check_writable(output)
        format_ = format_ or _format_of(output)
    if url is not None and azure is not None:
        raise ConfigurationError("--url and --azure name two servers: leave one of them out")
    if stt is not None and (url or azure):
        raise ConfigurationError("--stt is for the server that the command starts: leave it out")
    pcm = read_audio(file)
    job = Transcription(pcm, model=model, language=language)
    try:
        transcript = asyncio.run(job.run(url, azure, api_key, dialect, stt or "local:"))
    except TimeoutError as error:
        raise DuologueError(f"{error}; is the server stuck?") from error
    text = _written(transcript, format_ or "txt")
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="\n")
    for problem in job.problems:
        click.echo(f"Warning: {problem}", err=True)
    if job.problems:
        click.get_current_context().exit(1)


def _format_of(output: Path) -> str:
    suffix = output.suffix.lower().removeprefix(".")
    return suffix if suffix in _FORMATS else "txt"


def _written(transcript: Transcript, format_: str) -> str:
    writers = {
        "jsonl": transcript.to_jsonl,
        "md": transcript.to_markdown,
        "srt": transcript.to_srt,
        "vtt": transcript.to_vtt,
    }
    return writers.get(format_, transcript.to_text)()


class Transcription:
    """The transcription of one recording.

    Args:
        pcm: PCM16 at 24 kHz.
        model: The transcription model.
        language: The language, if it is known.
    """

    def __init__(self, pcm: bytes, *, model: str, language: str | None) -> None:
        self.problems: Final[list[str]] = []
        """Parts of the speech that have no transcript."""
        self._pcm: Final = pcm
        self._model: Final = model
        self._language: Final = language
        self._turns: Final[set[str]] = set()  # ids of their items
        self._transcribed: Final[set[str]] = set()
        self._changed: Final = asyncio.Event()
        self._ending: DuologueError | None = None
        self._turn_detection: Final = {"type": "server_vad"}

    async def run(
        self,
        url: str | None,
        azure: str | None,
        api_key: str | None,
        dialect: DialectChoice | None,
        stt: str,
    ) -> Transcript:
        """Transcribe it, and return the transcript of its turns."""
        from duologue.client.client import RealtimeClient  # noqa: PLC0415  # not needed for help
        from duologue.protocol import ga  # noqa: PLC0415  # as above
        from duologue.session.retention import KEEP_NO_AUDIO  # noqa: PLC0415  # as above

        async with AsyncExitStack() as stack:
            if url is None and azure is None:
                url = await _serve(stack, stt)
            transcription = ga.AudioTranscription(model=self._model)
            if self._language is not None:
                transcription = ga.AudioTranscription(model=self._model, language=self._language)
            client = RealtimeClient(
                endpoint=_endpoint(url, azure, api_key, dialect),
                input_audio_transcription=transcription,
                turn_detection=self._turn_detection,
                retention=KEEP_NO_AUDIO,
                reconnect=False,
            )
            self._watch(client)
            await stack.enter_async_context(client)
            await self._send(client)
            await self._wait(0)
            return _spoken(client.conversation.transcript())

    def _watch(self, client: RealtimeClient) -> None:
        from duologue.session.updates import Disconnected, ErrorUpdate  # noqa: PLC0415  # as above

        kind = "conversation.item.input_audio_transcription"
        client.on("input_audio_buffer.speech_started", self._on_speech)
        client.on(f"{kind}.completed", self._on_transcript)
        client.on(f"{kind}.failed", self._on_failure)
        client.on(ErrorUpdate, lambda update: self.problems.append(str(update.error)))
        client.on(Disconnected, self._on_end)

    def _on_speech(self, event: InputAudioBufferSpeechStartedEvent) -> None:
        self._turns.add(event.item_id)

    def _on_transcript(self, event: ConversationItemInputAudioTranscriptionCompletedEvent) -> None:
        self._end_turn(event.item_id)

    def _on_failure(self, event: ConversationItemInputAudioTranscriptionFailedEvent) -> None:
        self.problems.append(f"a turn was not transcribed: {event.error.message}")
        self._end_turn(event.item_id)

    def _end_turn(self, item_id: str) -> None:
        self._transcribed.add(item_id)
        self._changed.set()

    def _on_end(self, update: Disconnected) -> None:
        self._ending = update.error or Closed("the session was closed")
        self._changed.set()

    async def _send(self, client: RealtimeClient) -> None:
        """Send the audio, and end its last turn."""
        for start in range(0, len(self._pcm), CHUNK):
            client.append_input_audio(self._pcm[start : start + CHUNK])
            await client.drain()
            await asyncio.sleep(0)  # so that the server's events are processed
            await self._wait(MAX_OPEN_TURNS)
        committed = client.commit_input_audio(timeout=None)
        # Turn detection may answer the commit with one of its own. The answer to this comes last.
        await client.update_session(turn_detection=self._turn_detection, timeout=None)
        try:
            item_id = await committed
        except ServerError as error:
            if error.code != "input_audio_buffer_commit_empty":  # turn detection has taken all
                raise
        else:
            # After the last turn there is only silence, unless the server detects no turns.
            if not self._turns:
                self._turns.add(item_id)

    async def _wait(self, most: int) -> None:
        """Wait until no more than `most` turns have no transcript."""
        while len(self._turns - self._transcribed) > most:
            if self._ending is not None:
                raise self._ending
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), PATIENCE)
            except TimeoutError:
                text = f"the server has sent no transcript for {PATIENCE:.0f} s"
                raise TimeoutError(text) from None


async def _serve(stack: AsyncExitStack, stt: str) -> str:
    """Start a server in this process, and return its URL."""
    from duologue.server import LocalServer  # noqa: PLC0415  # an extra

    vad = "local:" if stt.startswith("local:") else None
    return (await stack.enter_async_context(LocalServer(stt=stt, vad=vad))).url


def _endpoint(
    url: str | None, azure: str | None, api_key: str | None, dialect: DialectChoice | None
) -> Endpoint:
    from duologue.cli.demo.command import key_of_own_server  # noqa: PLC0415  # not needed for help
    from duologue.client.endpoint import Endpoint  # noqa: PLC0415  # as above

    if azure is not None:
        return Endpoint.azure(azure, api_key=api_key, kind="transcription", dialect=dialect)
    key = api_key or key_of_own_server(url)
    return Endpoint(url, api_key=key, kind="transcription", dialect=dialect or "ga")


def _spoken(transcript: Transcript) -> Transcript:
    """Leave out the silence at the end of the file, which the last commit has made an item."""
    from duologue.session.transcript import Transcript  # noqa: PLC0415  # not needed for help

    turns = tuple(entry for entry in transcript if entry.is_measured)
    return Transcript(turns) if turns else transcript
