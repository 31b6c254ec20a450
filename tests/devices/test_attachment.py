"""A microphone, a speaker, a client and the embedded server, in virtual time."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from duologue import ConfigurationError, ConnectionLost, RealtimeClient, Reconnected
from duologue.audio.g711 import StreamResampler
from duologue.audio.wav import read_wav
from duologue.devices import (
    Backchannel,
    BackchannelHeard,
    EchoHeard,
    Microphone,
    Notice,
    ReplyInterrupted,
    Speaker,
    VirtualClock,
    VirtualMicrophone,
    VirtualSpeaker,
    VoiceConversation,
    VoicePolicy,
    WavOutput,
    attach,
)
from duologue.devices.echo import can_cancel
from duologue.protocol import ga
from duologue.server import LocalServer, SessionRecord
from duologue.server.engine.scripted import ScriptedTranscriber
from duologue.server.faults import Close

pytestmark = pytest.mark.asyncio

AUDIO = Path(__file__).parents[1] / "data" / "audio"
HELLO = read_wav(AUDIO / "hello.wav")
STOP = read_wav(AUDIO / "bargein_stop.wav")
STORY = "Once upon a time. " * 12
"""Some 13 seconds."""
UH_HUH = HELLO[48 * 131 : 48 * 500]
"""Less than 400 ms of speech."""


@dataclass
class Room:
    """A user with a microphone and a speaker."""

    clock: VirtualClock
    server: LocalServer
    client: RealtimeClient
    microphone: VirtualMicrophone
    speaker: VirtualSpeaker
    voice: VoiceConversation
    notices: list[Notice] = field(default_factory=list)

    @property
    def session(self) -> SessionRecord:
        return self.server.sessions[-1]

    async def until(self, condition: Callable[[], object], *, ms: int = 30_000) -> None:
        for _ in range(ms // 20):
            if condition():
                return
            await self.clock.run(20)
        raise AssertionError("it did not happen")

    async def say(self, pcm: bytes) -> None:
        self.microphone.say(pcm)
        await self.until(lambda: not self.microphone.waiting_ms)

    async def hear_for(self, ms: int) -> None:
        """Let the assistant speak for a time."""
        await self.until(lambda: self.voice.speaker.is_playing)
        await self.clock.run(ms)

    def sent(self, kind: type) -> list[Any]:
        return [event for event in self.session.received if isinstance(event, kind)]

    def noticed(self, kind: type) -> list[Any]:
        return [notice for notice in self.notices if isinstance(notice, kind)]


@asynccontextmanager
async def room(
    policy: VoicePolicy | None = None,
    *,
    brain: Any = lambda _: STORY,
    rate_hz: int = 24_000,
    latency_ms: int = 40,
    transcripts: list[str] | None = None,
    tts: Any = None,
    faults: Any = (),
    output: VirtualSpeaker | None = None,
    clock: VirtualClock | None = None,
    **keywords: Any,
) -> AsyncIterator[Room]:
    clock = clock or VirtualClock()
    stt = ScriptedTranscriber(transcripts or [])
    voice_of = None if tts is None else tts()
    server = LocalServer(brain, stt=stt, tts=voice_of, transport="memory", faults=faults)
    async with server, RealtimeClient(connector=server.connector, **keywords) as client:
        microphone = VirtualMicrophone(clock, rate_hz=rate_hz)
        speaker = output or VirtualSpeaker(clock, rate_hz=rate_hz, latency_ms=latency_ms)
        notices: list[Notice] = []
        async with attach(
            client,
            Microphone(microphone),
            Speaker(speaker),
            policy=policy or VoicePolicy(echo="off"),
            on_notice=notices.append,
        ) as voice:
            yield Room(clock, server, client, microphone, speaker, voice, notices)


async def server_audio(client: RealtimeClient, item_id: str) -> bytes:
    """Return the audio of the server's own copy of an item."""
    item = await client.retrieve_item(item_id)
    assert isinstance(item, ga.Message)
    [part] = item.content
    assert isinstance(part, ga.OutputAudio)
    assert isinstance(part.audio, str)
    return base64.b64decode(part.audio)


def assistant_items(client: RealtimeClient) -> list[str]:
    return [item.id for item in client.conversation if item.role == "assistant"]


