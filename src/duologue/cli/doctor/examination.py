"""Examination: all checks in order, from the environment to a session."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

from duologue.cli.doctor.explanations import (
    explain_dialect,
    explain_handshake,
    explain_model,
    explain_round_trip,
    explain_session_end,
    ignored_fields,
)
from duologue.cli.doctor.probes import (
    probe_dns,
    probe_packages,
    probe_proxy,
    probe_tcp,
    probe_tls,
)
from duologue.cli.doctor.settings import (
    Check,
    ConfigurationFile,
    check_configuration,
    check_key,
    check_url_form,
    explain_bad_url,
    read_configuration,
    removed,
)
from duologue.client.api import RealtimeAPI
from duologue.client.deadline import Deadline
from duologue.client.endpoint import Endpoint
from duologue.errors import ConfigurationError, ConnectionLost, DuologueError, SessionRefused
from duologue.protocol.model import UnknownEvent
from duologue.protocol.translate import detect_dialect
from duologue.session.error_reports import explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.client.endpoint import DialectChoice
    from duologue.protocol.codec import Dialect
    from duologue.protocol.model import Event

__all__ = ["NAMES", "Subject", "examine"]

NAMES: Final = (
    "environment", "url", "key", "configuration", "proxy", "dns", "tcp", "tls", "clock",
    "handshake", "session", "dialect", "model", "round_trip", "update",
)  # fmt: skip
"""Names of the checks, in order."""

MAX_TEXT: Final = 600
"""Characters of a fact; a server may send any number in its errors."""

_EVENT_ID: Final = "event_doctor"
_NO_SECRETS: Final = frozenset({"model", "deployment", "intent", "api-version", "call_id"})
_NO_KEY: Final = (
    "set OPENAI_API_KEY, or AZURE_OPENAI_API_KEY for Azure, or pass --api-key; without a key, run"
    " `duologue serve`, then `duologue doctor --url ws://127.0.0.1:8080/v1/realtime`"
)
_BAD_ENVIRONMENT: Final = "correct OPENAI_BASE_URL, AZURE_OPENAI_ENDPOINT or OPENAI_API_TYPE"
_BAD_RESOURCE: Final = "pass the URL that Azure's portal shows: https://NAME.openai.azure.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Options of the command line: the server, and how to examine it."""

    url: str | None = None
    azure: str | None = None
    """URL of a resource of Azure."""
    api_key: str | None = None
    model: str | None = None
    dialect: DialectChoice | None = None
    configuration: str | None = None
    """Content of the file with a configuration."""
    timeout: float = 10.0
    """Limit of each step, in seconds."""

    def endpoint(self, *, stand_in: str | None = None) -> Endpoint:
        """Return the endpoint.

        Args:
            stand_in: Key to use if there is no other, to find out what else is wrong.

        Raises:
            ConfigurationError: As `Endpoint`.
        """
        key, model, dialect = self.api_key or stand_in, self.model, self.dialect
        if self.azure is not None:
            return Endpoint.azure(self.azure, deployment=model, api_key=key, dialect=dialect)
        if self.url is not None:
            return Endpoint(self.url, api_key=key, model=model, dialect=dialect or "ga")
        return Endpoint.from_env(api_key=key, model=model, dialect=dialect)


async def examine(subject: Subject, show: Callable[[Check], None]) -> None:
    """Pass each check to `show` as soon as it is done; none contains a secret."""
    await _Examination(subject, show).run()


