"""The beta dialect, used by the Realtime API until May 2026 and by other servers to this day.

Each module covers a heading of the API reference; this package exports all their names. A type that
is the same in both dialects is GA's. The type names of the Dart and Java packages resolve here as
well: see `duologue.protocol.aliases`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.protocol.beta import (
    client_events,
    content,
    items,
    responses,
    server_events,
    session,
)
from duologue.protocol.beta.client_events import *
from duologue.protocol.beta.content import *
from duologue.protocol.beta.items import *
from duologue.protocol.beta.responses import *
from duologue.protocol.beta.server_events import *
from duologue.protocol.beta.session import *

AnyEvent = AnyClientEvent | AnyServerEvent
"""Any event of either side."""

__all__: list[str] = ["AnyEvent"]
__all__ += client_events.__all__
__all__ += content.__all__
__all__ += items.__all__
__all__ += responses.__all__
__all__ += server_events.__all__
__all__ += session.__all__

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Return a type by its name in another package."""
        from duologue.protocol.aliases import resolve  # noqa: PLC0415  # long, and rarely asked

        return resolve("beta", name)
