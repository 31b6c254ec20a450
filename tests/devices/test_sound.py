"""A voice conversation over a real sound system: PulseAudio with a pipe as its microphone.

Opt-in, as PulseAudio must be installed (`apt install pulseaudio libasound2-plugins libportaudio2`):
`pytest -m sound`.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from duologue import RealtimeClient
from duologue.audio.wav import read_wav
from duologue.devices import Microphone, ReplyInterrupted, Speaker, VoicePolicy, attach
from duologue.server import LocalServer

pytestmark = [pytest.mark.asyncio, pytest.mark.sound, pytest.mark.timeout(60)]

AUDIO = Path(__file__).parents[1] / "data" / "audio"
BLOCK_MS = 5


class Pipe(threading.Thread):
    """The user: writes speech, and silence around it, in real time."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._said = bytearray()
        self._ended = threading.Event()

    def say(self, pcm: bytes) -> None:
        self._said += pcm

    def end(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        with self._path.open("wb", buffering=0) as pipe:
            due = time.monotonic()
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                block, self._said[: 48 * 20] = bytes(self._said[: 48 * 20]), b""
                pipe.write(block.ljust(48 * 20, b"\0"))
                due += 0.02


class Recorder(threading.Thread):
    """What comes out of the speaker, with the time at which each block arrived."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.blocks: list[tuple[float, bytes]] = []

    def run(self) -> None:
        while block := self._stream.read(48 * BLOCK_MS):
            self.blocks.append((time.monotonic(), block))

    def has_sound(self) -> bool:
        """Return whether there was any sound."""
        return any(is_loud(block) for _, block in self.blocks[-100:])

    def sound_between(self) -> tuple[float, float]:
        """Return when the first and the last block with sound arrived."""
        times = [at for at, block in self.blocks if is_loud(block)]
        return times[0], times[-1]

    def ms_between(self, first: float, last: float) -> int:
        """Return the milliseconds of the recording between two blocks."""
        return BLOCK_MS * sum(first <= at <= last for at, _ in self.blocks)


def is_loud(block: bytes) -> bool:
    return int(np.abs(np.frombuffer(block, "<i2")).max()) > 50


def pulseaudio(folder: Path) -> list[str]:
    """Return the command of a sound system of our own."""
    modules = [
        f"module-native-protocol-unix socket={folder / 'socket'} auth-anonymous=1",
        "module-null-sink sink_name=speaker rate=24000 channels=1 format=s16le",
        f"module-pipe-source file={folder / 'microphone'} source_name=microphone",
    ]
    modules[-1] += " rate=24000 channels=1 format=s16le"
    loaded = [argument for module in modules for argument in ("-L", module)]
    return ["pulseaudio", "-n", "--exit-idle-time=-1", "--disable-shm", "--daemonize=no", *loaded]


@contextmanager
def running(*command: str, **options: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, **options) as process:  # type: ignore[call-overload]  # pipes
        try:
            yield process
        finally:
            process.terminate()


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pipe, Recorder]]:
    """A sound system, and the way of ALSA and PortAudio to it."""
    missing = [name for name in ("pulseaudio", "pactl", "parec") if not shutil.which(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} must be installed")
    (tmp_path / ".asoundrc").write_text("pcm.!default pulse\nctl.!default pulse\n")
    for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'socket'}")
    record = ["parec", "-d", "speaker.monitor", "--rate=24000", "--channels=1", "--format=s16le"]
    with running(*pulseaudio(tmp_path), stderr=subprocess.DEVNULL):
        pactl("info", attempts=100)
        pactl("set-default-sink", "speaker")
        pactl("set-default-source", "microphone")
        # It also makes the sink render in time: without a reader it works two seconds ahead.
        with running(*record, "--latency-msec=5", stdout=subprocess.PIPE) as recording:
            assert recording.stdout
            user, recorder = Pipe(tmp_path / "microphone"), Recorder(recording.stdout)
            user.start()
            recorder.start()
            yield user, recorder
            user.end()
        recorder.join()


def pactl(*arguments: str, attempts: int = 1) -> None:
    for _ in range(attempts):
        if not subprocess.run(["pactl", *arguments], capture_output=True, check=False).returncode:  # noqa: S607
            return
        time.sleep(0.05)  # it is starting
    raise AssertionError(arguments)


async def test_the_assistant_answers_and_is_silent_soon_after_an_interruption(
    sound: tuple[Pipe, Recorder],
) -> None:
    user, recorder = sound
    interrupted: list[tuple[float, ReplyInterrupted]] = []
    story = "Once-upon-a-time-" * 30  # half a minute of tones without a pause
    server = LocalServer(lambda _: story)
    async with server, RealtimeClient(url=server.url) as client:
        microphone, speaker = Microphone(block_ms=10), Speaker(block_ms=10)
        async with attach(
            client,
            microphone,
            speaker,
            policy=VoicePolicy(echo="off"),
            on_notice=lambda notice: interrupted.append((time.monotonic(), notice)),  # type: ignore[arg-type]  # no other comes
        ):
            user.say(read_wav(AUDIO / "hello.wav"))
            await until(recorder.has_sound)
            await asyncio.sleep(2)  # the user listens
            user.say(read_wav(AUDIO / "bargein_stop.wav")[: 48 * 1000])
            await until(lambda: interrupted)
            at, notice = interrupted[0]
            await until(lambda: recorder.blocks[-1][0] > at + 0.3)
            first, last = recorder.sound_between()
            heard = client.conversation.item(notice.cuts[0].item_id).formatted.audio_bytes
    assert last - at < 0.06, "silent 60 ms after the interruption"
    assert heard // 48 == notice.cuts[0].audio_end_ms
    played_ms = recorder.ms_between(first, last)
    assert abs(played_ms - notice.cuts[0].audio_end_ms) < 60


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # threads cause it
            await asyncio.sleep(0.01)
