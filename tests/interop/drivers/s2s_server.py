"""The realtime server of Hugging Face's speech-to-speech, with stages that need no model.

Its server, protocol, queues and threads are the package's own; stubs find speech, write it down,
think and speak. `python s2s_server.py N` makes N pipelines, prints a line of JSON that says where
it is, and ends when its standard input does.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from queue import Queue
from threading import Event
from typing import Any

import numpy as np
from openai.types.realtime import RealtimeConversationItemFunctionCall
from openai.types.responses.response_function_tool_call import ResponseFunctionToolCall
from speech_to_speech.api.openai_realtime.pipeline_unit import PipelineUnit
from speech_to_speech.api.openai_realtime.server import RealtimeServer
from speech_to_speech.api.openai_realtime.service import RealtimeService
from speech_to_speech.baseHandler import BaseHandler
from speech_to_speech.LLM.chat import build_active_chat
from speech_to_speech.LLM.lm_output_processor import LMOutputProcessor
from speech_to_speech.pipeline.cancel_scope import CancelScope
from speech_to_speech.pipeline.events import SpeechStartedEvent, SpeechStoppedEvent
from speech_to_speech.pipeline.history import ResponseHistory
from speech_to_speech.pipeline.messages import (
    AUDIO_RESPONSE_DONE,
    EndOfResponse,
    GenerateResponseRequest,
    LLMResponseChunk,
    PartialTranscription,
    TokenUsage,
    Transcription,
    TTSInput,
    VADAudio,
)
from speech_to_speech.STT.transcription_notifier import TranscriptionNotifier
from speech_to_speech.utils.thread_manager import ThreadManager
from speech_to_speech.utils.utils import is_out_of_band

HEARD = "Hello from the microphone."
CITIES = {"Paris?": ["Paris"], "both?": ["Paris", "Rome"]}
"""Whose weather is looked up, by the last word that the user says."""
SAMPLES_PER_S = 16_000
LOUD = 500
QUIET_CHUNKS = 10
"""Of 32 ms: so much silence ends a turn."""


class Ears(BaseHandler[Any, Any]):
    """Finds speech by its loudness."""

    def setup(self, told: Queue[Any]) -> None:
        self.told = told
        self.turns = 0
        self.on_session_end()

    def on_session_end(self) -> None:
        self.samples = self.quiet = 0
        self.speech: list[np.ndarray] = []

    def process(self, item: Any) -> Iterator[Any]:
        chunk, config = item
        sound = np.frombuffer(chunk, np.int16)
        is_loud = bool(np.abs(sound.astype(np.int32)).max() > LOUD)
        if is_loud and not self.speech:
            self.turns += 1
            self.told.put(SpeechStartedEvent(audio_start_ms=self.now_ms, **self.turn))
        self.samples += len(sound)
        if not is_loud and not self.speech:
            return
        self.speech.append(sound)
        self.quiet = 0 if is_loud else self.quiet + 1
        if self.quiet == QUIET_CHUNKS:
            audio = np.concatenate(self.speech)
            self.speech, self.quiet = [], 0
            length = len(audio) / SAMPLES_PER_S
            self.told.put(
                SpeechStoppedEvent(audio_end_ms=self.now_ms, duration_s=length, **self.turn)
            )
            yield VADAudio(audio=audio, mode="final", runtime_config=config, **self.turn)

    @property
    def now_ms(self) -> int:
        return self.samples * 1000 // SAMPLES_PER_S

    @property
    def turn(self) -> dict[str, Any]:
        return {"turn_id": f"turn_{self.turns}", "turn_revision": 0}


class Writer(BaseHandler[Any, Any]):
    """Has always heard the same, word by word."""

    def process(self, heard: VADAudio) -> Iterator[Any]:
        turn = {"turn_id": heard.turn_id, "turn_revision": heard.turn_revision}
        words = HEARD.split()
        for count in range(1, len(words)):
            yield PartialTranscription(text=" ".join(words[:count]), **turn)
        yield Transcription(text=HEARD, language_code="en", **turn)


class Mind(BaseHandler[Any, Any]):
    """Answers by rules."""

    def setup(self, cancel_scope: CancelScope) -> None:
        self.cancel_scope = cancel_scope

    def process(self, request: GenerateResponseRequest) -> Iterator[Any]:
        of_this = {
            "turn_id": request.turn_id,
            "turn_revision": request.turn_revision,
            "cancel_generation": self.cancel_scope.generation,
            "response_key": request.response_key,
        }
        with_config = of_this | {
            "runtime_config": request.runtime_config,
            "response": request.response,
            "prefetch_transaction": request.prefetch_transaction,
        }
        texts, cities, error = _answer(request)
        for text in texts:
            yield LLMResponseChunk(text=text, **with_config)
        calls = [_call("get_weather", city) for city in cities]
        history = None if is_out_of_band(request.response) else _history(request, calls)
        if calls:
            yield LLMResponseChunk(tools=calls, history=history, **with_config)
        yield TokenUsage(input_tokens=7, output_tokens=5, **of_this)
        yield EndOfResponse(error=error, history=history, **of_this)


def _answer(request: GenerateResponseRequest) -> tuple[list[str], list[str], str | None]:
    """Return what is said, whose weather is looked up, and what went wrong."""
    chat = request.runtime_config.chat
    if is_out_of_band(request.response):
        chat = build_active_chat(chat, request.response)
    last = chat.copy().buffer[-1]
    if last.type == "function_call_output":
        return [f"It is {last.output}."], [], None
    said = "".join(part.text or "" for part in last.content)
    cities = CITIES.get(said.split()[-1], [])
    if cities:
        return ["Let me look."][: len(cities) - 1], cities, None
    if "break" in said:
        return [], [], "The mind broke."
    return ["You said:", said], [], None


def _history(
    request: GenerateResponseRequest, calls: list[ResponseFunctionToolCall]
) -> ResponseHistory:
    """Return what the chat shall remember: the calls, so that their outputs are taken."""
    items = [
        RealtimeConversationItemFunctionCall(
            type="function_call", name=call.name, arguments=call.arguments, call_id=call.call_id
        )
        for call in calls
    ]
    chat = request.runtime_config.chat
    anchor = chat.history_anchor_id()
    return ResponseHistory.capture(chat, items, after_item_id=anchor, complete=True)


def _call(name: str, city: str) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        type="function_call",
        id=f"fc_{city}",
        name=name,
        call_id=f"call_{city}",
        arguments=json.dumps({"city": city}),
    )


class Voice(BaseHandler[Any, Any]):
    """Hums; a story it hums until it is interrupted."""

    def setup(self, cancel_scope: CancelScope) -> None:
        self.cancel_scope = cancel_scope
        self.hum = (3000 * np.sin(np.arange(1600) * (2 * np.pi * 200 / SAMPLES_PER_S))).astype(
            np.int16
        )

    def process(self, item: TTSInput | EndOfResponse) -> Iterator[Any]:
        if isinstance(item, EndOfResponse):
            yield AUDIO_RESPONSE_DONE
            return
        for _ in item.text.split():
            yield self.hum
        while "story" in item.text and not self.cancel_scope.is_stale(item.cancel_generation):
            if self.stop_event.wait(0.02):
                return


def make_unit(index: int, stop: Event) -> PipelineUnit:
    """Return a pipeline as the package's own builder makes it, but for the four stages."""
    heard, spoken, written, prompts, thought, to_say, sound, told = (Queue() for _ in range(8))
    scope, listens = CancelScope(), Event()
    handlers = [
        Ears(stop, heard, spoken, setup_args=(told,)),
        Writer(stop, spoken, written),
        TranscriptionNotifier(stop, written, prompts, setup_args=(told, listens)),
        Mind(stop, prompts, thought, setup_args=(scope,)),
        LMOutputProcessor(stop, thought, to_say, setup_kwargs={"text_output_queue": told}),
        Voice(stop, to_say, sound, setup_args=(scope,)),
    ]
    return PipelineUnit(
        index=index,
        service=RealtimeService(text_prompt_queue=prompts, should_listen=listens),
        cancel_scope=scope,
        should_listen=listens,
        response_playing=Event(),
        input_queue=heard,
        output_queue=sound,
        text_output_queue=told,
        text_prompt_queue=prompts,
        handlers=handlers,
    )


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Serve until standard input ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = Event()
    pool = [make_unit(index, stop) for index in range(int(sys.argv[1]))]
    server = RealtimeServer(stop, pool, host="127.0.0.1", port=port)
    threads = ThreadManager([handler for unit in pool for handler in unit.handlers])
    threads.start()
    serving = threading.Thread(target=server.run)
    serving.start()
    while serving.is_alive() and not _answers(port):
        stop.wait(0.02)
    url = f"ws://127.0.0.1:{port}/v1/realtime"
    print(json.dumps({"version": version("speech-to-speech"), "url": url}), flush=True)
    sys.stdin.read()
    stop.set()
    serving.join()


if __name__ == "__main__":
    main()
