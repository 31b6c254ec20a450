"""Which clients are run against the server, and what each is asked to do."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CHECKS", "CLIENTS", "ENVIRONMENTS", "Client"]

ENVIRONMENTS: Final = Path(__file__).parents[2] / ".interop"
"""Where `make interop` installs the Python clients that are not in the development environment."""

CHECKS: Final = {
    "connect": "`session.created` comes first and names the model",
    "wrong key": "a client with a wrong key is refused with HTTP 401",
    "browser key": "the key comes as a subprotocol, as from a page; a text turn follows",
    "client secret": "its REST method makes one, with a session; a connection enters with it",
    "session update": "instructions, tools and turn detection come back in `session.updated`",
    "text turn": "the streamed words are those of `response.done`",
    "audio turn": "speech is found (by `semantic_vad` in the agents SDKs), transcribed, answered",
    "push to talk": "no turn detection: commit, transcript, no answer until one is asked for",
    "tool call": "the arguments arrive, the output goes back, the next response uses it",
    "cancel": "a spoken answer ends `cancelled`, `client_cancelled`",
    "barge-in": "speech over an answer ends it, `turn_detected`; the item keeps what was heard",
    "truncate": "a finished answer is cut; its transcript shrinks to what was heard",
    "delete": "a deleted item is not answered any more",
    "retrieve": "an item comes back with its words and the very audio that was sent",
    "out of band": "`conversation: none` with metadata leaves the conversation as it is",
    "transcription": "a transcription session writes down two turns and answers none",
    "bad event": "one `error` with code, param and `event_id`; then the session does a turn",
    "event types": "the client's own types accept every event that the checks above brought",
}

_NO_BROWSER: Final = {"browser key": "it is no client for browsers"}
_NO_TRANSCRIPTION: Final = {
    "transcription": "it demands a model, and transcription sessions are opened without one"
}
_CONVERSES_ONLY: Final = {
    "client secret": "it makes none",
    "transcription": "its sessions converse",
}
_NO_TYPES: Final = {"event types": "its types are gone when it runs"}


@dataclass(frozen=True, kw_only=True)
class Client:
    """A published client, and the driver that uses it as its guide says."""

    name: str
    package: str
    version: str
    language: str
    dialect: str
    command: tuple[str, ...]
    """The program and arguments that run its driver, from the folder `drivers`."""
    needs_tls: bool = False
    """Whether it builds `wss:` addresses whatever it is told."""
    raw: frozenset[str] = frozenset()
    """Checks that need an event the client has no method for: it sends what it is given."""
    impossible: dict[str, str]
    """Checks that cannot be done with it, and why."""
    pointing: str
    """How it is pointed at the server, in Markdown."""
    notes: str = ""
    """What its users should know: a list in Markdown."""


def _python(environment: str, *arguments: str) -> tuple[str, ...]:
    return (str(ENVIRONMENTS / environment / "bin" / "python"), *arguments)


_OPENAI_PYTHON: Final = """\
`OPENAI_BASE_URL=http://127.0.0.1:8080/v1` and `OPENAI_API_KEY`, or the same as `base_url` and
  `api_key` of `AsyncOpenAI`"""

_OPENAI_PYTHON_BETA: Final = '`AsyncOpenAI(websocket_base_url="ws://127.0.0.1:8080/v1")`'

_OPENAI_PYTHON_BETA_NOTES: Final = """\
- Its `client.beta.realtime` makes a `wss:` address of `base_url`, `http:` or not; it takes
  `websocket_base_url` as it is.
"""

_OPENAI_JAVASCRIPT: Final = """\
`duologue serve --tls self-signed`, then `OPENAI_BASE_URL=https://127.0.0.1:8080/v1`,
  `OPENAI_API_KEY`, and `NODE_EXTRA_CA_CERTS` as the server says"""

_OPENAI_JAVASCRIPT_NOTES: Final = """\
- It makes `wss:` of any address, so the server needs TLS: its own, or that of a proxy before it.
- Its package asks for Node 22; it works on Node 20 as well.
"""

_OPENAI_AGENTS_NOTES: Final = """\
- On `speech_started` it truncates by itself, to what its `RealtimePlaybackTracker` was told, or
  else to the time since the first audio came. The server speaks faster than real time, as OpenAI's
  does: give it a tracker.
- `send_audio(..., commit=True)` asks for no response: push to talk needs a raw `response.create`.
- A raw message that its types refuse is logged and never sent.
"""

_AGENTS_REALTIME_NOTES: Final = """\
- It truncates to the time since the first audio came, at most the audio's length.
- When the server's transcript of a truncated item is empty, its history keeps the words that it had
  streamed; the server's item is right.
- `sendAudio(..., { commit: true })` asks for no response;
  `session.transport.requestResponse()` does.
