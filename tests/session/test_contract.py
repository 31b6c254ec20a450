"""Both cores fulfil one contract, and their drivers rely on nothing else to run them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.session.session_events import new_core

from duologue.session.effects import Effect

if TYPE_CHECKING:
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.contract import SessionCore


def test_the_clients_core_fulfils_the_contract() -> None:
    core: SessionCore[Event | UnknownEvent, Event | UnknownEvent, Effect] = new_core()
    assert core.next_deadline() is None
    core.handle_deadline(1.0)
    core.end(None)
    assert core.effects() == []


@pytest.mark.parametrize("kind", Effect.__args__)
def test_an_effect_of_the_client_is_plain_data(kind: Any) -> None:
    assert kind.__struct_config__.frozen
