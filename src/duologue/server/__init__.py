"""The embedded server: the Realtime protocol on your own machine, with no key and no bill.

`LocalServer` runs it inside your process; `duologue serve` from the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import MissingExtra

if TYPE_CHECKING:
    from duologue.server.embedded import LocalServer, ObservedSession

__all__ = ["LocalServer", "ObservedSession"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from duologue.server import embedded  # noqa: PLC0415  # its packages are an extra
    except ImportError as error:
        if (error.name or "").startswith("duologue"):
            raise
        raise MissingExtra("server", "The embedded server") from error
    return getattr(embedded, name)
