"""The embedded server: the Realtime protocol on your own machine, with no key and no bill.

`LocalServer` runs it inside your process; `duologue serve` from the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from duologue.errors import MissingExtra

if TYPE_CHECKING:
    from duologue.server.app import create_app
    from duologue.server.engine.uris import open_engine
    from duologue.server.fault_injection import FaultRegistry
    from duologue.server.fault_injection import FaultRegistry as Faults
    from duologue.server.limits import Limits
    from duologue.server.listening import Listener
    from duologue.server.local_server import LocalServer
    from duologue.server.session_record import SessionRecord
    from duologue.server.session_record import SessionRecord as ObservedSession
    from duologue.server.tls import Certificate

__all__ = [
    "Certificate",
    "FaultRegistry",
    "Faults",
    "Limits",
    "Listener",
    "LocalServer",
    "ObservedSession",
    "SessionRecord",
    "create_app",
    "open_engine",
]

_PLACES: Final = {
    "Certificate": "tls",
    "FaultRegistry": "fault_injection",
    "Limits": "limits",
    "Listener": "listening",
    "LocalServer": "local_server",
    "SessionRecord": "session_record",
    "create_app": "app",
    "open_engine": "engine.uris",
}
_FORMER_NAMES: Final = {"Faults": "FaultRegistry", "ObservedSession": "SessionRecord"}


def __getattr__(name: str) -> object:
    """Import a public name when it is used: its packages are an extra."""
    name = _FORMER_NAMES.get(name, name)
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_PLACES[name]}")
    except ImportError as error:
        if (error.name or "").startswith("duologue"):
            raise
        raise MissingExtra("server", "The embedded server") from error
    return vars(module)[name]
