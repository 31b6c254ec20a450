"""Validation of client events: invalid requests are refused, some known mistakes are tolerated.

Published GA clients still send beta's `modalities` in `session.update` and `response.create`, and
`voice` in `response.create`. OpenAI refuses them; this server moves the values to the fields that
replaced them and logs a warning, unless it is strict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, cast

from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.protocol.validate import Problem, first_problem

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CompatibilityReader",
    "InvalidRequest",
    "audio_fault",
    "checked",
    "checked_translation",
]

MAX_EVENT_ID: Final = 512
"""The bound that `validate` checks; repeated here because appends are not validated."""

Config = TypeVar("Config", ga.RealtimeSession, ga.ResponseCreateParams)


class InvalidRequest(Exception):  # an answer to the client, not an error of ours
    """A client event that the session refuses; the session continues.

    Source: codes and messages are those of recorded GA traffic.
    """

    def __init__(
        self,
        code: str | None,
        message: str,
        param: str | None = None,
        *,
        type: str = "invalid_request_error",  # noqa: A002  # the field's name in the protocol
    ) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message
        self.param: Final = param
        self.type: Final = type

    def error(self, event_id: str | UnsetType) -> ga.RealtimeError:
        """Return the body of the `error` event that names the client event at fault."""
        return ga.RealtimeError(
            type=self.type,
            code=self.code,
            message=self.message,
            param=self.param,
            event_id=None if event_id is UNSET else event_id,
        )


def checked(event: ga.AnyClientEvent) -> ga.KnownClientEvent:
    """Return an event that is valid.

    The audio of an append is not decoded here, because appends arrive fifty times a second: an
    error in it is found when it is used (see `audio_fault`).

    Raises:
        InvalidRequest: Names the first problem; an event of an unknown type has one, too.
    """
    if isinstance(event, ga.InputAudioBufferAppendEvent) and _has_only_audio(event):
        return event
    problem = first_problem(event)
    if problem:
        raise _of_problem(problem)
    return cast("ga.KnownClientEvent", event)


def checked_translation(
    event: translation.AnyTranslationClientEvent,
) -> translation.KnownTranslationClientEvent:
    """Return an event of a translation session that is valid; see `checked`.

    Raises:
        InvalidRequest: Names the first problem.
    """
    if isinstance(
        event, translation.RealtimeTranslationInputAudioBufferAppendEvent
    ) and _has_only_audio(event):
        return event
    problem = first_problem(event)
    if problem:
        raise _of_problem(problem)
    return cast("translation.KnownTranslationClientEvent", event)


def audio_fault(
    event: ga.AnyClientEvent | translation.AnyTranslationClientEvent,
) -> InvalidRequest:
    """Return the problem of an event whose audio could not be decoded."""
    problem = first_problem(event)
    if problem is None:
        raise AssertionError("audio that cannot be decoded is a problem")
    return _of_problem(problem)


def _has_only_audio(event: ga.ClientEvent) -> bool:
    """Return whether an append has no fields but its audio, and an id of a valid length."""
    return event.extra is UNSET and len(event.event_id or "") <= MAX_EVENT_ID


def _of_problem(problem: Problem) -> InvalidRequest:
    return InvalidRequest(problem.code, problem.message, problem.path)


class CompatibilityReader:
    """Corrects known mistakes of one client's events."""

    def __init__(self, warn: Callable[[str], None], *, strict: bool) -> None:
        """Create a reader for one session.

        Args:
            warn: Called with a sentence about each kind of mistake, once per kind.
            strict: Correct nothing, so that validation refuses the mistakes.
        """
        self._warn: Final = warn
        self._strict: Final = strict
        self._reported: Final[set[str]] = set()

    def read(self, event: ga.AnyClientEvent) -> ga.AnyClientEvent:
        """Return the event that the client meant."""
        if self._strict:
            return event
        corrected, warnings = _corrected(event)
        for warning in warnings:
            if warning not in self._reported:
                self._reported.add(warning)
                self._warn(warning)
        return corrected


def _corrected(event: ga.AnyClientEvent) -> tuple[ga.AnyClientEvent, list[str]]:
    """Return an event in GA's fields, and a sentence about each field that was not one."""
    match event:
        case ga.SessionUpdateEvent(session=ga.RealtimeSession() as session):
            corrected = _with_output_modalities(session)
            if corrected is not session:
                return replace(event, session=corrected), [_warning("session.modalities")]
        case ga.ResponseCreateEvent(response=ga.ResponseCreateParams() as params):
            renamed = _with_output_modalities(params)
            warnings = [_warning("response.modalities")] if renamed is not params else []
            voiced = _with_output_voice(renamed)
            warnings += [_warning("response.voice")] if voiced is not renamed else []
            return (replace(event, response=voiced), warnings) if warnings else (event, [])
        case _:
            pass
    return event, []


_REPLACED_BY: Final = {"modalities": "output_modalities", "voice": "audio.output.voice"}


def _warning(path: str) -> str:
    parent, _, name = path.rpartition(".")
    replacement = f"{parent}.{_REPLACED_BY[name]}"
    return f"a client sent '{path}', which OpenAI refuses; it is read as '{replacement}'"


def _with_output_modalities(config: Config) -> Config:
    """Move beta's `modalities` to `output_modalities`, in which audio implies its transcript."""
    match _extra(config).get("modalities"):
        case ["text"]:
            modalities = ["text"]
        case ["audio"] | ["text", "audio"] | ["audio", "text"]:
            modalities = ["audio"]
        case _:
            return config
    own = config.output_modalities
    return _without(config, "modalities", output_modalities=modalities if own is UNSET else own)


def _with_output_voice(params: ga.ResponseCreateParams) -> ga.ResponseCreateParams:
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
