"""What the application wants of its sessions, change by change.

It outlives each of them: `connect` sends what was wanted last, also what a lost connection left
without an answer. A change that the server refuses is taken back, so that the next full update does
not repeat it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    AudioConfig,
    AudioInput,
    AudioOutput,
    FunctionTool,
    RealtimeSession,
)
from duologue.protocol.model import UNSET, UnsetType, replace

if TYPE_CHECKING:
    from duologue.protocol.ga import Tool

__all__ = ["Configuration", "merged"]

M = TypeVar("M", bound="RealtimeSession | AudioConfig | AudioInput | AudioOutput")


class Configuration:
    """A session's configuration as wanted, and the tools that were added beside it.

    Args:
        start: What is wanted from the start.
        is_full: Whether updates say everything that is wanted, unless they are asked not to.
    """

    def __init__(self, start: RealtimeSession | None, *, is_full: bool = False) -> None:
        self.is_full: bool = is_full
        self._settled: RealtimeSession = start or RealtimeSession()
        self._changes: dict[str, RealtimeSession] = {}
        self._added: dict[str, FunctionTool] = {}

    @property
    def wanted(self) -> RealtimeSession:
        """Everything that is wanted; what was never said is unset."""
        return self._with_added(self._by_hand())

    def lay_under(self, start: RealtimeSession) -> None:
        """Want this, too, where nothing else was said, and say all that is wanted from now on."""
        self.is_full = True
        self._settled = merged(start, self._settled)

    def update(self, change: RealtimeSession, *, is_full: bool | None = None) -> RealtimeSession:
        """Return what to send for a change: all that is wanted then, or the change alone.

        Raises:
            ConfigurationError: If it names a tool that was added by `add`.
        """
        self._check_names(change)
        if self.is_full if is_full is None else is_full:
            return self._with_added(merged(self._by_hand(), change))
        return change if change.tools is UNSET else self._with_added(change)

    def note(self, event_id: str, change: RealtimeSession) -> None:
        """Want a change from now on, unless the server refuses the event that tells it."""
        self._changes[event_id] = change

    def settle(self, event_id: str, *, is_refused: bool) -> None:
        """Take the server's answer to a change."""
        change = self._changes.pop(event_id, None)
        if change is not None and not is_refused:
            self._settled = merged(self._settled, change)

    def add(self, tool: FunctionTool) -> RealtimeSession:
        """Want a tool; return the change that tells the server.

        Raises:
            ConfigurationError: If it has no name, or that of another tool.
        """
        if not isinstance(tool.name, str) or not tool.name:
            raise ConfigurationError("a tool needs a name: the model calls it by that")
        if tool.name in self._added or tool.name in self._manual_names():
            raise ConfigurationError(f"there is a tool {tool.name!r} already: remove it first")
        self._added[tool.name] = tool
        return RealtimeSession(tools=self._manual())

    def remove(self, name: str) -> RealtimeSession:
        """Want a tool no more; return the change that tells the server.

        Raises:
            ConfigurationError: If it was not added.
        """
        if name not in self._added:
            known = ", ".join(sorted(self._added)) or "none"
            raise ConfigurationError(f"no tool {name!r} was added; there are: {known}")
        del self._added[name]
        return RealtimeSession(tools=self._manual())

    def declares(self, name: str) -> bool:
        """Tell whether the application put a tool of this name into the configuration by hand."""
        return name in self._manual_names()

    def _by_hand(self) -> RealtimeSession:
        config = self._settled
        for change in self._changes.values():
            config = merged(config, change)
        return config

    def _manual(self) -> list[Tool]:
        tools = self._by_hand().tools
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


def merged(old: M, new: M) -> M:
    """Return one configuration laid over another: what is unset stays, `None` clears."""
    changes: dict[str, object] = {}
    for name in new.__struct_fields__:
        told: object = getattr(new, name)
        known: object = getattr(old, name)
        if isinstance(told, UnsetType):
            continue
        if isinstance(told, AudioConfig | AudioInput | AudioOutput) and type(known) is type(told):
            changes[name] = merged(known, told)
        elif name == "extra" and isinstance(known, dict) and isinstance(told, dict):
            changes[name] = known | told
        else:
            changes[name] = told
    return msgspec.structs.replace(old, **changes)