@pytest.mark.parametrize("hear_ms", [20, 240, 1300, 4980])
async def test_server_mirror_and_speaker_agree_on_the_cut_to_the_sample(
    hear_ms: int, tmp_path: Path
) -> None:
    clock = VirtualClock()
    path = tmp_path / "heard.wav"
    async with room(clock=clock, output=WavOutput(path, clock=clock)) as here:
        await here.say(HELLO)
        await here.hear_for(hear_ms)
        whole = here.client.conversation.items[-1].formatted.audio
        await here.say(STOP[: 48 * 1000])
        await here.until(lambda: here.noticed(ReplyInterrupted))
        [interrupted] = here.noticed(ReplyInterrupted)
        [cut] = interrupted.cuts
        await here.until(lambda: "conversation.item.truncated" in kinds(here.session))
        mirrored = here.client.conversation.item(cut.item_id).formatted.audio
        kept = await server_audio(here.client, cut.item_id)
        here.voice.speaker.close()
    played = np.frombuffer(read_wav(path), np.int16)
    begin = int(np.flatnonzero(played)[0]) - first_sound(whole)
    heard = played[begin : begin + cut.heard_samples].tobytes()
    assert cut.audio_end_ms * 24 == cut.heard_samples > 0
    assert kept == mirrored == heard == whole[: 2 * cut.heard_samples]


def kinds(session: SessionRecord) -> list[str]:
    return [event.type for event in session.sent]


def first_sound(pcm: bytes) -> int:
    return int(np.flatnonzero(np.frombuffer(pcm, np.int16))[0])


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
async def test_they_agree_on_devices_of_other_rates(rate_hz: int) -> None:
    async with room(rate_hz=rate_hz) as here:
        here.microphone.say(resampled(HELLO, rate_hz))
        await here.hear_for(600)
        here.microphone.say(resampled(STOP, rate_hz))
        await here.until(lambda: here.noticed(ReplyInterrupted))
        silent_from = here.speaker.played_frames
        await here.clock.run(400)
        [cut] = here.noticed(ReplyInterrupted)[0].cuts
        await here.until(lambda: "conversation.item.truncated" in kinds(here.session))
        kept = await server_audio(here.client, cut.item_id)
        assert len(kept) // 48 == cut.audio_end_ms
        item = here.client.conversation.item(cut.item_id)
        assert item.formatted.audio == kept
        played = np.frombuffer(here.speaker.played, np.int16)
        assert np.abs(played[silent_from:]).max() == 0
        audible = np.flatnonzero(np.abs(played[:silent_from]) > 20)
        heard_ms = (silent_from - audible[0]) * 1000 / rate_hz
        assert heard_ms == pytest.approx(cut.audio_end_ms, abs=20)  # a tone begins softly


def resampled(pcm: bytes, rate_hz: int) -> bytes:
    stream = StreamResampler(24_000, rate_hz)
    found = np.concatenate((stream.feed(np.frombuffer(pcm, np.int16)), stream.finish()))
    return found.tobytes()


# Interruptions and backchannels.

PATIENT = VoicePolicy(backchannel=Backchannel(max_ms=600), echo="off")


async def test_a_backchannel_does_not_stop_the_reply_in_20_of_20() -> None:
    story = "Once upon a time there was a princess. " * 40
    async with room(PATIENT, brain=lambda _: story) as here:
        await here.say(HELLO)
        await here.hear_for(200)
        for _ in range(20):
            await here.say(UH_HUH)
            assert here.voice.speaker.gain < 0.2
            await here.until(lambda: here.voice.speaker.gain == 1.0)
            await here.clock.run(700)
        assert len(here.noticed(BackchannelHeard)) == 20
        assert here.voice.speaker.is_playing
        assert not here.noticed(ReplyInterrupted)
        assert len(here.sent(ga.ResponseCreateEvent)) == 1
        assert not here.sent(ga.ResponseCancelEvent)
        assert kinds(here.session).count("conversation.item.truncated") == 0


async def test_a_real_interruption_stops_the_reply_and_is_answered() -> None:
    async with room(PATIENT) as here:
        await here.say(HELLO)
        await here.hear_for(1000)
        here.microphone.say(STOP)
        await here.until(lambda: here.noticed(ReplyInterrupted))
        assert not here.noticed(BackchannelHeard)
        first = assistant_items(here.client)[0]
        [cut] = here.noticed(ReplyInterrupted)[0].cuts
        assert cut.item_id == first
        await here.until(lambda: len(assistant_items(here.client)) == 2)
        await here.hear_for(100)
        kept = await server_audio(here.client, first)
        assert kept == here.client.conversation.item(first).formatted.audio
        assert len(kept) == 48 * cut.audio_end_ms