- In a browser, a key that is no client secret needs `useInsecureApiKey: true`.
"""

_REALTIME_API_NOTES: Final = """\
- On barge-in it dispatches `conversation.interrupted` and leaves the truncation to the application.
  Its `cancelResponse` cancels as well, which a server that has cancelled by itself answers with
  `response_cancel_not_active`.
- The server's errors reach the application only as `realtime.event`.
"""

_LIVEKIT_NOTES: Final = """\
- `RealtimeModel.session()` needs no room: push audio, update the chat context, ask for replies.
- It leaves barge-in to the application: `session.truncate(...)`, with what was played.
- When its connection is lost, or after `max_session_duration` (20 minutes), it connects again and
  replays the settings and the items as text.
"""

_LIVEKIT_AZURE_NOTES: Final = """\
- With `api_version` it speaks beta, at the path of Azure's dated versions; without one, GA.
- It installs Azure's defaults: `whisper-1`, and `server_vad`.
"""

_VOICE_LIVE_NOTES: Final = """\
- Azure's voices, semantic turn detection, noise suppression, phrase lists and avatars are accepted
  and come back in `session.updated`. Here a turn ends by its silence; the engine gets the voice's
  name; what it has no place for has no effect.
- Refused are rates of PCM other than 24 kHz, `pre_generated_assistant_message`, and Voice Live's
  own client events (`session.avatar.connect`, `input_audio.turn.start`, `input_text.delta`).
- `None` as an argument leaves a setting as it is: `session["turn_detection"] = None` switches turn
  detection off.
"""

_HIDES_THE_WIRE: Final = {
    "session update": "its settings are sent once, when it connects",
    "delete": "its session has no method for it",
    "retrieve": "its session has no method for it",
    "out of band": "its session has no method for it",
    "bad event": "it sends no events of the application's",
}

_PYDANTIC_AI_NOTES: Final = """\
- Its events are its own, and it shows none of the wire: the checks are on these.
- `interrupt(played_bytes=...)` truncates what `session.stream_audio()` gave, and cancels only if
  turn detection has not.
"""

_PYDANTIC_AI_AZURE_NOTES: Final = """\
- It makes `wss:` of any address, and trusts the certificates of `SSL_CERT_FILE`.
- The model decides the path: with `gpt-realtime` and without `azure_voice_live`, GA at
  `/openai/v1/realtime`.
