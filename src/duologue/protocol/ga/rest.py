"""Requests and replies beside the socket: client secrets, calls, the webhook of a phone call.

Source: Realtime API reference, client secrets, calls, webhooks (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.session import RealtimeSession, Session
from duologue.protocol.ga.transcription_session import ExpiresAfter, Secret
from duologue.protocol.ga.translation import TranslationSession, TranslationSessionParams
from duologue.protocol.model import UNSET, Model, UnsetType

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
    """The query of a socket's URL: exactly one of them, or `intent=transcription`."""

    model: str | UnsetType = UNSET
    call_id: str | UnsetType = UNSET
    """`rtc_…`: listen to a call that runs elsewhere (sideband)."""


class ClientSecretCreateParams(Model, frozen=True, kw_only=True):
    """Ask for a key that a browser may hold: `POST /realtime/client_secrets`."""

    expires_after: ExpiresAfter | UnsetType = UNSET
    session: Session | UnsetType = UNSET
    """The configuration that the key is bound to."""


class ClientSecretCreateResponse(Secret, frozen=True, kw_only=True):
    """The key; opens any number of sessions until it expires, and ends none then."""

    session: Session


class TranslationClientSecretCreateParams(Model, frozen=True, kw_only=True):
    """Ask for a key to translate with: `POST /realtime/translations/client_secrets`."""

    session: TranslationSessionParams
    expires_after: ExpiresAfter | UnsetType = UNSET


class TranslationClientSecretCreateResponse(Secret, frozen=True, kw_only=True):
    """The key."""

    session: TranslationSession


class CallCreateParams(Model, frozen=True, kw_only=True):
    """Open a WebRTC call: `POST /realtime/calls`, as two parts of a form.

    The reply is the SDP answer, and `Location` ends in the call's id.
    """

    sdp: str
    """The offer (`application/sdp`)."""
    session: RealtimeSession | UnsetType = UNSET
    """Not with a client secret, which has one."""


CallAcceptParams = RealtimeSession
"""Answer a phone call with this configuration: `POST /realtime/calls/{call_id}/accept`."""


class CallRejectParams(Model, frozen=True, kw_only=True):
    """Decline a phone call: `POST /realtime/calls/{call_id}/reject`."""

    status_code: int | UnsetType = UNSET
    """SIP status; 603 (decline) when unset."""


class CallReferParams(Model, frozen=True, kw_only=True):
    """Pass a phone call on: `POST /realtime/calls/{call_id}/refer`."""

    target_uri: str
    """`tel:` or `sip:`."""


class SipHeader(Model, frozen=True, kw_only=True):
    """A header of the caller's INVITE; the same name may come twice."""

    name: str
    value: str


class IncomingCall(Model, frozen=True, kw_only=True):
    """Who calls."""

    call_id: str
    """`rtc_…`: what accept, reject, refer and hangup name."""
    sip_headers: list[SipHeader]


class RealtimeCallIncoming(
    Model, frozen=True, kw_only=True, tag_field="type", tag="realtime.call.incoming"
):
    """A phone rings: the webhook that accept or reject answers."""

    id: str
    """`evt_…`"""
    created_at: int
    """Unix seconds."""
    data: IncomingCall
    object: str | UnsetType = UNSET
    """`event`"""
