"""Dialect adapters: between the wire of a connection and the GA events of the session cores.

Both session cores use GA events only. What a connection sends and receives in another dialect is
translated here, at the edge, by the same adapter on a client and on a server.

A new dialect is one module beside `ga` and `beta`, with a class that has the methods of
`DialectAdapter`, and one row in `_ADAPTERS`. Name it in `codec.Dialect` and add its events to
`codec.event_union`, so that `codec.decode` decodes them, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, overload

from duologue.errors import ConfigurationError
from duologue.protocol.dialects.adapter import DialectAdapter, InvalidClientEvent
from duologue.protocol.dialects.ga import GaAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.protocol import ga
    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.ga import translation

__all__ = ["DialectAdapter", "InvalidClientEvent", "dialect_adapter", "voice_live_adapter"]


@overload
def dialect_adapter(
    dialect: Dialect, surface: Literal["realtime", "transcription"] = "realtime"
) -> DialectAdapter[ga.AnyClientEvent, ga.KnownServerEvent]: ...


@overload
def dialect_adapter(
    dialect: Dialect, surface: Literal["translation"]
) -> DialectAdapter[
    translation.AnyTranslationClientEvent, translation.KnownTranslationServerEvent
]: ...


@overload
def dialect_adapter(dialect: Dialect, surface: Surface) -> DialectAdapter[Any, Any]: ...


def dialect_adapter(dialect: Dialect, surface: Surface = "realtime") -> DialectAdapter[Any, Any]:
    """Return a new adapter, for one connection.

    Args:
        dialect: Name of the dialect on the wire.
        surface: Purpose of the connection.

    Raises:
        ConfigurationError: If there is no such dialect, or `surface` does not exist in it.
    """
    make = _ADAPTERS.get(dialect)
    if make is None:
        raise ConfigurationError(f"there is no dialect {dialect!r}: use 'ga', 'beta' or 'auto'")
    return make(surface)


def voice_live_adapter() -> DialectAdapter[ga.AnyClientEvent, ga.KnownServerEvent]:
    """Return a new adapter for a server's connection in Azure Voice Live's form of beta."""
    from duologue.protocol.dialects.voice_live import VoiceLiveAdapter  # noqa: PLC0415  # as below

    return VoiceLiveAdapter()


def _beta(surface: Surface) -> DialectAdapter[Any, Any]:
    from duologue.protocol.dialects.beta import BetaAdapter  # noqa: PLC0415  # half of the import time

    return BetaAdapter(surface)


_ADAPTERS: Final[Mapping[str, Callable[[Surface], DialectAdapter[Any, Any]]]] = {
    "ga": GaAdapter,
    "beta": _beta,
}
