"""Telephone calls: a bridge between the media streams of telephone providers and the model."""

from __future__ import annotations

from duologue.telephony.bridge import PhoneBridge
from duologue.telephony.call import CallHook, ClientFactory, DigitHook, PhoneCall
from duologue.telephony.messages import AudioEncoding, CallEnding, CallStarted, PhoneProvider
from duologue.telephony.telnyx import Telnyx
from duologue.telephony.twilio import Twilio, twilio_signature

__all__ = [
    "AudioEncoding",
    "CallEnding",
    "CallHook",
    "CallStarted",
    "ClientFactory",
    "DigitHook",
    "PhoneBridge",
    "PhoneCall",
    "PhoneProvider",
    "Telnyx",
    "Twilio",
    "twilio_signature",
]