"""

CLIENTS: Final = (
    Client(
        name="openai-3.52-ga",
        package="openai",
        version="3.52.0",
        language="Python",
        dialect="GA",
        command=(sys.executable, "openai_sdk.py", "ga"),
        impossible=_NO_BROWSER,
        pointing=_OPENAI_PYTHON,
    ),
    Client(
        name="openai-3.52-beta",
        package="openai",
        version="3.52.0",
        language="Python",
        dialect="beta",
        command=(sys.executable, "openai_sdk.py", "beta"),
        impossible=_NO_BROWSER | _NO_TRANSCRIPTION,
        pointing=_OPENAI_PYTHON_BETA,
        notes=_OPENAI_PYTHON_BETA_NOTES,
    ),
    Client(
        name="openai-1.99-beta",
        package="openai",
        version="1.99.9",
        language="Python",
        dialect="beta",
        command=_python("openai-1.99", "openai_sdk.py", "beta"),
        impossible=_NO_BROWSER | _NO_TRANSCRIPTION,
        pointing=_OPENAI_PYTHON_BETA,
        notes=_OPENAI_PYTHON_BETA_NOTES,
    ),
    Client(
        name="openai-agents-0.24",
        package="openai-agents",
        version="0.24.0",
        language="Python",
        dialect="GA",
        command=_python("openai-agents", "openai_agents.py"),
        raw=frozenset({"push to talk", "delete", "retrieve", "out of band", "bad event"}),
        impossible=_NO_BROWSER | _CONVERSES_ONLY,
        pointing=(
            '`await runner.run(model_config={"url":'
            ' "ws://127.0.0.1:8080/v1/realtime?model=gpt-realtime", "api_key": …})`'
        ),
        notes=_OPENAI_AGENTS_NOTES,
    ),
    Client(
        name="livekit-agents-1.8-ga",
        package="livekit-agents",
        version="1.8.9",
        language="Python",
        dialect="GA",
        command=_python("livekit", "livekit_agents.py", "ga"),
        raw=frozenset({"retrieve", "out of band", "bad event"}),
        impossible=_NO_BROWSER | _CONVERSES_ONLY,
        pointing=(
            'with the extra `openai`: `RealtimeModel(base_url="http://127.0.0.1:8080/v1",'
            " api_key=…)` of `livekit.plugins.openai.realtime`"
        ),
        notes=_LIVEKIT_NOTES,
    ),
    Client(
        name="livekit-agents-1.8-beta",
        package="livekit-agents",
        version="1.8.9",
        language="Python",
        dialect="beta",
        command=_python("livekit", "livekit_agents.py", "beta"),
        raw=frozenset({"retrieve", "out of band", "bad event"}),
        impossible=_NO_BROWSER
        | _CONVERSES_ONLY
        | {"push to talk": "it leaves out the null that switches turn detection off"},
        pointing=(
            '`RealtimeModel.with_azure(azure_endpoint="http://127.0.0.1:8080",'
            ' azure_deployment="gpt-realtime", api_version="2025-04-01-preview", api_key=…)`'
        ),
        notes=_LIVEKIT_AZURE_NOTES,
    ),
    Client(
        name="azure-ai-voicelive-1.3",
        package="azure-ai-voicelive",
        version="1.3.1",
        language="Python",
        dialect="beta, as Voice Live has it",
        command=_python("voicelive", "voice_live.py"),
        impossible=_NO_BROWSER | _CONVERSES_ONLY,
        pointing=(
            'with the extra `aiohttp`: `connect(endpoint="http://127.0.0.1:8080",'
            ' credential=AzureKeyCredential(…), model="gpt-realtime")`'
        ),
        notes=_VOICE_LIVE_NOTES,
    ),
    Client(
        name="pydantic-ai-2.68",
        package="pydantic-ai-slim",
        version="2.68.0",
        language="Python",
        dialect="GA",
        command=_python("pydantic-ai", "pydantic_ai_realtime.py", "openai"),
        impossible=_NO_BROWSER | _CONVERSES_ONLY | _HIDES_THE_WIRE,
        pointing=(
            'with the extras `openai` and `realtime`: `OpenAIRealtimeModel("gpt-realtime",'
            ' provider=OpenAIProvider(base_url="http://127.0.0.1:8080/v1", api_key=…))`'
        ),
        notes=_PYDANTIC_AI_NOTES,
    ),
    Client(
        name="pydantic-ai-2.68-voice-live",
        package="pydantic-ai-slim",
        version="2.68.0",
        language="Python",
        dialect="beta, as Voice Live has it",
        command=_python("pydantic-ai", "pydantic_ai_realtime.py", "voice-live"),
        needs_tls=True,
        impossible=_NO_BROWSER | _CONVERSES_ONLY | _HIDES_THE_WIRE,
        pointing=(
            '`duologue serve --tls self-signed`, then `AzureRealtimeModel("gpt-4.1",'
            ' provider=AzureProvider(azure_endpoint="https://127.0.0.1:8080", api_key=…,'
            " api_version=…))` with the setting `azure_voice_live`"
        ),
        notes=_PYDANTIC_AI_AZURE_NOTES,
    ),
    Client(
        name="npm-openai-7.55-ga",
        package="openai",
        version="7.55.0",
        language="JavaScript",
        dialect="GA",
        command=("node", "openai_sdk.mjs", "ga"),
        needs_tls=True,
        impossible=_NO_TYPES,
        pointing=_OPENAI_JAVASCRIPT,
        notes=_OPENAI_JAVASCRIPT_NOTES,
    ),
    Client(
        name="npm-openai-7.55-beta",
        package="openai",
        version="7.55.0",
        language="JavaScript",
        dialect="beta",
        command=("node", "openai_sdk.mjs", "beta"),
        needs_tls=True,
        impossible=_NO_TRANSCRIPTION | _NO_TYPES,
        pointing=f"{_OPENAI_JAVASCRIPT}; then `openai/beta/realtime/ws`",
        notes=_OPENAI_JAVASCRIPT_NOTES,
    ),
    Client(
        name="npm-agents-realtime-0.20",
        package="@openai/agents-realtime",
        version="0.20.0",
        language="JavaScript",
        dialect="GA",
        command=("node", "agents_realtime.mjs"),
        raw=frozenset({"retrieve", "bad event"}),
        impossible=_CONVERSES_ONLY,
        pointing=(
            '`session.connect({ url: "ws://127.0.0.1:8080/v1/realtime?model=gpt-realtime",'
            " apiKey })`, with `OpenAIRealtimeWebSocket` as the transport"
        ),
        notes=_AGENTS_REALTIME_NOTES,
    ),
    Client(
        name="npm-openai-realtime-api-1.0",
        package="openai-realtime-api",
        version="1.0.8",
        language="JavaScript",
        dialect="beta",
        command=("node", "realtime_api.mjs"),
        raw=frozenset({"barge-in", "truncate", "retrieve", "out of band", "bad event"}),
        impossible=_CONVERSES_ONLY | _NO_TYPES,
        pointing='`new RealtimeClient({ url: "ws://127.0.0.1:8080/v1/realtime", apiKey })`',
        notes=_REALTIME_API_NOTES,
    ),
)