@pytest.mark.parametrize(("words", "stops"), [("Uh-huh.", False), ("Stop!", True)])
async def test_words_decide_if_the_policy_names_some(words: str, *, stops: bool) -> None:
    backchannel = Backchannel(words=frozenset({"uh", "huh"}), meanwhile="pause")
    policy = VoicePolicy(backchannel=backchannel, echo="off")
    transcription = {"model": "scripted"}
    async with room(
        policy, transcripts=["Hello?", words], input_audio_transcription=transcription
    ) as here:
        await here.say(HELLO)
        await here.hear_for(500)
        await here.say(UH_HUH)
        kind = ReplyInterrupted if stops else BackchannelHeard
        await here.until(lambda: here.noticed(kind))
        assert len(here.notices) == 1
        await here.clock.run(500)
        assert here.voice.speaker.is_playing


async def test_text_stops_the_reply_and_speech_does_not() -> None:
    async with room(VoicePolicy(interrupted_by="text", echo="off")) as here:
        await here.say(HELLO)
        await here.hear_for(500)
        await here.say(STOP[: 48 * 1000])
        await here.clock.run(1000)
        assert here.voice.speaker.is_playing
        assert not here.notices
        answer = here.voice.send_text("Enough")
        assert not here.voice.speaker.waiting_ms
        assert here.noticed(ReplyInterrupted)
        await answer
        assert answer.transcript


async def test_push_to_talk_sends_the_pre_roll_and_what_is_said_until_the_release() -> None:
    policy = VoicePolicy(interrupted_by="push_to_talk", pre_roll_ms=200, echo="off")
    async with room(policy) as here:
        assert here.client.get_turn_detection_type() is None
        here.microphone.say(HELLO)
        await here.clock.run(400)
        here.voice.press()
        await here.clock.run(600)
        here.voice.release()
        await here.until(lambda: here.voice.speaker.is_playing)
        sent = b"".join(e.audio_data for e in here.sent(ga.InputAudioBufferAppendEvent))
        assert sent == HELLO[48 * 200 : 48 * 1000]
        assert here.client.conversation.items[0].formatted.audio == sent
        here.voice.press()
        assert not here.voice.speaker.waiting_ms
        assert here.noticed(ReplyInterrupted)


async def test_a_muted_microphone_sends_silence() -> None:
    async with room() as here:
        here.voice.is_muted = True
        await here.say(HELLO)
        here.voice.is_muted = False
        await here.clock.run(200)
        sent = b"".join(e.audio_data for e in here.sent(ga.InputAudioBufferAppendEvent))
        assert len(sent) >= len(HELLO)
        assert not any(sent)
        assert not len(here.client.conversation)


# Echo. The reply is speech of a person: tones, which no canceller is made for, are another matter.

TALK = read_wav(AUDIO / "human_young_man.wav")[: 48 * 3000]
NEEDS_CANCELLATION = pytest.mark.skipif(not can_cancel(), reason="pywebrtc-audio is not installed")


class Person:
    """Synthesizer that says the same three seconds for every text."""

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        del text, voice, speed
        yield TALK


async def replies(here: Room) -> int:
    """Ask something, and listen to the whole reply; return how often the user was heard."""
    before = kinds(here.session).count("input_audio_buffer.speech_started")
    await here.say(HELLO)
    await here.until(lambda: here.voice.speaker.is_playing)
    await here.until(lambda: not here.voice.speaker.is_playing)
    await here.clock.run(500)
    return kinds(here.session).count("input_audio_buffer.speech_started") - before


@pytest.mark.parametrize("gain_db", [-20.0, -6.0])
@pytest.mark.parametrize("echo", ["half_duplex", pytest.param("cancel", marks=NEEDS_CANCELLATION)])
async def test_the_assistant_does_not_interrupt_itself(echo: Any, gain_db: float) -> None:
    async with room(VoicePolicy(echo=echo), brain=lambda _: "So it is.", tts=Person) as here:
        here.microphone.hear(here.speaker, delay_ms=40, gain_db=gain_db)
        assert [await replies(here) for _ in range(3)] == [1, 1, 1]
        assert not here.notices


@NEEDS_CANCELLATION
async def test_the_user_interrupts_over_the_echo_of_the_assistant() -> None:
    policy = VoicePolicy(echo="cancel")
    async with room(policy, brain=lambda _: "So it is.", tts=Person) as here:
        here.microphone.hear(here.speaker, delay_ms=40, gain_db=-20.0)
        await here.say(HELLO)
        await here.hear_for(1000)
        here.microphone.say(STOP)
        await here.until(lambda: here.noticed(ReplyInterrupted), ms=1500)
        assert here.notices == here.noticed(ReplyInterrupted)


