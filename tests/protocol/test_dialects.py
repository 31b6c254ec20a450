"""Dialect adapters: both dialects, both ends."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from tests.protocol.protocol_data import Example, examples
from tests.protocol.strategies import FEW, classes, instances

from duologue.errors import ConfigurationError, DecodeError, LocalProtocolError
from duologue.protocol import beta, codec, ga
from duologue.protocol.dialects import InvalidClientEvent, dialect_adapter
from duologue.protocol.dialects.beta import REFERENCE_SESSION, session_to_ga
from duologue.protocol.ga import translation
from duologue.protocol.ga.session import merge_session
from duologue.protocol.model import UNSET, UnknownEvent
from duologue.protocol.translate import LossRule, to_ga

GA = dialect_adapter("ga")
BETA = dialect_adapter("beta")
PLACE = {"response_id": "resp_1", "output_index": 0, "item_id": "item_a", "content_index": 0}


def frame_of(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def sent_by(adapter: Any, event: Any) -> list[dict[str, Any]]:
    """Return what goes over the wire for an event of the application."""
    core_event = adapter.client_event_to_ga(event)
    return [json.loads(codec.encode(e)) for e in adapter.client_event_to_wire(core_event)]


def reported(adapter: Any, event: Any) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in adapter.encode_server(event)]


# The registry.


def test_an_adapter_knows_its_dialect_and_surface() -> None:
    adapter = dialect_adapter("ga", "translation")
    assert (adapter.dialect, adapter.surface) == ("ga", "translation")
    assert (BETA.dialect, BETA.surface) == ("beta", "realtime")


def test_a_dialect_must_exist_and_have_the_surface() -> None:
    wrong: Any = "alpha"
    with pytest.raises(ConfigurationError, match="'alpha'"):
        dialect_adapter(wrong)
    with pytest.raises(ConfigurationError, match="GA only"):
        dialect_adapter("beta", "translation")


def test_the_ga_adapter_does_not_import_beta() -> None:
    code = (
        "import sys; from duologue.protocol.dialects import dialect_adapter; dialect_adapter('ga');"
        "assert 'duologue.protocol.beta' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# A client's end.


def test_a_client_decodes_and_repairs_server_events_of_the_wire() -> None:
    delta = GA.decode_server(frame_of("response.output_text.delta", item_id="i", delta="Hi"))
    assert isinstance(delta, ga.ResponseTextDeltaEvent)
    flat = BETA.decode_server(frame_of("response.text.delta", item_id="i", delta="Hi"))
    assert isinstance(flat, beta.ResponseTextDeltaEvent)
    with pytest.raises(DecodeError):
        BETA.decode_server(b"nonsense")


def test_an_event_that_is_alike_in_ga_has_no_other() -> None:
    frame = frame_of("response.output_text.delta", event_id="e", **PLACE, delta="Hi")
    assert GA.server_event_to_ga(GA.decode_server(frame)) == ()
    unknown = UnknownEvent(type="future", raw=b'{"type":"future"}')
    cleared = frame_of("input_audio_buffer.cleared", event_id="e")
    assert BETA.server_event_to_ga(BETA.decode_server(cleared)) == ()
    assert BETA.server_event_to_ga(unknown) == ()


def test_a_beta_server_event_becomes_one_or_two_of_ga() -> None:
    frame = frame_of("response.text.delta", event_id="e", **PLACE, delta="Hi")
    (delta,) = BETA.server_event_to_ga(BETA.decode_server(frame))
    assert delta == ga.ResponseTextDeltaEvent(event_id="e", **PLACE, delta="Hi")
    item = {"id": "item_a", "type": "message", "role": "user", "status": "completed", "content": []}
    frame = frame_of("conversation.item.created", event_id="e", item=item)
    kinds = [type(event) for event in BETA.server_event_to_ga(BETA.decode_server(frame))]
    assert kinds == [ga.ConversationItemAdded, ga.ConversationItemDone]


def test_the_application_may_use_either_dialect_on_a_beta_connection() -> None:
    config = beta.SessionConfig(voice="ash", temperature=0.9)
    update = beta.SessionUpdateEvent(event_id="e", session=config)
    flat = {"voice": "ash", "temperature": 0.9}
    assert sent_by(BETA, update) == [{"type": "session.update", "event_id": "e", "session": flat}]
    params = beta.ResponseCreateParams(modalities=["text"], temperature=0.7)
    told = {"modalities": ["text"], "temperature": 0.7}
    event: Any = beta.ResponseCreateEvent(response=params)
    assert sent_by(BETA, event) == [{"type": "response.create", "response": told}]
    event = ga.ResponseCreateEvent(response=ga.ResponseCreateParams(output_modalities=["text"]))
    assert sent_by(BETA, event)[0]["response"] == {"modalities": ["text"]}


def test_a_ga_event_goes_over_the_wire_as_it_is() -> None:
    event = ga.InputAudioBufferCommitEvent()
    assert GA.client_event_to_ga(event) is event
    assert GA.client_event_to_wire(event) == (event,)


def test_an_event_that_beta_lacks_is_refused_before_it_is_sent() -> None:
    params = ga.ResponseCreateParams(parallel_tool_calls=False)
    with pytest.raises(LocalProtocolError, match=r"beta has no response\.parallel_tool_calls"):
        BETA.client_event_to_ga(ga.ResponseCreateEvent(response=params))
    transcription = beta.SessionConfig(extra={"type": "transcription"})
    with pytest.raises(LocalProtocolError, match="conversation"):
        session_to_ga(transcription)


@pytest.mark.parametrize("adapter", [GA, BETA], ids=["ga", "beta"])
def test_an_event_that_is_not_json_is_refused_before_it_is_sent(adapter: Any) -> None:
    item = ga.Message(role="user", content=[ga.InputText(text="\ud83d")])
    with pytest.raises(LocalProtocolError, match=r"conversation\.item\.create cannot be written"):
        adapter.client_event_to_ga(ga.ConversationItemCreateEvent(item=item))
    append = ga.InputAudioBufferAppendEvent.of(b"\1\2")
    assert adapter.client_event_to_ga(append) is append


@pytest.mark.parametrize("adapter", [GA, BETA], ids=["ga", "beta"])
def test_audio_is_appended_alike(adapter: Any) -> None:
    frame, event = codec.append_event(b"\1\2", "event_1")
    [wire] = adapter.client_event_to_wire(event)
    assert codec.encode(wire) == frame
    assert json.loads(frame) == {
        "type": "input_audio_buffer.append",
        "event_id": "event_1",
        "audio": "AQI=",
    }


def test_a_beta_session_begins_with_the_reference_clients_configuration() -> None:
    assert GA.initial_session(None) == ga.RealtimeSession()
    wanted = ga.RealtimeSession(instructions="x")
    assert GA.initial_session(wanted) is wanted
    assert BETA.initial_session(None) == REFERENCE_SESSION
    first = BETA.initial_session(
        ga.RealtimeSession(
            audio=ga.AudioConfig(input=ga.AudioInput(turn_detection=ga.ServerVad())),
            extra={"temperature": 0.6},
        )
    )
    (event,) = sent_by(BETA, ga.SessionUpdateEvent(session=first))
    assert event["session"] == {
        "modalities": ["text", "audio"],
        "instructions": "",
        "voice": "verse",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": None,
        "turn_detection": {"type": "server_vad"},
        "tools": [],
        "tool_choice": "auto",
        "temperature": 0.6,
        "max_response_output_tokens": 4096,
    }


def test_a_change_of_a_session_keeps_what_is_unset_and_clears_by_null() -> None:
    audio = ga.AudioConfig(
        input=ga.AudioInput(turn_detection=ga.ServerVad()), output=ga.AudioOutput(speed=1.0)
    )
    base = ga.RealtimeSession(instructions="x", audio=audio, extra={"a": 1})
    silent = ga.AudioConfig(input=ga.AudioInput(turn_detection=None))
    assert merge_session(base, ga.RealtimeSession(audio=silent, extra={"b": 2})) == (
        ga.RealtimeSession(
            instructions="x",
            audio=ga.AudioConfig(
                input=ga.AudioInput(turn_detection=None), output=ga.AudioOutput(speed=1.0)
            ),
            extra={"a": 1, "b": 2},
        )
    )


@pytest.mark.parametrize("kind", classes("beta", "client"), ids=lambda kind: kind.__name__)
def test_a_beta_client_event_loses_nothing_but_what_translation_names(kind: type) -> None:
    """Temperature is a loss in GA, but still sent; turn detection gets the type that GA wants."""

    @FEW
    @given(instances(kind))
    def check(event: Any) -> None:
        body: dict[str, Any] = json.loads(codec.encode(event))
        for loss in to_ga(event).losses:
            if loss.rule is not LossRule.TEMPERATURE:
                place, _, name = loss.path.rpartition(".")
                del (body[place] if place else body)[name]
        if isinstance(detection := body.get("session", {}).get("turn_detection"), dict):
            detection.setdefault("type", "server_vad")
        assert sent_by(dialect_adapter("beta"), event) == [body]

    check()


# A server's end.


CLIENT_EXAMPLES = [e for e in examples() if e.direction == "client" and e.surface != "translation"]


@pytest.mark.parametrize(
    "example", [e for e in CLIENT_EXAMPLES if e.dialect == "ga"], ids=lambda e: e.id
)
def test_a_server_decodes_ga_events_as_the_codec_does(example: Example) -> None:
    decoded = codec.decode(example.frame, direction="client")
    assert list(GA.decode_client(example.frame)) == [decoded]


@pytest.mark.parametrize(
    "example", [e for e in CLIENT_EXAMPLES if e.dialect == "beta"], ids=lambda e: e.id
)
def test_a_server_decodes_beta_events_as_events_of_ga(example: Example) -> None:
    try:
        decoded = dialect_adapter("beta").decode_client(example.frame.decode())
    except InvalidClientEvent as error:
        assert error.param  # noqa: PT017  # an example may break a rule of the reference
        return
    assert [isinstance(event, ga.KnownClientEvent) for event in decoded] == [True]


def test_a_translation_session_has_events_of_its_own() -> None:
    adapter = dialect_adapter("ga", "translation")
    frame = frame_of("session.input_audio_buffer.append", audio="AQI=")
    (event,) = adapter.decode_client(frame)
    assert isinstance(event, translation.RealtimeTranslationInputAudioBufferAppendEvent)


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_frame_that_is_no_event_is_blamed_on_its_id_if_it_has_one(dialect: Any) -> None:
    adapter = dialect_adapter(dialect)
    for frame in (b"nonsense", '{"event_id": 1}', b'"text"', b"\xff"):
        with pytest.raises(DecodeError):
            adapter.decode_client(frame)
    with pytest.raises(InvalidClientEvent) as caught:
        adapter.decode_client('{"event_id": "mine"}')
    error = caught.value
    assert (error.code, error.param, error.event_id) == ("invalid_event", None, "mine")
    assert (
        error.message
        == str(error)
        == 'Invalid event: the event has no `type`: …{"event_id": "mine"}….'
    )


def test_a_beta_event_is_validated_in_the_clients_own_terms() -> None:
    frame = frame_of("session.update", event_id="mine", session={"temperature": 7})
    with pytest.raises(InvalidClientEvent) as caught:
        BETA.decode_client(frame)
    error = caught.value
    assert (error.code, error.param) == ("invalid_value", "session.temperature")
    assert error.event_id == "mine"
    with pytest.raises(InvalidClientEvent, match="audio_gain"):
        BETA.decode_client(frame_of("input_audio_buffer.append", audio="AQI=", audio_gain=1))


def test_the_audio_of_an_append_is_not_validated() -> None:
    (event,) = BETA.decode_client(frame_of("input_audio_buffer.append", audio="???"))
    assert isinstance(event, ga.InputAudioBufferAppendEvent)
    assert event.event_id is UNSET


def test_a_beta_server_reports_the_temperature_that_was_asked_for() -> None:
    adapter = dialect_adapter("beta")
    created = ga.SessionCreatedEvent(event_id="e", session=ga.RealtimeSession())
    updated = ga.SessionUpdatedEvent(event_id="e", session=ga.RealtimeSession())
    assert reported(adapter, created)[0]["session"] == {"temperature": 0.8}
    adapter.decode_client(frame_of("session.update", session={"temperature": 1.0}))
    adapter.decode_client(frame_of("session.update", session={"voice": "ash"}))
    assert reported(adapter, updated)[0]["session"] == {"temperature": 1.0}
    other = ga.SessionCreatedEvent(event_id="e", session=ga.TranscriptionSession())
    assert reported(adapter, other) == [
        {"type": "transcription_session.created", "event_id": "e", "session": {}}
    ]


def test_a_server_event_has_as_many_frames_as_the_dialect_has_events() -> None:
    done = ga.ConversationItemDone(event_id="e", item=ga.Message(role="user", content=[]))
    assert len(GA.encode_server(done)) == 1
    assert BETA.encode_server(done) == []
    (frame,) = GA.encode_server(done)
    assert frame == codec.encode(done)


@pytest.mark.parametrize(
    ("param", "shown"),
    [
        ("session.audio.output.voice", "session.voice"),
        ("session.audio.input.turn_detection.threshold", "session.turn_detection.threshold"),
        ("session.tools[0].name", "session.tools[0].name"),
        (None, None),
    ],
)
def test_an_error_names_the_fields_of_beta(param: str | None, shown: str | None) -> None:
    body = ga.RealtimeError(type="invalid_request_error", message="no", param=param)
    event = ga.RealtimeErrorEvent(event_id="e", error=body)
    assert reported(BETA, event)[0]["error"]["param"] == shown
    assert reported(GA, event)[0]["error"]["param"] == param
