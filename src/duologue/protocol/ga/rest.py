"""Bodies of HTTP requests and responses: client secrets, calls, the webhook of a phone call.

Source: Realtime API reference, client secrets, calls, webhooks (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.session import RealtimeSession, Session
from duologue.protocol.ga.transcription_session import ExpiresAfter, Secret
from duologue.protocol.ga.translation import TranslationSession, TranslationSessionParams
from duologue.protocol.model import UNSET, Model, TaggedModel, UnsetType

__all__ = [
    "CallAcceptParams",
    "CallCreateParams",
    "CallReferParams",
    "CallRejectParams",
    "ClientSecretCreateParams",
    "ClientSecretCreateResponse",
    "ConnectParams",
    "ExpiresAfter",
    "IncomingCall",
    "RealtimeCallIncoming",
    "SipHeader",
    "TranslationClientSecretCreateParams",
    "TranslationClientSecretCreateResponse",
]


class ConnectParams(Model, frozen=True, kw_only=True):
    """Query of a WebSocket URL: one of these parameters, or `intent=transcription`."""

    model: str | UnsetType = UNSET
    call_id: str | UnsetType = UNSET
    """`rtc_…`: attaches to a call in progress (sideband)."""


class ClientSecretCreateParams(Model, frozen=True, kw_only=True):
    """Request of a client secret: `POST /realtime/client_secrets`."""

    expires_after: ExpiresAfter | UnsetType = UNSET
    session: Session | UnsetType = UNSET
    """Configuration of the sessions that the secret opens."""


class ClientSecretCreateResponse(Secret, frozen=True, kw_only=True):
    """A client secret. It opens any number of sessions until it expires; they outlive it."""

    session: Session


class TranslationClientSecretCreateParams(Model, frozen=True, kw_only=True):
    """Request of a client secret for translation: `POST /realtime/translations/client_secrets`."""

    session: TranslationSessionParams
    expires_after: ExpiresAfter | UnsetType = UNSET


class TranslationClientSecretCreateResponse(Secret, frozen=True, kw_only=True):
    """A client secret for translation."""

    session: TranslationSession


class CallCreateParams(Model, frozen=True, kw_only=True):
    """Request of a WebRTC call: `POST /realtime/calls`, as a form of two parts.

    The response is the SDP answer, and its `Location` ends in the id of the call.
    """

    sdp: str
    """SDP offer (`application/sdp`)."""
    session: RealtimeSession | UnsetType = UNSET
    """Must be unset with a client secret, which has a session of its own."""


CallAcceptParams = RealtimeSession
"""Acceptance of a phone call: `POST /realtime/calls/{call_id}/accept`."""


class CallRejectParams(Model, frozen=True, kw_only=True):
    """Rejection of a phone call: `POST /realtime/calls/{call_id}/reject`."""

    status_code: int | UnsetType = UNSET
    """SIP status; 603 (decline) when unset."""


class CallReferParams(Model, frozen=True, kw_only=True):
    """Transfer of a phone call: `POST /realtime/calls/{call_id}/refer`."""

    target_uri: str
    """A `tel:` or `sip:` URI."""


class SipHeader(Model, frozen=True, kw_only=True):
    """A header of the caller's INVITE. Names may repeat."""

    name: str
    value: str


class IncomingCall(Model, frozen=True, kw_only=True):
    """An incoming phone call."""

    call_id: str
    """`rtc_…`: identifies the call in accept, reject, refer and hangup."""
    sip_headers: list[SipHeader]


class RealtimeCallIncoming(TaggedModel, frozen=True, kw_only=True, tag="realtime.call.incoming"):
    """Webhook of an incoming phone call, to be accepted or rejected."""

    id: str
    """`evt_…`"""
    created_at: int
    """Unix seconds."""
    data: IncomingCall
    object: str | UnsetType = UNSET
    """`event`"""
