"""The GA dialect: all types of the current Realtime API."""

from __future__ import annotations

from typing import TYPE_CHECKING

# The modules of `server_events` are named beside it because mypy does not follow `__all__ +=` of
# another module: it would find nothing but the two unions in the package.
from duologue.protocol.ga import (
    audio,
    client_events,
    content,
    items,
    responses,
    server_events,
    session,
    tools,
)
from duologue.protocol.ga.audio import *
from duologue.protocol.ga.client_events import *
from duologue.protocol.ga.content import *
from duologue.protocol.ga.items import *
from duologue.protocol.ga.responses import *
from duologue.protocol.ga.server_events import *
from duologue.protocol.ga.server_events.conversation import *
from duologue.protocol.ga.server_events.input_audio import *
from duologue.protocol.ga.server_events.mcp import *
from duologue.protocol.ga.server_events.response import *
from duologue.protocol.ga.server_events.session import *
from duologue.protocol.ga.session import *
from duologue.protocol.ga.tools import *

__all__: list[str] = []
__all__ += audio.__all__
__all__ += client_events.__all__
__all__ += content.__all__
__all__ += items.__all__
__all__ += responses.__all__
__all__ += server_events.__all__
__all__ += session.__all__
__all__ += tools.__all__

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Return a type by its name in another package."""
        from duologue.protocol.aliases import resolve  # noqa: PLC0415  # long, and rarely asked

        return resolve("ga", name)
