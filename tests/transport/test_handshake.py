from __future__ import annotations

import errno
import socket
import ssl

import pytest

from duologue.errors import ConfigurationError, HandshakeRefused
from duologue.transport.handshake import check_headers, check_url, secrets_in, unreachable


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://localhost", "ws://localhost"),
        ("wss://API.example.com:8443/v1/x?key=secret", "wss://api.example.com:8443/v1/x"),
        ("ws://[::1]:80/?", "ws://[::1]:80/"),
    ],
)
def test_a_url_is_shown_without_its_query(url: str, shown: str) -> None:
    assert check_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8000?secret", "http://localhost?secret", "ws:///v1?secret", "ws://:80?secret",
        "ws://user:secret@localhost", "ws://secret@localhost", "ws://localhost#secret",
        "ws://localhost/a b?secret", "ws://localhost/\r\n?secret", "ws://localhost:port?secret",
        "ws://[::1?secret",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_is_refused_without_telling_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "1\r\nHost: evil"), ("X-A", "\0"), ("X-A", "“1”"), ("X-A", "é"),
        ("X A", "1"), ("X-A:", "1"), ("", "1"),
    ],
)  # fmt: skip
def test_a_header_cannot_break_out_of_its_line(header: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        check_headers(dict([header]), [])


@pytest.mark.parametrize("name", ["", "a b", "a,b", "a\r\nb"])
def test_a_subprotocol_is_a_token(name: str) -> None:
    with pytest.raises(ConfigurationError, match="subprotocol"):
        check_headers({}, ["realtime", name])


def test_headers_and_subprotocols_become_the_request() -> None:
    assert check_headers({"A": "b\tc d"}, []) == {"A": "b\tc d"}
    assert check_headers({"A": "b"}, ["x", "y"]) == {"A": "b", "Sec-WebSocket-Protocol": "x, y"}


def test_every_long_word_of_the_request_counts_as_a_secret() -> None:
    found = secrets_in("ws://h/?key=0123456789ab&model=short", ["Bearer abcdefghijkl", "x, y"])
    assert found == {"0123456789ab", "abcdefghijkl"}


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "connection reset by peer"),
        (OSError("the host has no address"), "the connection broke while it was made"),
        (ssl.SSLError(1, "[SSL] odd"), "TLS failed"),
    ],
)
def test_what_went_wrong_is_one_clause(error: Exception, why: str) -> None:
    assert unreachable("ws://host/v1", error).reason == f"cannot reach ws://host/v1: {why}"


def test_a_certificate_nobody_trusts_is_named() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    told = unreachable("wss://host", error).reason
    assert told.endswith("its certificate is not trusted: self-signed certificate")


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (401, '{"error":{"message":"Bad key: sk-1.","code":1}}', "the API key is missing or wrong"),
        (429, '{"error":{"message":"No credit."}}', "try again later; the server says: No credit."),
        (
            404,
            '{"error":{"code":"DeploymentNotFound","message":"No deployment."}}',
            "No deployment.",
        ),
        (404, '{"error":"No such call."}', "; the server says: No such call."),
        (404, '{"detail":"Not Found"}', "; the server says: Not Found"),
        (400, '{"message":"Bad model."}', "HTTP 400: Bad model."),
        (403, "Host not allowed", "; the server says: Host not allowed"),
        (502, "<html>Bad gateway</html>", "HTTP 502: no reason given"),
        (502, "x" * 1000, "HTTP 502: no reason given"),
        (400, "[" * 1000, "HTTP 400: no reason given"),
        (400, '{"error":[1]}', "HTTP 400: no reason given"),
        (400, "", "HTTP 400: no reason given"),
    ],
)
def test_a_refused_handshake_repeats_the_servers_words(status: int, body: str, shown: str) -> None:
    text = str(HandshakeRefused(status, body))
    assert shown in text
    assert "sk-1" not in text
