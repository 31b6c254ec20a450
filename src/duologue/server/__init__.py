"""The embedded server: the Realtime protocol on your own machine, with no key and no bill.

`LocalServer` runs it inside your process; `duologue serve` from the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from duologue.errors import MissingExtra

if TYPE_CHECKING:
    from duologue.server.app import create_app
    from duologue.server.embedded import LocalServer
    from duologue.server.engine.uris import open_engine
    from duologue.server.injection import Faults
    from duologue.server.limits import Limits
    from duologue.server.listening import Listener
    from duologue.server.observed import ObservedSession
    from duologue.server.tls import Certificate

__all__ = [
    "Certificate",
    "Faults",
    "Limits",
    "Listener",
    "LocalServer",
    "ObservedSession",
    "create_app",
    "open_engine",
]

_PLACES = {
    "Certificate": "tls",
    "Faults": "injection",
    "Limits": "limits",
    "Listener": "listening",
    "LocalServer": "embedded",
    "ObservedSession": "observed",
    "create_app": "app",
    "open_engine": "engine.uris",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is used: its packages are an extra."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_PLACES[name]}")
    except ImportError as error:
        if (error.name or "").startswith("duologue"):
            raise
        raise MissingExtra("server", "The embedded server") from error
    return vars(module)[name]