async def test_an_echo_is_reported_and_makes_the_conversation_half_duplex(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)  # not installed
    async with room(VoicePolicy(), brain=lambda _: "So it is.", tts=Person) as here:
        here.microphone.hear(here.speaker, delay_ms=40, gain_db=-10.0)
        assert await replies(here) == 1
        assert here.notices[0] == EchoHeard(is_half_duplex=True)
        assert not here.noticed(ReplyInterrupted)
        assert here.voice.is_half_duplex
        assert [await replies(here) for _ in range(2)] == [1, 1]
        assert len(here.noticed(EchoHeard)) == 1


async def test_a_user_who_talks_over_the_assistant_is_no_echo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    async with room(VoicePolicy(interrupted_by="text", echo="auto"), tts=Person) as here:
        await here.say(HELLO)
        await here.hear_for(100)
        for name in ("lights_kitchen", "weather_paris", "bargein_stop"):
            await here.say(read_wav(AUDIO / f"{name}.wav"))
        assert not here.notices


async def test_cancellation_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'duologue\[echo\]'"):
        async with room(VoicePolicy(echo="cancel")):
            raise AssertionError("it is not there")


# The session.


async def test_a_reply_that_is_cut_by_the_network_is_played_from_its_beginning() -> None:
    cut = Close(1011, at="response.output_audio.delta", nth=8, connection=1)
    async with room(faults=[cut]) as here:
        back: list[Reconnected] = []
        here.client.on(Reconnected, back.append)
        await here.say(HELLO)
        await here.until(lambda: back)
        await here.until(lambda: here.voice.speaker.waiting_ms)
        await here.until(lambda: not here.voice.speaker.is_playing)
        [item_id] = assistant_items(here.client)
        audio = here.client.conversation.item(item_id).formatted.audio
        played = here.speaker.played
        assert len(audio) > 48 * 60 * 200
        assert audio in played
        assert not any(played[played.index(audio) + len(audio) :])


async def test_barge_in_works_after_a_reconnection() -> None:
    async with room() as here:
        await here.say(HELLO)
        await here.until(lambda: here.voice.speaker.is_playing)
        await here.until(lambda: not here.voice.speaker.is_playing)
        back: list[Reconnected] = []
        here.client.on(Reconnected, back.append)
        here.session.close(1012, "restarting")
        await here.until(lambda: back)
        await here.say(HELLO)
        await here.hear_for(400)
        await here.say(STOP[: 48 * 1000])
        [notice] = here.noticed(ReplyInterrupted)
        item_id = assistant_items(here.client)[1]
        assert [cut.item_id for cut in notice.cuts] == [item_id]
        kept = await server_audio(here.client, item_id)
        assert kept == here.client.conversation.item(item_id).formatted.audio


async def test_waiting_ends_with_the_session() -> None:
    async with room() as here:
        waiting = asyncio.create_task(here.voice.wait())
        await here.clock.run(100)
        await here.client.close()
        await here.clock.run(100)
        assert await waiting is None


async def test_waiting_raises_if_the_connection_is_lost_for_good() -> None:
    async with room() as here:
        waiting = asyncio.create_task(here.voice.wait())
        await here.clock.run(100)
        here.session.close(1000, "enough")
        await here.clock.run(100)
        with pytest.raises(ConnectionLost, match="enough"):
            await waiting


async def test_the_devices_are_released_at_the_end_and_the_client_goes_on() -> None:
    clock = VirtualClock()
    server = LocalServer(transport="memory")
    async with server, RealtimeClient(connector=server.connector) as client:
        microphone = Microphone(VirtualMicrophone(clock))
        speaker = Speaker(VirtualSpeaker(clock))
        for _ in range(2):
            async with attach(client, microphone, speaker):
                await clock.run(100)
        clock.advance(1000)
        assert (await client.ask("Hello")).transcript == "You said: Hello"
        assert not speaker.waiting_ms
        assert microphone.statistics().captured_frames == 2400


async def test_what_a_policy_needs_is_checked() -> None:
    words = Backchannel(words=frozenset({"uh"}))
    with pytest.raises(ConfigurationError, match="set `input_audio_transcription`"):
        async with room(VoicePolicy(backchannel=words)):
            raise AssertionError("there is no transcription")


async def test_turn_detection_keeps_its_settings() -> None:
    detection = ga.SemanticVad(eagerness="high")
    async with room(PATIENT, turn_detection=detection) as here:
        session = here.client.session
        assert isinstance(session, ga.RealtimeSession)
        assert session.audio
        assert session.audio.input
        assert session.audio.input.turn_detection == ga.SemanticVad(
            eagerness="high", create_response=False, interrupt_response=False
        )
