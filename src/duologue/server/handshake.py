"""Handshake: determines the type and dialect of a session from the request that opens it.

A client sends its path, its query, its headers, and the subprotocols that it offers. The session
type follows from the path and `intent`. The dialect is beta if anything about the client is beta's,
unless the server has one dialect for all.

Source: Realtime API reference, connecting; Azure OpenAI's and Voice Live's documentation for their
paths; openai-python #2253 for the message about `model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.server.auth import HttpRejection
from duologue.server.session.config import DEFAULT_MODEL, SessionType
from duologue.server.session.translation import DEFAULT_TRANSLATOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duologue.protocol.codec import Dialect

__all__ = [
    "KEY_REJECTED",
    "PATHS",
    "SESSION_REJECTED",
    "SessionRejected",
    "SessionRequest",
    "beta_rejected",
    "read_session_request",
    "requested_model",
]

_OPENAI: Final = "/v1/realtime"
_TRANSLATIONS: Final = "/v1/realtime/translations"
_AZURE_DATED: Final = "/openai/realtime"
_VOICE_LIVE: Final = "/voice-live/realtime"

PATHS: Final = (_OPENAI, _TRANSLATIONS, "/openai/v1/realtime", _AZURE_DATED, _VOICE_LIVE)
"""Paths at which sessions open: OpenAI's, then Azure's."""

SESSION_REJECTED: Final = 4000
"""Close code of a client whose request is rejected after the upgrade."""

KEY_REJECTED: Final = 3000
"""Close code of a client without a valid key; only if the server is strict."""

_DEFAULT_MODELS: Final = {
    SessionType.CONVERSATION: DEFAULT_MODEL,
    SessionType.TRANSCRIPTION: None,
    SessionType.TRANSLATION: DEFAULT_TRANSLATOR,
}


class SessionRejected(Exception):
    """A client that gets an `error` event and a close code instead of a session."""

    def __init__(self, code: str, message: str, *, close_code: int = SESSION_REJECTED) -> None:
        super().__init__(message)
        self.close_code: Final = close_code
        self.code: Final = code
        self.message: Final = message

    @property
    def close_reason(self) -> str:
        """The reason that goes with the close code."""
        return f"invalid_request_error.{self.code}"


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """The session that a client requests by connecting."""

    session_type: SessionType
    dialect: Dialect
    model: str | None
    """As the client named it, or the default; a transcription session needs none."""
    is_voice_live: bool = False
    """Whether its beta is Azure Voice Live's."""


def read_session_request(
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    *,
    dialect: Dialect | None = None,
    bound: SessionType | None = None,
    strict: bool = False,
) -> SessionRequest:
    """Return the session that a client requests.

    Args:
        path: One of `PATHS`.
        query: `model` or `deployment`, `intent`, `call_id`, `api-version`.
        headers: By lower-case name.
        subprotocols: Those that the client offers.
        dialect: Dialect of all clients; `None`: the one that this client asks for.
        bound: Session type that the client's secret is bound to, if it sent one.
        strict: Whether to reject a model that OpenAI does not have.

    Raises:
        HttpRejection: If it names a call (there are none), or its secret is for another path.
        SessionRejected: If its parameters contradict each other, or the model does not exist.
    """
    call_id = query.get("call_id")
    if call_id:
        raise HttpRejection(404, "call_id_not_found", f"No call found with call_id '{call_id}'.")
    if bound is not None and (path == _TRANSLATIONS) != (bound is SessionType.TRANSLATION):
        message = f"This client secret is for a {bound.value} session; connect at its path."
        raise HttpRejection(403, "invalid_client_secret", message)
    if path == _TRANSLATIONS:
        session_type, session_dialect = SessionType.TRANSLATION, _GA  # beta has none
    else:
        session_dialect = dialect or _requested_dialect(path, query, headers, subprotocols)
        session_type = bound or _requested_type(query, session_dialect)
    model = requested_model(query.get("model") or query.get("deployment"), session_type)
    # At Azure's paths the model is a deployment, which may have any name.
    if strict and path == _OPENAI and session_type is SessionType.CONVERSATION:
        _check_model(str(model))
    is_voice_live = (
        path == _VOICE_LIVE
        and session_dialect == "beta"
        and session_type is SessionType.CONVERSATION
    )
    return SessionRequest(session_type, session_dialect, model, is_voice_live)


def _check_model(model: str) -> None:
    known = [str(each) for each in ga.RealtimeModel]
    is_snapshot = any(model.startswith(f"{each}-") for each in known)
    if model not in known and not is_snapshot:
        message = f"Model '{model[:100]}' does not exist or is not supported in realtime mode."
        raise SessionRejected("invalid_model", message)


def requested_model(named: str | None, session_type: SessionType) -> str | None:
    """Return the model that a client named, or the default of its session type."""
    return named or _DEFAULT_MODELS[session_type]


def beta_rejected() -> SessionRejected:
    """Return how a server without beta rejects a beta client."""
    message = "The Realtime Beta API is no longer supported. Drop the beta header."
    return SessionRejected("beta_api_shape_disabled", message)


_GA: Final[Dialect] = "ga"


def _requested_dialect(
    path: str, query: Mapping[str, str], headers: Mapping[str, str], subprotocols: Sequence[str]
) -> Dialect:
    is_beta = (
        "realtime=v1" in headers.get("openai-beta", "")
        or "openai-beta.realtime-v1" in subprotocols
        or path == _VOICE_LIVE
        or (path == _AZURE_DATED and "preview" in query.get("api-version", "preview"))
    )
    return "beta" if is_beta else "ga"


def _requested_type(query: Mapping[str, str], dialect: Dialect) -> SessionType:
    if query.get("intent") != "transcription":
        return SessionType.CONVERSATION
    if not query.get("model"):
        return SessionType.TRANSCRIPTION
    if dialect == "ga":
        return SessionType.CONVERSATION  # in GA, a model outweighs the intent
    message = "You must not provide a model parameter for transcription sessions."
    raise SessionRejected("invalid_model", message)
