"""What a client's path, query, headers and subprotocols ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duologue.server.auth import HttpRejection
from duologue.server.handshake import SessionRejected, SessionRequest, read_session_request
from duologue.server.session.config import SessionType

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

BETA_HEADER = {"openai-beta": "realtime=v1"}


def opened(
    path: str = "/v1/realtime",
    *,
    headers: dict[str, str] | None = None,
    offers: list[str] | None = None,
    dialect: Dialect | None = None,
    bound: SessionType | None = None,
    **query: str,
) -> SessionRequest:
    query = {name.replace("api_version", "api-version"): value for name, value in query.items()}
    return read_session_request(
        path, query, headers or {}, offers or [], dialect=dialect, bound=bound
    )


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime"])
def test_a_client_that_says_no_more_holds_a_conversation_in_ga(path: str) -> None:
    assert opened(path) == SessionRequest(SessionType.CONVERSATION, "ga", "gpt-realtime")
    assert opened(path, model="gpt-realtime-2").model == "gpt-realtime-2"


def test_the_header_the_subprotocol_and_the_path_each_mean_beta() -> None:
    assert opened(headers=BETA_HEADER).dialect == "beta"
    assert opened(headers={"openai-beta": "assistants=v2, realtime=v1"}).dialect == "beta"
    assert opened(offers=["realtime", "openai-beta.realtime-v1"]).dialect == "beta"
    assert opened("/voice-live/realtime").dialect == "beta"


def test_dated_previews_of_azure_are_beta_and_name_a_deployment() -> None:
    azure = opened("/openai/realtime", api_version="2025-04-01-preview", deployment="mine")
    assert azure == SessionRequest(SessionType.CONVERSATION, "beta", "mine")
    assert opened("/openai/realtime", deployment="mine").dialect == "beta"


def test_a_dated_path_without_a_preview_is_ga_as_the_official_sdk_has_it() -> None:
    assert opened("/openai/realtime", api_version="2025-08-28", deployment="m").dialect == "ga"


def test_the_flag_overrules_what_the_client_shows() -> None:
    assert opened(dialect="beta").dialect == "beta"
    assert opened("/voice-live/realtime", headers=BETA_HEADER, dialect="ga").dialect == "ga"


@pytest.mark.parametrize("headers", [{}, BETA_HEADER])
def test_the_intent_asks_for_transcription(headers: dict[str, str]) -> None:
    asked = opened(headers=headers, intent="transcription")
    assert (asked.session_type, asked.model) == (SessionType.TRANSCRIPTION, None)
    assert opened(headers=headers, intent="transcription", model="") == asked


def test_a_deployment_is_the_model_that_transcribes() -> None:
    asked = opened("/openai/realtime", intent="transcription", deployment="my-whisper")
    assert asked == SessionRequest(SessionType.TRANSCRIPTION, "beta", "my-whisper")


def test_in_ga_a_model_in_the_url_makes_a_conversation_whatever_the_intent() -> None:
    assert (
        opened(intent="transcription", model="gpt-realtime").session_type
        is SessionType.CONVERSATION
    )


def test_in_beta_a_model_in_the_url_of_a_transcription_is_refused() -> None:
    with pytest.raises(SessionRejected) as dismissed:
        opened(headers=BETA_HEADER, intent="transcription", model="whisper-1")
    assert dismissed.value.code == "invalid_model"


def test_translation_has_a_path_of_its_own_and_speaks_ga_alone() -> None:
    asked = opened("/v1/realtime/translations", headers=BETA_HEADER, dialect="beta")
    assert asked == SessionRequest(SessionType.TRANSLATION, "ga", "gpt-realtime-translate")


def test_there_are_no_calls_to_join() -> None:
    with pytest.raises(HttpRejection) as denied:
        opened(call_id="rtc_1")
    assert (denied.value.status, denied.value.code) == (404, "call_id_not_found")


def test_a_client_secret_says_what_its_session_is_for() -> None:
    assert opened(bound=SessionType.TRANSCRIPTION).session_type is SessionType.TRANSCRIPTION
    assert (
        opened(bound=SessionType.CONVERSATION, intent="transcription").session_type
        is SessionType.CONVERSATION
    )


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ("/v1/realtime", SessionType.TRANSLATION),
        ("/v1/realtime/translations", SessionType.CONVERSATION),
    ],
)
def test_a_client_secret_of_another_path_opens_nothing(path: str, bound: SessionType) -> None:
    with pytest.raises(HttpRejection) as denied:
        opened(path, bound=bound)
    assert (denied.value.status, denied.value.code) == (403, "invalid_client_secret")
