"""Telephone calls: a bridge between the media streams of telephone providers and the model."""

from __future__ import annotations

from duologue.telephony.bridge import PhoneBridge
from duologue.telephony.call import PhoneCall
from duologue.telephony.call_state import CallEnding
from duologue.telephony.messages import AudioEncoding, CallStarted, PhoneProvider
from duologue.telephony.telnyx import Telnyx
from duologue.telephony.twilio import Twilio, twilio_signature

__all__ = [
    "AudioEncoding",
    "CallEnding",
    "CallStarted",
    "PhoneBridge",
    "PhoneCall",
    "PhoneProvider",
    "Telnyx",
    "Twilio",
    "twilio_signature",
]
