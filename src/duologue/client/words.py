"""The words on a client's wire: its core thinks in GA, beta is translated at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from duologue.errors import ConfigurationError
from duologue.protocol.ga import RealtimeSession

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect
    from duologue.protocol.model import Event, UnknownEvent

__all__ = ["GaWords", "Words", "words_of"]


class Words(Protocol):
    """Turns what is spoken into what it means in GA, and back."""

    @property
    def dialect(self) -> Dialect:
        """What is spoken."""
        ...

    def heard(self, event: Event | UnknownEvent) -> tuple[Any, ...]:
        """Return what a server's event means, where that is not itself; else nothing."""
        ...

    def meant(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # a client event of GA
        """Return what an event of the application means; it may be written in either dialect.

        Raises:
            LocalProtocolError: If it cannot be said on this wire.
        """
        ...

    def spoken(self, event: Event | UnknownEvent) -> Event | UnknownEvent:
        """Return a client event as it goes over the wire."""
        ...

    def start(self, wanted: RealtimeSession | None) -> RealtimeSession:
        """Return what a client wants of its sessions, given what its application named."""
        ...


class GaWords:
    """Today's words: nothing to translate."""

    dialect: Dialect = "ga"

    def heard(self, event: Event | UnknownEvent) -> tuple[Any, ...]:
        """Return nothing: an event means itself."""
        del event
        return ()

    def meant(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # a client event of GA
        """Return the event."""
        return event

    def spoken(self, event: Event | UnknownEvent) -> Event | UnknownEvent:
        """Return the event."""
        return event

    def start(self, wanted: RealtimeSession | None) -> RealtimeSession:
        """Return what the application wants, and nothing else."""
        return wanted or RealtimeSession()


def words_of(dialect: Dialect) -> Words:
    """Return the words of a dialect.

    Raises:
        ConfigurationError: If there is no such dialect.
    """
    if dialect == "ga":
        return GaWords()
    if dialect == "beta":
        from duologue.client.beta import BetaWords  # noqa: PLC0415  # half of the import time

        return BetaWords()
    raise ConfigurationError(f"there is no dialect {dialect!r}: take 'ga', 'beta' or 'auto'")
