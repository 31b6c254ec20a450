"""Explanations of what was found on the network: each fact with its fix.

Nothing is connected to: the arguments are results and exceptions of the probes.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from duologue.cli.doctor.settings import Check, is_local
from duologue.errors import (
    ConnectionLost,
    DialectRefused,
    HandshakeRefused,
    SessionRefused,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from duologue.client.endpoint import DialectChoice
    from duologue.errors import DuologueError
    from duologue.protocol.codec import Dialect

__all__ = [
    "explain_certificate", "explain_clock", "explain_dialect", "explain_dns_failure",
    "explain_handshake", "explain_model", "explain_round_trip", "explain_session_end",
    "explain_tcp_failure", "explain_tls_failure", "ignored_fields",
]  # fmt: skip

MAX_CLOCK_ERROR: Final = 60.0
"""Seconds that the clock may be wrong; client secrets are valid for 10 seconds and more."""

CERTIFICATE_DAYS_LEFT: Final = 14

MAX_ROUND_TRIP: Final = 0.5
"""Seconds; a longer round trip is audible in each turn, and in each interruption most of all."""


# The network.


def explain_dns_failure(host: str, error: Exception) -> Check:
    """Return the check of a host whose address was not found."""
    if isinstance(error, TimeoutError):
        fact = f"the lookup of {host} took too long"
        return Check("dns", "failed", fact, "check the network, the VPN and the DNS server")
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        fact = f"no DNS server answered for {host}"
        return Check("dns", "failed", fact, "check the network, the VPN and the DNS server")
    fix = "check the spelling; a private name needs its VPN, and some networks need a proxy"
    return Check("dns", "failed", f"there is no host {host}", f"{fix}: HTTPS_PROXY")


def explain_tcp_failure(host: str, port: int, error: Exception) -> Check:
    """Return the check of a host and port that no connection was made to."""
    where = f"{host}:{port}"
    if isinstance(error, TimeoutError):
        fix = "check the port; if it is right, a firewall drops the packets: set HTTPS_PROXY"
        return Check("tcp", "failed", f"{where} did not answer", fix)
    if isinstance(error, ConnectionRefusedError):
        fix = "check the port, and that the server is running"
        if is_local(host):
            fix = f"start it: duologue serve --port {port}"
        return Check("tcp", "failed", f"nothing listens on {where}", fix)
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        fix = "check the network and the VPN"
        return Check("tcp", "failed", f"there is no route to {where}", fix)
    reason = type(error).__name__ if not number else errno.errorcode.get(number, str(number))
    fix = "check the network, the proxy and the firewall"
    return Check("tcp", "failed", f"cannot connect to {where}: {reason}", fix)


_TRUST: Final = (
    "if a company's proxy replaces certificates, or the certificate is your own, set SSL_CERT_FILE"
    " to the PEM file of its root"
)
_CERTIFICATE_FIXES: Final[Mapping[int, str]] = {
    9: "set the clock of this machine: for its clock the certificate is not valid yet",
    10: "renew the server's certificate; if it is not expired, set the clock of this machine",
    18: f"{_TRUST}; duologue serve prints it",
    19: _TRUST,
    20: f"{_TRUST}; or the server does not send its intermediate certificates",
    21: f"{_TRUST}; or the server does not send its intermediate certificates",
    62: "use a name that the certificate contains, or correct the certificate",
    64: "use the name that the certificate contains, not the address",
}
"""Fixes by OpenSSL's number of the fault (X509_V_ERR_…)."""


