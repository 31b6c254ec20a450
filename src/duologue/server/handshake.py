"""How a connection opens: from what a client asks for to what its session is and speaks.

A client says nothing but its path, its query, its headers and the subprotocols that it offers. The
kind of the session follows from path and `intent`; the dialect from whatever of the client is beta,
unless the server's owner chose one for all.

Source: DIALECTS.md §2 and SERVER.md 1; the message about `model` from openai-python #2253.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.server.auth import HttpRejection
from duologue.server.session.config import DEFAULT_MODEL
from duologue.server.session.session_type import SessionType
from duologue.server.session.translation import DEFAULT_TRANSLATOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duologue.protocol.codec import Dialect

__all__ = ["PATHS", "SessionRejected", "SessionRequest", "read_session_request"]

_TRANSLATIONS: Final = "/v1/realtime/translations"
_AZURE_DATED: Final = "/openai/realtime"
_VOICE_LIVE: Final = "/voice-live/realtime"

PATHS: Final = ("/v1/realtime", _TRANSLATIONS, "/openai/v1/realtime", _AZURE_DATED, _VOICE_LIVE)
"""Where sessions open: OpenAI's paths, then Azure's."""

_DEFAULT_MODELS: Final = {
    SessionType.CONVERSATION: DEFAULT_MODEL,
    SessionType.TRANSCRIPTION: None,
    SessionType.TRANSLATION: DEFAULT_TRANSLATOR,
}


class SessionRejected(Exception):
    """A client that is let in only to be told, by one `error`, why it is sent away with 4000."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a client asked for by connecting."""

    kind: SessionType
    dialect: Dialect
    model: str | None
    """As the client named it, or the default; a transcription session need not have one."""


def read_session_request(
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    *,
    dialect: Dialect | None = None,
    bound: SessionType | None = None,
) -> SessionRequest:
    """Return what a client asks for.

    Args:
        path: One of `PATHS`.
        query: `model` or `deployment`, `intent`, `call_id`, `api-version`.
        headers: By lower-case name.
        subprotocols: What the client offers.
        dialect: Spoken with every client whatever it asks for; `None`: with each its own.
        bound: What the client's secret is for, if it shows one.

    Raises:
        HttpRejection: If it names a call: there are none. Or if its secret is not for this path.
        SessionRejected: If what it asks for does not go together.
    """
    call_id = query.get("call_id")
    if call_id:
        raise HttpRejection(404, "call_id_not_found", f"No call found with call_id '{call_id}'.")
    if bound is not None and (path == _TRANSLATIONS) != (bound is SessionType.TRANSLATION):
        message = f"This client secret is for a {bound.value} session; connect at its path."
        raise HttpRejection(403, "invalid_client_secret", message)
    if path == _TRANSLATIONS:
        kind, spoken = SessionType.TRANSLATION, _GA  # beta has none
    else:
        spoken = dialect or _spoken(path, query, headers, subprotocols)
        kind = bound or _kind(query, spoken)
    model = query.get("model") or query.get("deployment") or _DEFAULT_MODELS[kind]
    return SessionRequest(kind, spoken, model)


_GA: Final[Dialect] = "ga"


def _spoken(
    path: str, query: Mapping[str, str], headers: Mapping[str, str], subprotocols: Sequence[str]
) -> Dialect:
    is_beta = (
        "realtime=v1" in headers.get("openai-beta", "")
        or "openai-beta.realtime-v1" in subprotocols
        or path == _VOICE_LIVE
        or (path == _AZURE_DATED and "preview" in query.get("api-version", "preview"))
    )
    return "beta" if is_beta else "ga"


def _kind(query: Mapping[str, str], dialect: Dialect) -> SessionType:
    if query.get("intent") != "transcription":
        return SessionType.CONVERSATION
    if not query.get("model"):
        return SessionType.TRANSCRIPTION
    if dialect == "ga":
        return SessionType.CONVERSATION  # the model counts
    message = "You must not provide a model parameter for transcription sessions."
    raise SessionRejected("invalid_model", message)
