"""Published clients, unmodified, do everything with our server that they do with OpenAI's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.interop.clients import CHECKS, CLIENTS, Client
from tests.interop.running import Outcome, run
from tests.interop.table import PAGE, about_clients

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]  # the first test of a client runs it

EACH = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


@pytest.fixture(scope="session")
def outcome_of() -> Callable[[Client], Outcome]:
    """Return a client's outcome; each is run once."""
    known: dict[str, Outcome] = {}

    def outcome(client: Client) -> Outcome:
        if client.name not in known:
            known[client.name] = asyncio.run(run(client))
        return known[client.name]

    return outcome


@pytest.mark.parametrize(
    ("client", "check"),
    [
        pytest.param(client, check, id=f"{client.name}-{check}")
        for client in CLIENTS
        for check in CHECKS
        if check not in client.impossible
    ],
)
def test_the_client_does(
    outcome_of: Callable[[Client], Outcome], client: Client, check: str
) -> None:
    outcome = outcome_of(client)
    assert check in outcome.passed, outcome.failures.get(check, outcome.failures)


@EACH
def test_the_client_is_the_one_that_the_table_names(
    outcome_of: Callable[[Client], Outcome], client: Client
) -> None:
    outcome = outcome_of(client)
    assert outcome.version == client.version
    assert outcome.passed | set(outcome.failures) == set(CHECKS) - set(client.impossible)


@EACH
def test_the_client_is_told_of_no_error_but_its_own(
    outcome_of: Callable[[Client], Outcome], client: Client
) -> None:
    errors = outcome_of(client).errors
    own = [] if "bad event" in client.impossible else ["wrong_1"]
    assert [error.event_id for error in errors] == own, errors


def test_the_page_tells_what_the_run_gave(outcome_of: Callable[[Client], Outcome]) -> None:
    passed = {client.name: outcome_of(client).passed for client in CLIENTS}
    assert PAGE.read_text("utf-8").startswith(about_clients(passed)), "run `make compatibility`"
