"""The configuration that an application wants, and the one that is in force.

The wanted configuration outlives each session: `connect` sends it, including changes that a lost
connection left without an answer. A change that the server refuses is dropped, so that the next
full update does not repeat it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    FunctionTool,
    RealtimeSession,
    SemanticVad,
    ServerVad,
    TranscriptionSession,
)
from duologue.protocol.ga.session import merge_session
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.session._item_fields import format_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.protocol.formats import Format
    from duologue.protocol.ga import Session, Tool

__all__ = ["ActiveConfiguration", "Configuration"]


_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Source: Realtime API reference, session object, `tools`; the service refuses other names."""


class Configuration:
    """The wanted configuration, and the tools that were added beside it.

    Args:
        start: The configuration to begin with.
        is_full: Whether an update sends the whole configuration by default, or the change alone.
        transcribes: Whether the sessions are transcription sessions.
    """

    def __init__(
        self, start: RealtimeSession | None, *, is_full: bool = False, transcribes: bool = False
    ) -> None:
        self._start: Final = (start, is_full)
        self.is_full: bool = is_full
        self._transcribes: Final = transcribes
        self._settled: RealtimeSession = start or RealtimeSession()
        self._changes: Final[dict[str, RealtimeSession]] = {}
        self._added: Final[dict[str, FunctionTool]] = {}

    @property
    def wanted(self) -> RealtimeSession:
        """The whole wanted configuration; fields that were never set are unset."""
        return self._with_added(self._without_added())

    def wanted_session(self) -> Session:
        """Return the whole wanted configuration, as one of the session's type.

        Raises:
            ConfigurationError: If a transcription session cannot have it.
        """
        return self._typed(self.wanted)

    def confirmed_session(self) -> Session:
        """Return the configuration without the changes that the server has not answered."""
        return self._typed(self._with_added(self._settled))

    def reset(self) -> None:
        """Want what was wanted at first again, without the tools that were added."""
        start, self.is_full = self._start
        self._settled = start or RealtimeSession()
        self._changes.clear()
        self._added.clear()

    @property
    def added(self) -> Mapping[str, FunctionTool]:
        """The tools that were added, by name."""
        return dict(self._added)

    def set_defaults(self, defaults: RealtimeSession) -> None:
        """Use these values where nothing else was set, and send full updates from now on."""
        self.is_full = True
        self._settled = merge_session(defaults, self._settled)

    def update(self, change: RealtimeSession, *, is_full: bool | None = None) -> Session:
        """Return the configuration to send for a change.

        Args:
            change: The change.
            is_full: Whether to send the whole configuration, or the change alone; `None`: as usual.

        Raises:
            ConfigurationError: If it names a tool that was added by `add`, or a transcription
                session cannot have it.
        """
        self._check_names(change)
        if self.is_full if is_full is None else is_full:
            return self._typed(self._with_added(merge_session(self._without_added(), change)))
        return self._typed(change if change.tools is UNSET else self._with_added(change))

    def keep(self, change: RealtimeSession) -> None:
        """Want a change from now on: the next session is configured with it."""
        self._settled = merge_session(self._settled, change)

    def record(self, event_id: str, change: RealtimeSession) -> None:
        """Want a change from now on, unless the server refuses its event."""
        self._changes[event_id] = change

    def settle(self, event_id: str, *, is_refused: bool) -> None:
        """Keep a change that the server accepted, or drop one that it refused."""
        change = self._changes.pop(event_id, None)
        if change is not None and not is_refused:
            self.keep(change)

    def add(self, tool: FunctionTool) -> RealtimeSession:
        """Add a tool; return the change to send.

        Raises:
            ConfigurationError: If it has no name, an invalid one, or that of another tool.
        """
        if not isinstance(tool.name, str) or not tool.name:
            raise ConfigurationError("a tool needs a name: the model calls it by that")
        if _TOOL_NAME.fullmatch(tool.name) is None:
            text = f"{tool.name!r} cannot be the name of a tool: choose another with `name=`"
            raise ConfigurationError(f"{text}, of at most 64 letters, digits, `_` and `-`")
        if tool.name in self._added or tool.name in self._manual_names():
            raise ConfigurationError(f"there is a tool {tool.name!r} already: remove it first")
        self._added[tool.name] = tool
        return RealtimeSession(tools=self._manual())

    def remove(self, name: str) -> RealtimeSession:
        """Remove a tool; return the change to send.

        Raises:
            ConfigurationError: If it was not added.
        """
        if name not in self._added:
            known = ", ".join(sorted(self._added)) or "none"
            raise ConfigurationError(f"no tool {name!r} was added; there are: {known}")
        del self._added[name]
        return RealtimeSession(tools=self._manual())

    def declares(self, name: str) -> bool:
        """Return whether the configuration itself, not `add`, declares a tool of this name."""
        return name in self._manual_names()

    def _without_added(self) -> RealtimeSession:
        config = self._settled
        for change in self._changes.values():
            config = merge_session(config, change)
        return config

    def _typed(self, config: RealtimeSession) -> Session:
        """Return a configuration as one of the session's type."""
        if not self._transcribes:
            return config
        blank, rest = RealtimeSession(), replace(config, audio=UNSET, include=UNSET)
        names = [n for n in rest.__struct_fields__ if getattr(rest, n) != getattr(blank, n)]
        if names:
            raise ConfigurationError(f"a transcription session has no {', '.join(names)}")
        return TranscriptionSession(audio=config.audio, include=config.include)

    def _manual(self) -> list[Tool]:
        tools = self._without_added().tools
        return [] if isinstance(tools, UnsetType) else list(tools)

    def _manual_names(self) -> set[str]:
        return {t.name for t in self._manual() if isinstance(t, FunctionTool) and t.name}

    def _check_names(self, change: RealtimeSession) -> None:
        tools = [] if isinstance(change.tools, UnsetType) else change.tools
        for tool in tools:
            if isinstance(tool, FunctionTool) and tool.name in self._added:
                text = f"the tool {tool.name!r} was added with a handler: remove it first"
                raise ConfigurationError(text)

    def _with_added(self, config: RealtimeSession) -> RealtimeSession:
        if not self._added:
            return config
        manual = [] if isinstance(config.tools, UnsetType) else config.tools
        return replace(config, tools=[*manual, *self._added.values()])