def explain_tls_failure(
    host: str, error: Exception, *, missing_file: str | None, has_roots: bool
) -> Check:
    """Return the check of a TLS handshake that failed.

    Args:
        host: The server.
        error: The failure.
        missing_file: The value of SSL_CERT_FILE or SSL_CERT_DIR, if there is nothing at it.
        has_roots: Whether Python's TLS library has a place for root certificates.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        fact = f"the certificate of {host} is not trusted: {error.verify_message.rstrip('.')}"
        fix = _CERTIFICATE_FIXES.get(error.verify_code, _TRUST)
        if missing_file is not None:
            fix = f"SSL_CERT_FILE or SSL_CERT_DIR names {missing_file}, which does not exist"
        elif not has_roots:
            fix = "this Python has no root certificates: set SSL_CERT_FILE, on macOS run its"
            fix += " 'Install Certificates.command'"
        return Check("tls", "failed", fact, fix)
    if isinstance(error, TimeoutError):
        fix = "check the port; a server without TLS needs ws:// instead of wss://"
        return Check("tls", "failed", f"{host} did not answer the TLS handshake", fix)
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    if reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}:
        fix = "use ws:// instead of wss://, or the port of its TLS"
        return Check("tls", "failed", f"{host} speaks no TLS at this port", fix)
    words = reason.replace("_", " ").lower() if reason else "the server hung up"
    fix = "check the port; a server without TLS needs ws://, and a firewall may block this host"
    return Check("tls", "failed", f"TLS with {host} failed: {words}", fix)


def explain_certificate(version: str, issuer: str, days_left: float) -> Check:
    """Return the check of a certificate that is trusted.

    Args:
        version: Version of TLS.
        issuer: Name of the authority.
        days_left: Days until it expires.
    """
    fact = f"{version}; the certificate is valid for {days_left:.0f} more days, from {issuer}"
    if days_left < CERTIFICATE_DAYS_LEFT:
        return Check("tls", "warning", fact, "renew the server's certificate")
    return Check("tls", "ok", fact)


def explain_clock(local: datetime, remote: datetime) -> Check:
    """Return the check of this machine's clock against the server's header `Date`."""
    seconds = (local - remote) / timedelta(seconds=1)
    if abs(seconds) <= MAX_CLOCK_ERROR:
        return Check("clock", "ok", "the clocks of this machine and the server agree")
    direction = "ahead of" if seconds > 0 else "behind"
    fact = f"this machine's clock is {abs(seconds):.0f} s {direction} the server's"
    fix = "synchronize it (NTP): certificates, client secrets and tokens expire by the clock"
    return Check("clock", "warning", fact, fix)


# The handshake.

_KEY_FIX: Final = "check the key: that it is complete, not revoked, and for this server"
_STATUS_FIXES: Final[Mapping[int, str]] = {
    400: "check the URL and its query; for Azure use --azure, and the deployment as --model",
    401: f"{_KEY_FIX}; a client secret expires, and Azure's key belongs to one resource",
    403: "check the key's permissions and its project's access to the model; a server of `duologue"
    " serve` without a key accepts only localhost and IP addresses as its host",
    404: "check the path and --model: most URLs end in /v1/realtime, and in Azure the model is the"
    " name of the deployment",
    407: "put user and password into the proxy's URL: http://user:password@host:port",
    426: "a gateway between refused the WebSocket: it must pass on the header Upgrade",
    429: "try again later; it may also be the credit of the account: see its limits",
    503: "the server is full or shutting down: try again later",
}


def explain_handshake(error: DuologueError) -> Check:
    """Return the check of a WebSocket handshake that failed."""
    if isinstance(error, HandshakeRefused):
        return Check("handshake", "failed", str(error), _fix_of_status(error))
    fix = "see the message"
    if isinstance(error, ConnectionLost):
        fix = "check the network, and gateways between: they must pass on WebSockets"
        if isinstance(error.__cause__, TimeoutError):
            fix = "the connection is made, but no answer comes: check the port and the server's log"
        elif error.__cause__ is not None and not isinstance(error.__cause__, OSError):
            fix = "check host, port and path: it is no WebSocket server; with TLS, use wss://"
    return Check("handshake", "failed", str(error), fix)


def _fix_of_status(error: HandshakeRefused) -> str:
    status = error.status
    if error.retry_after is not None:
        return f"try again in {error.retry_after} s, as the server asks"
    if status in _STATUS_FIXES:
        return _STATUS_FIXES[status]
    if 300 <= status < 400:
        return "use the URL that it redirects to; duologue does not follow it with the key"
    if status < 300:
        return "an ordinary web page answered: check host and path"
    if status >= 500:
        return "the server or a gateway before it is broken: try again later, see its status page"
    return "check the URL"


# The session.

_KEY_CODES: Final = frozenset({"invalid_api_key", "invalid_authentication", "unauthorized"})
_MODEL_CODES: Final = frozenset({"invalid_model", "missing_model", "model_not_found"})
_ACCOUNT_CODES: Final = frozenset(
    {"insufficient_quota", "account_deactivated", "billing_hard_limit_reached"}
)
_CLOSE_FIXES: Final[Mapping[int, str]] = {
    1002: "the server broke the WebSocket protocol: check the gateways between, and its log",
    1006: "the server or a gateway between broke the connection: see its log",
    1008: "the server's policy refuses the session: check key, model and limits",
    1011: "the server failed: see its log, or its status page",
    1012: "the server restarts: try again",
    1013: "the server is overloaded: try again later",
    3003: "the key may not open this session: check its permissions",
}


def explain_session_end(error: DuologueError | TimeoutError) -> Check:
    """Return the check of a session that did not begin, after an accepted handshake."""
    if isinstance(error, TimeoutError):
        fix = "the server accepts connections, but begins no session: see its log; gateways between"
        return Check("session", "failed", str(error), f"{fix} must pass on each frame at once")
    if isinstance(error, DialectRefused):
        fact = "the server no longer accepts beta (beta_api_shape_disabled)"
        return Check("session", "failed", fact, "leave out --dialect beta, and use dialect='ga'")
    code = _code_of(error)
    if code in _KEY_CODES or (isinstance(error, SessionRefused) and error.code == 3000):
        # The server's message is left out: it repeats the key, or a part of it.
        close = "" if not isinstance(error, SessionRefused) else f" (close code {error.code})"
        fact = f"the server refused the key after the handshake{close}"
        return Check("session", "failed", fact, _KEY_FIX)
    fix = "see the server's words"
    if code in _MODEL_CODES:
        fix = "check --model: the name, and the access of the key to it"
    elif code in _ACCOUNT_CODES:
        fix = "check the account: its credit and limits"
    elif isinstance(error, (ConnectionLost, SessionRefused)) and error.code is not None:
        fix = _CLOSE_FIXES.get(error.code, fix)
    return Check("session", "failed", str(error), fix)


def _code_of(error: DuologueError) -> str:
    """Return the code of a refusal: that of its `error` event, or of the reason of the close."""
    if not isinstance(error, SessionRefused):
        return ""
    if error.error is not None and error.error.code:
        return error.error.code
    return error.reason.rpartition(".")[2]


def explain_dialect(asked: DialectChoice, detected: Dialect | None) -> Check:
    """Return the check of the dialect of the first event.

    Args:
        asked: The dialect of the endpoint.
        detected: The dialect of the event; `None` if it may be either.
    """
    names = {"ga": "GA", "beta": "beta"}
    if detected is None:
        return Check("dialect", "skipped", "the first event is the same in both dialects")
    if asked == "auto":
        return Check("dialect", "ok", f"{names[detected]}, detected from the first event")
    if asked == detected:
        return Check("dialect", "ok", f"{names[detected]}, as asked for")
    fact = f"the server speaks {names[detected]}, not {names[asked]}"
    fix = f"use --dialect {detected}, and dialect='{detected}' in code"
    return Check("dialect", "failed", fact, fix)


def explain_model(asked: str | None, named: str | None, *, is_azure: bool) -> Check:
    """Return the check of the model that the session names.

    Args:
        asked: The model in the URL.
        named: The model in `session.created`.
        is_azure: Whether `asked` is the name of a deployment, which may differ.
    """
    if named is None:
        return Check("model", "skipped", "the session names no model")
    if asked is None or is_azure or named == asked or named.startswith(f"{asked}-"):
        return Check("model", "ok", f"the session's model is {named}")
    fix = "check --model; the server may have one model only, or replace unknown names"
    return Check("model", "warning", f"the session's model is {named}, not {asked}", fix)


def explain_round_trip(seconds: float) -> Check:
    """Return the check of the time from `session.update` to its answer."""
    fact = f"{seconds * 1000:.0f} ms from session.update to its answer"
    if seconds <= MAX_ROUND_TRIP:
        return Check("round_trip", "ok", fact)
    fix = "use a nearer server or a better network: conversations will feel slow"
    return Check("round_trip", "warning", fact, fix)


def ignored_fields(sent: object, answered: object, path: str = "session") -> Iterator[str]:
    """Yield the paths of values that `session.updated` does not show as they were sent."""
    if isinstance(sent, Mapping):
        fields = cast("Mapping[str, object]", sent)
        shown = cast("Mapping[str, object]", answered if isinstance(answered, Mapping) else {})
        for name, value in fields.items():
            yield from ignored_fields(value, shown.get(name), f"{path}.{name}")
    elif not isinstance(sent, list) and sent != answered:  # lists get defaults: `tools`
        yield path
