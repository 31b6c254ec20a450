"""Intended differences between our types and the catalog, with reasons.

`X added`: a field that the entry lacks. `X nullable`, `X optional`: we take what the entry does
not allow. `X required`: we demand what the entry leaves free.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True)
class Difference:
    reason: str
    whats: tuple[str, ...]
    places: tuple[str, ...]
    """Patterns: `*` stands for anything."""


def expected_at(place: str) -> set[str]:
    """Return the differences that are on purpose here."""
    return {
        what
        for difference in DIFFERENCES
        if any(fnmatchcase(place, pattern) for pattern in difference.places)
        for what in difference.whats
    }


BETA_VAD: Final = "beta/*TurnDetection"

DIFFERENCES: Final = (
    Difference(
        "Azure Voice Live has voices without an id",
        ("id optional",),
        (
            "ga/RealtimeResponseCreateAudioOutput.OutputVoiceID",
            "ga/RealtimeAudioConfigOutput.VoiceID",
        ),
    ),
    Difference(
        "a member of a union is told by its type; one without is the union's unknown member",
        ("type required",),
        (
            "ga/RealtimeAudioFormats.*",
            "ga/RealtimeConversationItem*Message.Content",
            "ga/RealtimeFunctionTool",
            "beta/ConversationItem",
            "beta/ConversationItemContent",
            "beta/ConversationItemWithReference*",
            "beta/*Tool",
        ),
    ),
    Difference(
        "JSON of any kind may be null",
        ("parameters nullable",),
        ("ga/RealtimeFunctionTool", "beta/*Tool"),
    ),
    Difference(
        "JSON of any kind may be null",
        ("metadata nullable",),
        ("*TracingConfiguration",),
    ),
    Difference(
        "JSON of any kind may be null",
        ("input_schema nullable",),
        ("ga/RealtimeMcpListTools.Tool",),
    ),
    Difference(
        "one part has one struct, whoever says it",
        ("detail added", "image_url added"),
        (
            "ga/RealtimeConversationItemAssistantMessage.Content",
            "ga/RealtimeConversationItemSystemMessage.Content",
        ),
    ),
    Difference(
        "one part has one struct, whoever says it",
        ("audio added", "transcript added"),
        ("ga/RealtimeConversationItemSystemMessage.Content",),
    ),
    Difference(
        "a beta transcript may be null; the part becomes GA's without loss",
        ("transcript nullable",),
        (
            "ga/RealtimeConversationItemAssistantMessage.Content",
            "beta/ConversationItemWithReference.Content",
        ),
    ),
    Difference(
        "one message has one struct, whoever says it",
        ("phase added",),
        ("ga/RealtimeConversationItemSystemMessage", "ga/RealtimeConversationItemUserMessage"),
    ),
    Difference(
        "beta items keep what GA's have: MCP, pictures, the phase of gpt-realtime-2",
        (
            "phase added",
            "approval_request_id added",
            "approve added",
            "error added",
            "reason added",
            "server_label added",
            "tools added",
        ),
        ("beta/ConversationItem", "beta/ConversationItemWithReference"),
    ),
    Difference(
        "beta items keep what GA's have: MCP, pictures, the phase of gpt-realtime-2",
        ("detail added", "image_url added"),
        ("beta/ConversationItemContent", "beta/ConversationItemWithReference.Content"),
    ),
    Difference(
        "recorded GA traffic has it, and beta's event is the same struct or its twin",
        ("obfuscation added",),
        (
            "beta/conversation.item.input_audio_transcription.delta",
            "beta/response.audio_transcript.delta",
            "beta/response.function_call_arguments.delta",
            "beta/response.text.delta",
        ),
    ),
    Difference(
        "recorded GA traffic has it, and beta's event is the same struct",
        ("content added",),
        ("beta/response.content_part.*",),
    ),
    Difference(
        "recorded GA traffic has it, and these are the same struct",
        ("reasoning_tokens added",),
        ("*TokensInputTokenDetails", "beta/RealtimeResponseUsage.OutputTokenDetails"),
    ),
    Difference(
        "old recordings and one official example lack it",
        ("usage optional",),
        ("*/conversation.item.input_audio_transcription.completed",),
    ),
    Difference(
        "old recordings lack it; beta's event is the same struct and never had it",
        ("name optional",),
        ("ga/response.function_call_arguments.done",),
    ),
    Difference("servers were seen to say null", ("error nullable",), ("*/RealtimeResponseStatus",)),
    Difference(
        "clients were seen to say null",
        ("response nullable",),
        ("*/response.create", "ga/ResponseCreateEventWithReferences"),
    ),
    Difference(
        "one session has one struct, asked for or answered",
        ("id optional", "object optional", "include nullable"),
        (
            "ga/RealtimeSessionCreateResponse",
            "ga/RealtimeTranscriptionSessionCreateResponse",
        ),
    ),
    Difference(
        "one session has one struct, asked for or answered",
        ("parallel_tool_calls added",),
        ("ga/RealtimeSessionCreateResponse",),
    ),
    Difference(
        "a call is accepted with a session",
        ("id added", "object added", "expires_at added", "include nullable"),
        ("ga/CallAcceptParams",),
    ),
    Difference(
        "a transcription session has the audio of any session; `validate` refuses its output",
        ("output added",),
        (
            "ga/RealtimeTranscriptionSessionAudio",
            "ga/RealtimeTranscriptionSessionCreateResponse.Audio",
        ),
    ),
    Difference(
        "it comes as one of the two tagged kinds",
        ("turn_detection does not hold RealtimeTranscriptionSessionTurnDetection",),
        ("ga/RealtimeTranscriptionSessionCreateResponse.AudioInput",),
    ),
    Difference(
        "the reference lists them for transcription sessions, whose struct this is",
        ("threshold added", "prefix_padding_ms added", "silence_duration_ms added"),
        (
            "ga/RealtimeAudioInputTurnDetection.SemanticVad",
            "ga/RealtimeSessionCreateResponse.AudioInputTurnDetectionSemanticVad",
        ),
    ),
    Difference(
        "official examples show it",
        ("language added",),
        ("ga/RealtimeTranslationSession*AudioInputTranscription",),
    ),
    Difference(
        "one flat turn detection, asked for or answered",
        ("create_response added", "eagerness added", "interrupt_response added"),
        (
            "ga/RealtimeTranscriptionSessionTurnDetection",
            "beta/SessionCreateResponse.TurnDetection",
            "beta/TranscriptionSession.TurnDetection",
        ),
    ),
    Difference(
        "the reference lists it for one of beta's flat turn detections: they are one",
        ("idle_timeout_ms added",),
        (
            "ga/RealtimeTranscriptionSessionTurnDetection",
            "beta/SessionCreateParams.TurnDetection",
            "beta/SessionCreateResponse.TurnDetection",
            "beta/SessionUpdateEvent.SessionTurnDetection",
            "beta/TranscriptionSession.TurnDetection",
            "beta/TranscriptionSessionCreateParams.TurnDetection",
            "beta/TranscriptionSessionUpdate.SessionTurnDetection",
        ),
    ),
    Difference(
        "beta's noise reduction is GA's: translation loses nothing",
        ("strength added",),
        ("beta/*InputAudioNoiseReduction",),
    ),
    Difference(
        "beta's transcription is GA's: translation loses nothing",
        ("delay added", "keywords added"),
        (
            "beta/Session*.InputAudioTranscription",
            "beta/SessionUpdateEvent.SessionInputAudioTranscription",
            "beta/TranscriptionSession.InputAudioTranscription",
        ),
    ),
    Difference(
        "beta's transcription is GA's: translation loses nothing",
        ("languages added",),
        (
            "beta/SessionCreate*.InputAudioTranscription",
            "beta/SessionUpdateEvent.SessionInputAudioTranscription",
        ),
    ),
    Difference(
        "beta's transcription is GA's: translation loses nothing",
        ("language nullable", "prompt nullable"),
        (
            "beta/Session.InputAudioTranscription",
            "beta/SessionCreateParams.InputAudioTranscription",
            "beta/SessionUpdateEvent.SessionInputAudioTranscription",
            "beta/TranscriptionSession*InputAudioTranscription",
        ),
    ),
    Difference(
        "beta's transcription is GA's: translation loses nothing",
        ("language added", "prompt added"),
        ("beta/SessionCreateResponse.InputAudioTranscription",),
    ),
    Difference(
        "the reference lists it for one form of beta's session: all forms have it",
        ("include added",),
        ("beta/SessionCreateParams", "beta/SessionUpdateEvent.Session"),
    ),
    Difference(
        "the reference lists it for one form of beta's session: all forms have it",
        ("truncation added",),
        ("beta/Session", "beta/SessionCreateResponse"),
    ),
    Difference(
        "the reference lists it for one form of beta's session: all forms have it",
        ("input_audio_noise_reduction added", "prompt added"),
        ("beta/SessionCreateResponse",),
    ),
    Difference(
        "servers of 2024 said it, as null, and Dart's session has it",
        ("client_secret added",),
        ("beta/Session",),
    ),
    Difference(
        "only REST replies have it, and an official one says null",
        ("client_secret optional", "client_secret nullable"),
        ("beta/TranscriptionSession",),
    ),
    Difference(
        "a translated GA session says it", ("expires_at added",), ("beta/TranscriptionSession",)
    ),
    Difference(
        "official examples say null",
        ("include nullable",),
        ("beta/TranscriptionSessionCreateParams",),
    ),
    Difference(
        "the twin of the request",
        ("include nullable",),
        ("beta/TranscriptionSessionUpdate.Session",),
    ),
    Difference(
        "one struct for every key's life; the anchor has one value",
        ("anchor optional",),
        (
            "beta/SessionCreateParams.ClientSecretExpiresAfter",
            "beta/SessionUpdateEvent.SessionClientSecretExpiresAfter",
        ),
    ),
    Difference(
        "the spec's constant is a slip: it names another event",
        ("type has no member transcription_session.updated",),
        ("beta/transcription_session.created",),
    ),
)

ENUM_DIFFERENCES: Final = {
    "beta/ItemType": "one enum for items and for items that may be references",
    "beta/ReferenceContentType": "one enum for parts and for parts that may be references",
    "beta/TranscriptionModel": "GA's, which has more of them",
    "beta/RateLimitName": "with those of the Dart client",
    "ga/RateLimitName": "one enum for both dialects",
    "beta/ResponseStatusReason": "with that of the Dart client",
    "ga/ResponseStatusReason": "one enum for both dialects",
}
"""Enums of ours that have more values than the catalog's."""
