"""What real clients send although the service refuses it: taken as it is meant, and told of.

Published GA clients still say `modalities` in `session.update` and `response.create`, and `voice`
in `response.create`, as in beta.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from duologue.protocol import ga
from duologue.protocol.model import UNSET, replace
from duologue.server.session.engine_work import Command, LogWarning

__all__ = ["CompatibilityReader"]

Config = TypeVar("Config", ga.RealtimeSession, ga.ResponseCreateParams)


class CompatibilityReader:
    """Reads what one client sends, as it is meant."""

    def __init__(self, command: Callable[[Command], None], *, strict: bool) -> None:
        """Have each liberty told of once by a `command`; `strict`: take none."""
        self._command = command
        self._strict = strict
        self._told: set[str] = set()

    def read(self, event: ga.AnyClientEvent) -> ga.AnyClientEvent:
        """Return what an event means."""
        if self._strict:
            return event
        meant, faults = _forgiven(event)
        for fault in faults:
            if fault not in self._told:
                self._told.add(fault)
                self._command(LogWarning(fault))
        return meant


def _forgiven(event: ga.AnyClientEvent) -> tuple[ga.AnyClientEvent, list[str]]:
    """Return an event in the service's own fields, and a sentence on each that was not."""
    match event:
        case ga.SessionUpdateEvent(session=ga.RealtimeSession() as session):
            mended = _with_modalities(session)
            if mended is not session:
                return replace(event, session=mended), [_told("session.modalities")]
        case ga.ResponseCreateEvent(response=ga.ResponseCreateParams() as params):
            shown = _with_modalities(params)
            told = [_told("response.modalities")] if shown is not params else []
            voiced = _with_voice(shown)
            told += [_told("response.voice")] if voiced is not shown else []
            return (replace(event, response=voiced), told) if told else (event, [])
        case _:
            pass
    return event, []


def _told(path: str) -> str:
    right = {"modalities": "output_modalities", "voice": "audio.output.voice"}
    parent, _, name = path.rpartition(".")
    return f"OpenAI refuses '{path}', which a client says: '{parent}.{right[name]}' is meant"


def _with_modalities(config: Config) -> Config:
    """Return the configuration with beta's modalities in today's: audio brings its text."""
    match _extra(config).get("modalities"):
        case ["text"]:
            meant = ["text"]
        case ["audio"] | ["text", "audio"] | ["audio", "text"]:
            meant = ["audio"]
        case _:
            return config
    kept = config.output_modalities
    return _without(config, "modalities", output_modalities=meant if kept is UNSET else kept)


def _with_voice(params: ga.ResponseCreateParams) -> ga.ResponseCreateParams:
    voice = _extra(params).get("voice")
    if not isinstance(voice, str):
        return params
    audio = ga.ResponseAudio() if params.audio is UNSET else params.audio
    output = ga.ResponseAudioOutput() if audio.output is UNSET else audio.output
    if output.voice is UNSET:
        output = replace(output, voice=voice)
    return _without(params, "voice", audio=replace(audio, output=output))


def _extra(config: Config) -> dict[str, object]:
    return {} if config.extra is UNSET else config.extra


def _without(config: Config, name: str, **changes: object) -> Config:
    extra = {key: value for key, value in _extra(config).items() if key != name}
    return replace(config, extra=extra or UNSET, **changes)
