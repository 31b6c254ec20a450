"""Checks of `duologue doctor` without a network: URL, key, configuration, and the explanations."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from duologue.cli.doctor import explanations
from duologue.cli.doctor.settings import (
    Check,
    check_configuration,
    check_key,
    check_packages,
    check_url_form,
    explain_bad_url,
    read_configuration,
    removed,
)
from duologue.client.endpoint import Endpoint
from duologue.errors import (
    ConfigurationError,
    ConnectionLost,
    DialectRefused,
    HandshakeRefused,
    ServerError,
    SessionRefused,
)

if TYPE_CHECKING:
    from duologue.cli.doctor.settings import Status
    from duologue.protocol.codec import Dialect

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SPEED = {"type": "realtime", "audio": {"output": {"speed": 9}}}


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("https://api.openai.com/v1", "--url wss://api.openai.com/v1/realtime"),
        ("api.openai.com", "--url wss://api.openai.com/v1/realtime"),
        ("http://localhost:8080/v1?api_key=k", "--url ws://localhost:8080/v1/realtime"),
        ("'wss://voice.example/v1/realtime'", "--url wss://voice.example/v1/realtime"),
        ("https://mine.openai.azure.com/openai/v1", "--azure https://mine.openai.azure.com"),
        ("sk-proj-0123456789", "write wss://host/v1/realtime"),
        ("wss://me:sesame@voice.example/v1/realtime", "write wss://host/v1/realtime"),
    ],
)
def test_a_url_that_cannot_be_used_gets_the_one_that_was_meant(url: str, fix: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Endpoint(url, api_key="k")
    check = explain_bad_url(url, refused.value)
    assert (check.status, fix in str(check.fix)) == ("failed", True)
    assert "sk-" not in f"{check.fact}{check.fix}"
    assert "sesame" not in f"{check.fact}{check.fix}"


@pytest.mark.parametrize(
    ("url", "status", "fix"),
    [
        ("wss://voice.example/v1/realtime?model=m", "ok", None),
        ("ws://127.0.0.1:8080/v1/realtime", "ok", None),
        ("wss://voice.example", "warning", "try wss://voice.example/v1/realtime"),
        ("wss://voice.example/v1", "warning", "try wss://voice.example/v1/realtime"),
        ("wss://voice.example/realtime", "warning", "try wss://voice.example/v1/realtime"),
        ("ws://voice.example/v1/realtime", "warning", "use wss://"),
        ("wss://a.openai.azure.com/openai/v1/realtime", "warning", "--azure https://a.openai"),
        ("wss://voice.example/v1/realtime?model=other", "warning", "leave one of them out"),
    ],
)
def test_common_mistakes_in_a_url_are_warnings(url: str, status: Status, fix: str | None) -> None:
    check = check_url_form(url, is_azure=False, model="m")
    assert (check.status, (fix or "") in (check.fix or "")) == (status, True)


@pytest.mark.parametrize(
    ("key", "host", "status", "fact"),
    [
        ("sk-proj-0123456789", "api.openai.com", "ok", "a key of OpenAI is sent"),
        ("ek_0123456789", "api.openai.com", "ok", "expires"),
        ("sk-0123456789\n", "api.openai.com", "failed", "line break"),
        ("'sk-0123456789'", "api.openai.com", "failed", "quotation marks"),
        ("Bearer sk-0123456789", "api.openai.com", "failed", "name of its header"),
        ("sk-01234 56789", "api.openai.com", "failed", "contains white space"),
        ("sk-0123456789…é", "127.0.0.1", "failed", "not ASCII"),
        ("your-api-key", "api.openai.com", "failed", "placeholder"),
        ("$OPENAI_API_KEY", "api.openai.com", "failed", "placeholder"),
        ("my-own-key", "127.0.0.1", "ok", "a key is sent"),
        ("sk-ant-0123456789", "api.openai.com", "warning", "Anthropic"),
        ("sk-admin-0123456789", "api.openai.com", "warning", "opens no sessions"),
        ("org-0123456789", "api.openai.com", "warning", "id of an organization"),
        ("0123456789abcdef0123456789abcdef", "api.openai.com", "warning", "a key of Azure"),
        ("0123456789abcdef0123456789abcdef", "a.openai.azure.com", "ok", "a key of Azure"),
        ("sk-0123456789", "a.openai.azure.com", "warning", "a key of OpenAI"),
        ("sk-0123456789", "api.x.ai", "warning", "a key of OpenAI"),
        ("secret-0123456789", "api.openai.com", "warning", "not known there"),
        (None, "voice.example", "warning", "no key is sent"),
        (None, "localhost", "ok", "no key is sent"),
    ],
)
def test_a_key_is_judged_by_its_form_and_never_shown(
    key: str | None, host: str, status: Status, fact: str
) -> None:
    check = check_key(key, host)
    assert (check.status, fact in check.fact) == (status, True)
    assert "0123456789" not in f"{check.fact}{check.fix}"


def test_missing_packages_are_named_with_their_extra() -> None:
    check = check_packages("1.0", "3.12", "OpenSSL 3", {"cli": [], "rest": ["httpx2"]})
    assert check.fact.endswith("extras: cli; not installed: rest (httpx2)")


def checked(text: str, dialect: Dialect = "ga") -> list[Check]:
    found = read_configuration(text)
    return (
        [found] if isinstance(found, Check) else [*check_configuration(found, dialect, "realtime")]
    )


@pytest.mark.parametrize(
    "value",
    [
        SPEED,
        {"session": SPEED},
        {"type": "session.update", "session": SPEED},
        {"type": "response.create", "response": {"audio": {"output": {"voice": 5}}}},
        {"metadata": {"k": "v" * 1000}},
    ],
)
def test_a_session_or_response_may_be_bare_or_in_its_event(value: dict[str, Any]) -> None:
    [check] = checked(json.dumps(value))
    assert check.status == "failed"
    assert check.fact.startswith("Invalid")
    assert check.fix


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "no object"),
        ('{"type": "realtime", "instructions": NaN}', "JSON"),
        ('{"instructions": "Be brief."}', "session.type"),
    ],
)
def test_a_file_that_holds_no_configuration_is_explained(text: str, fact: str) -> None:
    check = checked(text)[-1]
    assert (check.status, fact in check.fact) == ("failed", True)


def test_fields_of_beta_get_their_place_in_ga() -> None:
    checks = checked('{"type": "realtime", "voice": "marin", "modalities": ["text"]}')
    assert [check.fix for check in checks] == [
        "write it as session.audio.output.voice",
        "write it as session.output_modalities, as ['audio'] or ['text']",
    ]
    whole = '{"voice": "alloy", "temperature": 0.8}'
    assert checked(whole, "beta")[0].status == "ok"
    assert "--dialect beta" in str(checked(whole)[0].fix)


def test_a_file_with_many_problems_lists_the_first() -> None:
    checks = checked(json.dumps({"type": "realtime", **{f"new_{n}": n for n in range(50)}}))
    assert len(checks) == 21
    assert checks[-1].fact == "there are 30 more problems"


def test_tokens_of_mcp_servers_count_as_secrets() -> None:
    tool = {"type": "mcp", "authorization": "tok-1", "headers": {"X-Key": "tok-2"}}
    found = read_configuration(json.dumps({"type": "realtime", "tools": [tool]}))
    assert not isinstance(found, Check)
    assert found.secrets == {"tok-1", "tok-2"}


def test_short_secrets_are_removed_as_words_and_long_ones_anywhere() -> None:
    secrets = frozenset({"none", "sesame-key"})
    assert removed("nonesuch, none, xsesame-keyx", secrets) == "nonesuch, [removed], x[removed]x"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), "there is no host h"),
        (socket.gaierror(socket.EAI_AGAIN, ""), "no DNS server answered"),
        (TimeoutError(), "took too long"),
    ],
)
def test_a_failed_lookup_is_explained(error: OSError, words: str) -> None:
    check = explanations.explain_dns_failure("h", error)
    assert (words in check.fact, bool(check.fix)) == (True, True)


@pytest.mark.parametrize(
    ("host", "error", "words"),
    [
        ("h", ConnectionRefusedError(111, ""), "the server is running"),
        ("localhost", ConnectionRefusedError(111, ""), "duologue serve --port 80"),
        ("h", TimeoutError(), "firewall"),
        ("h", OSError(101, ""), "VPN"),
        ("h", OSError(13, ""), "proxy"),
        ("h", OSError(), "proxy"),
    ],
)
def test_a_connection_that_fails_is_explained(host: str, error: OSError, words: str) -> None:
    assert words in str(explanations.explain_tcp_failure(host, 80, error).fix)


@pytest.mark.parametrize(
    ("missing_file", "has_roots", "words"),
    [
        ("/no/ca.pem", True, "/no/ca.pem"),
        (None, False, "Install Certificates"),
        (None, True, "PEM"),
    ],
)
def test_a_certificate_that_python_cannot_check_is_explained(
    missing_file: str | None, has_roots: bool, words: str
) -> None:
    error = ssl.SSLCertVerificationError(1, "failed")
    error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"
    check = explanations.explain_tls_failure(
        "h", error, missing_file=missing_file, has_roots=has_roots
    )
    assert "unable to get local issuer certificate" in check.fact
    assert words in str(check.fix)


@pytest.mark.parametrize(
    ("error", "words"),
    [(TimeoutError(), "did not answer"), (ConnectionResetError(), "the server hung up")],
)
def test_tls_that_ends_early_is_explained(error: OSError, words: str) -> None:
    check = explanations.explain_tls_failure("h", error, missing_file=None, has_roots=True)
    assert words in check.fact


@pytest.mark.parametrize(
    ("seconds", "status", "words"),
    [
        (0, "ok", "agree"),
        (-59, "ok", "agree"),
        (61, "warning", "ahead"),
        (-90, "warning", "behind"),
    ],
)
def test_a_clock_may_be_a_minute_wrong(seconds: int, status: Status, words: str) -> None:
    check = explanations.explain_clock(NOW + timedelta(seconds=seconds), NOW)
    assert (check.status, words in check.fact) == (status, True)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (HandshakeRefused(200), "an ordinary web page"),
        (HandshakeRefused(301), "redirects"),
        (HandshakeRefused(401), "check the key"),
        (HandshakeRefused(403), "permissions"),
        (HandshakeRefused(404), "/v1/realtime"),
        (HandshakeRefused(407), "proxy"),
        (HandshakeRefused(418), "check the URL"),
        (HandshakeRefused(429), "credit"),
        (HandshakeRefused(429, retry_after=7), "in 7 s"),
        (HandshakeRefused(502), "status page"),
        (HandshakeRefused(503, retry_after=9), "in 9 s"),
    ],
)
def test_each_http_status_has_its_fix(refused: HandshakeRefused, words: str) -> None:
    check = explanations.explain_handshake(refused)
    assert f"HTTP {refused.status}" in check.fact
    assert words in str(check.fix)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError("nothing came"), "see its log"),
        (DialectRefused("beta_api_shape_disabled", code=4000), "leave out --dialect beta"),
        (SessionRefused("invalid_request_error.invalid_model", code=4000), "--model"),
        (SessionRefused("x", code=1000, error=ServerError("m", code="model_not_found")), "--model"),
        (SessionRefused("x", error=ServerError("m", code="account_deactivated")), "account"),
        (SessionRefused("forbidden", code=3003), "permissions"),
        (ConnectionLost("overloaded", code=1013), "try again later"),
        (ConnectionLost("odd", code=4999), "words"),
    ],
)
def test_each_end_of_a_session_that_did_not_begin_has_its_fix(
    error: ConnectionLost | SessionRefused | TimeoutError, words: str
) -> None:
    check = explanations.explain_session_end(error)
    assert (check.status, words in str(check.fix)) == ("failed", True)


def test_a_refused_key_is_reported_without_the_servers_words() -> None:
    error = ServerError("Incorrect API key provided: sk-01***89.", code="invalid_api_key")
    refused = SessionRefused("invalid_request_error.invalid_api_key", code=3000, error=error)
    check = explanations.explain_session_end(refused)
    assert "sk-" not in check.fact
    assert "close code 3000" in check.fact


@pytest.mark.parametrize(
    ("asked", "named", "status"),
    [
        ("gpt-realtime", "gpt-realtime", "ok"),
        ("gpt-realtime", "gpt-realtime-2025-08-28", "ok"),
        ("gpt-realtime", "llama", "warning"),
        (None, "llama", "ok"),
        ("gpt-realtime", None, "skipped"),
    ],
)
def test_the_sessions_model_is_compared(
    asked: str | None, named: str | None, status: Status
) -> None:
    assert explanations.explain_model(asked, named, is_azure=False).status == status
    if named is not None:
        assert explanations.explain_model(asked, named, is_azure=True).status == "ok"


def test_a_slow_round_trip_is_a_warning() -> None:
    assert explanations.explain_round_trip(0.1).status == "ok"
    assert explanations.explain_round_trip(0.9).status == "warning"


def test_the_first_event_may_be_of_either_dialect() -> None:
    assert explanations.explain_dialect("ga", None).status == "skipped"


def test_ignored_values_are_named_by_path() -> None:
    sent = {"audio": {"output": {"speed": 1, "voice": "marin"}}, "tools": [{}], "prompt": None}
    shown = {"audio": {"output": {"speed": 1.0, "voice": "alloy"}}, "tools": []}
    assert list(explanations.ignored_fields(sent, shown)) == ["session.audio.output.voice"]
    assert list(explanations.ignored_fields({"audio": {"speed": 1}}, 5)) == ["session.audio.speed"]


def test_a_certificate_that_expires_soon_is_a_warning() -> None:
    assert explanations.explain_certificate("TLSv1.3", "X", 5).status == "warning"
    assert explanations.explain_certificate("TLSv1.3", "X", 90).status == "ok"