class _Examination:
    """One examination; a step that cannot go on returns, and the rest is skipped."""

    def __init__(self, subject: Subject, show: Callable[[Check], None]) -> None:
        self._subject: Final = subject
        self._timeout: Final = subject.timeout
        self._show: Final = show
        self._seen: Final[dict[str, Check]] = {}
        self._secrets = frozenset({subject.api_key} if subject.api_key else ())
        self._configuration: ConfigurationFile | None = None
        self._is_azure = False

    async def run(self) -> None:
        """Make all checks."""
        self._add(probe_packages())
        endpoint = await self._check_settings()
        if endpoint is not None and await self._check_network(endpoint.url):
            await self._check_session(endpoint)
        failed = [name for name, check in self._seen.items() if check.status == "failed"]
        failed = [name for name in failed if name != "configuration"]  # which stops nothing
        for name in NAMES:
            if name not in self._seen:
                self._add(Check(name, "skipped", f"correct `{failed[-1]}` first"))

    def _add(self, check: Check) -> None:
        # Servers may send anything: control characters would reach the terminal.
        fact = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", removed(check.fact, self._secrets))
        if len(fact) > MAX_TEXT:
            fact = f"{fact[:MAX_TEXT]}…"
        fix = None if check.fix is None else removed(check.fix, self._secrets)
        self._seen[check.name] = shown = replace(check, fact=fact, fix=fix)
        self._show(shown)

    # Settings.

    async def _check_settings(self) -> Endpoint | None:
        """Return the endpoint, if there is one with a key."""
        subject, endpoint = self._subject, None
        try:
            form = subject.endpoint(stand_in="stand-in")
        except ConfigurationError as error:
            self._add(self._bad_url(error))
            self._add(Check("key", "skipped", "correct `url` first"))
        else:
            endpoint = await self._check_endpoint(form)
        if subject.configuration is None:
            self._add(Check("configuration", "skipped", "no file is named by --config"))
            return endpoint
        found = read_configuration(subject.configuration)
        if isinstance(found, Check):
            self._add(found)
            return endpoint
        self._configuration = found
        self._secrets |= found.secrets
        dialect = subject.dialect if endpoint is None else endpoint.dialect
        surface = "realtime" if endpoint is None else endpoint.surface
        dialects: tuple[Dialect, ...] = ("ga", "beta") if dialect == "auto" else (dialect or "ga",)
        results = [check_configuration(found, each, surface) for each in dialects]
        for check in next((each for each in results if each[0].status == "ok"), results[0]):
            self._add(check)
        return endpoint

    def _bad_url(self, error: ConfigurationError) -> Check:
        if self._subject.azure is not None:
            return Check("url", "failed", str(error), _BAD_RESOURCE)
        if self._subject.url is not None:
            return explain_bad_url(self._subject.url, error)
        return Check("url", "failed", str(error), _BAD_ENVIRONMENT)

    async def _check_endpoint(self, form: Endpoint) -> Endpoint | None:
        """Check URL and key; return the endpoint with its key.

        Args:
            form: The endpoint with a key that may stand in for it.
        """
        headers, _ = await form.credentials(timeout=self._timeout)
        self._is_azure = "api-key" in headers
        model = self._subject.model
        try:
            endpoint = self._subject.endpoint()
        except ConfigurationError as error:
            self._add(check_url_form(form.url, is_azure=self._is_azure, model=model))
            self._add(Check("key", "failed", str(error), _NO_KEY))
            return None
        headers, _ = await endpoint.credentials(timeout=self._timeout)
        key = headers.get("api-key") or headers.get("Authorization", "").removeprefix("Bearer ")
        parts = urlsplit(endpoint.url)
        query = parse_qsl(parts.query)
        values = {value for name, value in query if name.lower() not in _NO_SECRETS}
        self._secrets |= {word for word in (key, key.strip(), *values) if word}
        self._add(check_url_form(endpoint.url, is_azure=self._is_azure, model=model))
        self._add(check_key(key or None, parts.hostname or ""))
        return endpoint

    async def _check_network(self, url: str) -> bool:
        """Return whether the server is reached."""
        check, route = probe_proxy(url)
        self._add(check)
        if route is None:
            return False
        check, addresses = await probe_dns(route, self._timeout)
        self._add(check)
        if not addresses:
            return False
        check, address = await probe_tcp(route, addresses, self._timeout)
        self._add(check)
        if address is None:
            return False
        for check in await probe_tls(replace(route, address=address), self._timeout):
            self._add(check)
        return self._seen["tls"].status != "failed"

    # The session.

    async def _check_session(self, endpoint: Endpoint) -> None:
        api = RealtimeAPI(endpoint=endpoint, connect_timeout=self._timeout)
        opened = Check("handshake", "ok", "the server accepts the WebSocket")
        try:
            await api.connect()
        except (TimeoutError, SessionRefused, ConnectionLost) as error:
            if isinstance(error, ConnectionLost) and error.code is None:
                self._add(explain_handshake(error))
            else:
                self._add(opened)
                self._add(explain_session_end(error))
            return
        except DuologueError as error:
            self._add(explain_handshake(error))
            return
        self._add(opened)
        try:
            with contextlib.suppress(TimeoutError, ConnectionLost, SessionRefused):  # shown
                await self._converse(api, endpoint)
        finally:
            await api.close()

    async def _converse(self, api: RealtimeAPI, endpoint: Endpoint) -> None:
        session: dict[str, Any] = {}
        if endpoint.is_sideband:
            for name in ("session", "dialect", "model"):
                self._add(Check(name, "skipped", "a call has begun before it is joined"))
        else:
            created = await self._created(api)
            self._add(Check("session", "ok", f"the server sent {created.type}"))
            self._add(explain_dialect(endpoint.dialect, detect_dialect(created.raw or b"")))
            session = _object(json.loads(created.raw or b"{}").get("session"))
            query = dict(parse_qsl(urlsplit(endpoint.url).query))
            asked, named = query.get("model") or query.get("deployment"), session.get("model")
            named = named if isinstance(named, str) else None
            self._add(explain_model(asked, named, is_azure=self._is_azure))
        await self._update(api, self._wanted(session))

    async def _created(self, api: RealtimeAPI) -> Event | UnknownEvent:
        """Return the event that begins the session."""
        deadline, last = Deadline(self._timeout), None
        events = aiter(api)
        try:
            while True:
                event = await deadline.limit(anext(events), "the server sent no session.created")
                if event.type.endswith("session.created"):
                    return event
                last = event
        except TimeoutError as error:
            self._add(explain_session_end(explained(error, last)))
            raise
        except (ConnectionLost, SessionRefused) as error:
            self._add(explain_session_end(error))
            raise

    def _wanted(self, session: dict[str, Any]) -> bytes:
        """Return the update to send: the configuration of the file, or one that changes nothing."""
        if self._configuration is not None and self._configuration.kind == "session":
            return self._configuration.event(_EVENT_ID)
        # Sessions of GA have a type, which their updates must repeat; beta's have none.
        same = {"type": session["type"]} if session.get("type") in _UPDATABLE else {}
        return json.dumps(
            {"type": "session.update", "event_id": _EVENT_ID, "session": same}
        ).encode()

    async def _update(self, api: RealtimeAPI, update: bytes) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            api.send(UnknownEvent(type="session.update", raw=update, event_id=_EVENT_ID))
            answer = await self._answer(api)
        except TimeoutError as error:
            fix = "commands of the client will time out: see the server's log"
            self._add(Check("round_trip", "warning", str(error), fix))
            self._add_update(update, None)
            return
        except (ConnectionLost, SessionRefused) as error:
            fix = "see the server's log: it ended the session after session.update"
            self._add(Check("round_trip", "failed", str(error), fix))
            return
        self._add(explain_round_trip(loop.time() - began))
        self._add_update(update, answer)

    async def _answer(self, api: RealtimeAPI) -> dict[str, Any]:
        """Return the answer to the update: `session.updated`, or an `error`."""
        deadline, events = Deadline(self._timeout), aiter(api)
        while True:
            event = await deadline.limit(anext(events), "the server did not answer session.update")
            body: dict[str, Any] = json.loads(event.raw or b"{}")
            if event.type.endswith("session.updated"):
                return body
            refused = _object(body.get("error")).get("event_id")
            if event.type == "error" and refused in {None, "", _EVENT_ID}:
                return body

    def _add_update(self, update: bytes, answer: dict[str, Any] | None) -> None:
        """Add the check of the configuration's acceptance."""
        if self._configuration is None or self._configuration.kind != "session":
            self._add(Check("update", "skipped", "no session is configured by --config"))
            return
        if answer is None:
            fix = "see the server's log, and its documentation of session.update"
            self._add(Check("update", "failed", "the configuration got no answer", fix))
            return
        if answer.get("type") == "error":
            error = _object(answer.get("error"))
            words = error.get("message") or error.get("code") or "the server gave no reason"
            where = f" ({error['param']})" if error.get("param") else ""
            fix = "correct the field that the server names"
            fact = f"the server refused the configuration: {words}{where}"
            self._add(Check("update", "failed", fact, fix))
            return
        ignored = list(ignored_fields(json.loads(update)["session"], answer.get("session")))
        if ignored:
            fact = f"accepted, but the session does not show {', '.join(ignored)} as sent"
            fix = "the server may ignore these fields, or choose values of its own"
            self._add(Check("update", "warning", fact, fix))
            return
        self._add(Check("update", "ok", "the server accepted the configuration"))


_UPDATABLE: Final = frozenset({"realtime", "transcription"})


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value if isinstance(value, dict) else {})
