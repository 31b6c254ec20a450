"""Tools for testing applications that use duologue."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue.testing.transports import check_transport

__all__ = ["check_transport"]


def __getattr__(name: str) -> object:
    if name == "check_transport":  # not loaded by the pytest plugin, which is in every test run
        from duologue.testing.transports import check_transport  # noqa: PLC0415  # see above

        return check_transport
    raise AttributeError(f"module 'duologue.testing' has no attribute {name!r}")
