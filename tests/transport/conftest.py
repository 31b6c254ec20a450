"""Fixture that runs each test with both WebSocket libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duologue.transport.picows import connect_picows
from duologue.transport.websockets import connect_websockets

if TYPE_CHECKING:
    from tests.transport.transport_doubles import Connect


@pytest.fixture(params=[connect_picows, connect_websockets], ids=["picows", "websockets"])
def connect(request: pytest.FixtureRequest) -> Connect:
    return request.param