class ActiveConfiguration:
    """The configuration in force in one session."""

    def __init__(self) -> None:
        self.session: Session | None = None
        """The configuration as the server last sent it; `None` before `session.created`."""
        self.detects_turns: bool = True
        """Whether the server detects the end of a turn; otherwise the client commits."""
        self.answers_turns: bool = True
        """Whether the server begins a response at the end of a turn by itself."""
        # Kept apart: some servers confirm an update with the fields that it changed alone.
        self.model: str = ""
        """The model that responds; empty if the server has not sent it."""
        self.transcription_model: str = ""
        """The model that transcribes the user's audio; empty if there is none, or it is unknown."""
        self._sent: frozenset[object] = frozenset()
        """Names of the functions that were sent last: some servers do not repeat them."""

    def declares(self, name: str) -> bool:
        """Return whether the session has a function of this name."""
        confirmed = _functions_of(self.session)
        return name in (self._sent if confirmed is None else confirmed)

    def record(self, session: Session) -> None:
        """Record the functions of a configuration that is being sent."""
        self._sent = _functions_of(session) or self._sent

    def apply(self, session: Session) -> tuple[Format | None, Format | None]:
        """Follow the turn detection of a configuration, ours or the server's.

        Returns:
            The formats of input and output audio, where it has them.
        """
        if isinstance(session, RealtimeSession) and session.model:
            self.model = str(session.model)
        if not isinstance(session, RealtimeSession | TranscriptionSession) or not session.audio:
            return None, None
        audio_in, audio_out = session.audio.input, session.audio.output
        if audio_in and not isinstance(audio_in.transcription, UnsetType):
            transcription = audio_in.transcription
            self.transcription_model = str(transcription.model or "") if transcription else ""
        if audio_in and not isinstance(audio_in.turn_detection, UnsetType):
            detection = audio_in.turn_detection
            self.detects_turns = detection is not None
            self.answers_turns = self.detects_turns and not (
                isinstance(detection, ServerVad | SemanticVad)
                and detection.create_response is False
            )
        input_format = format_of(audio_in.format) if audio_in else None
        return input_format, format_of(audio_out.format) if audio_out else None


def _functions_of(session: Session | None) -> frozenset[object] | None:
    """Return the names of a session's functions; `None` if it says nothing about tools."""
    tools = session.tools if isinstance(session, RealtimeSession) else UNSET
    if isinstance(tools, UnsetType):
        return None
    return frozenset(_name_of(tool) for tool in tools if isinstance(tool, FunctionTool))


def _name_of(tool: FunctionTool) -> object:
    """Return the name of a function; xAI sends it as Chat Completions does, one level deeper."""
    if isinstance(tool.name, str) or not isinstance(tool.extra, dict):
        return tool.name
    nested: Any = tool.extra.get("function")
    name = cast("dict[str, object]", nested).get("name") if isinstance(nested, dict) else None
    return name if isinstance(name, str) else None
