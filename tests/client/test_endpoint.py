"""Endpoints: URLs, keys and headers as the server receives them."""

from __future__ import annotations

import asyncio
import os
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from duologue import RealtimeAPI, RealtimeClient
from duologue.client.endpoint import DEFAULT_URL, Endpoint
from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Awaitable

AZURE = "https://mine.openai.azure.com/"
KEY = "sk-secret-of-mine-0123"

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "AZURE_OPENAI_")):
            monkeypatch.delenv(name)


async def shown(endpoint: Endpoint) -> tuple[dict[str, str], tuple[str, ...]]:
    return await endpoint.credentials(timeout=5)


# URLs. Source: Realtime API reference, "WebSocket connection"; Azure OpenAI, "Realtime API".


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:1/v1/realtime", "ws://127.0.0.1:1/v1/realtime?model=m+1"),
        ("ws://h?model=x", "ws://h?model=x"),
        ("ws://h?intent=transcription", "ws://h?intent=transcription"),
        ("ws://h?call_id=rtc_1", "ws://h?call_id=rtc_1"),
        ("ws://h/p?a=b", "ws://h/p?a=b&model=m+1"),
    ],
)
async def test_the_model_is_added_unless_the_url_selects_a_session(url: str, expected: str) -> None:
    assert Endpoint(url, model="m 1").url == expected


@pytest.mark.parametrize(
    ("arguments", "query", "kind"),
    [
        ({}, "?model=gpt-realtime", "conversation"),
        ({"kind": "transcription"}, "?intent=transcription", "transcription"),
        ({"kind": "translation"}, "/translations?model=gpt-realtime-translate", "translation"),
        ({"call_id": "rtc_1"}, "?call_id=rtc_1", "conversation"),
    ],
)
async def test_the_url_for_openai_depends_on_the_kind_of_session(
    arguments: dict[str, Any], query: str, kind: str
) -> None:
    endpoint = Endpoint(api_key=KEY, **arguments)
    assert (endpoint.url, endpoint.kind) == (DEFAULT_URL + query, kind)
    assert endpoint.is_sideband is ("call_id" in arguments)
    again = Endpoint(endpoint.url, api_key=KEY)
    assert (again.url, again.kind, again.is_sideband) == (
        endpoint.url, endpoint.kind, endpoint.is_sideband
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "url", "dialect"),
    [
        ({"deployment": "d"}, "/openai/v1/realtime?model=d", "ga"),
        ({"kind": "transcription"}, "/openai/v1/realtime?intent=transcription", "ga"),
        ({"call_id": "rtc_1"}, "/openai/v1/realtime?call_id=rtc_1", "ga"),
        (
            {"deployment": "d", "api_version": "2025-04-01-preview"},
            "/openai/realtime?api-version=2025-04-01-preview&deployment=d",
            "beta",
        ),
    ],
)
async def test_azure_has_its_own_urls_and_key_header(
    arguments: dict[str, Any], url: str, dialect: str
) -> None:
    endpoint = Endpoint.azure(AZURE, api_key=KEY, **arguments)
    assert endpoint.url == f"wss://mine.openai.azure.com{url}"
    assert endpoint.dialect == dialect
    headers, _ = await shown(endpoint)
    assert headers["api-key"] == KEY
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        ({"url": "https://api.openai.com"}, "wss://"),
        ({"url": "ws://[::1"}, "cannot be parsed"),
        ({"url": "ws://h:99999"}, "cannot be parsed"),
        ({"url": f"ws://me:{KEY}@h"}, "no user, password"),
        ({"heders": {}}, "no option 'heders'"),
        ({"kind": "chat"}, "kind must be one of 'conversation'"),
        ({"key_in": "query"}, "key_in must be one of 'bearer'"),
        ({"transport": "pycows"}, "transport must be one of 'auto'"),
        ({"compression": "gzip"}, "compression must be one of 'deflate'"),
        ({"call_id": "rtc_1", "model": "m"}, "leave out `model`"),
        ({"call_id": "rtc_1", "dialect": "auto"}, "pass dialect="),
        ({"kind": "transcription", "model": "m"}, "leave out `model`"),
        ({"kind": "translation", "dialect": "beta"}, "GA only"),
    ],
)
async def test_contradictory_arguments_raise_with_a_fix(
    arguments: dict[str, Any], fix: str
) -> None:
    with_url: Any = {"url": "ws://h", **arguments}
    with pytest.raises(ConfigurationError, match=fix) as caught:
        Endpoint(**with_url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("path", ["", "/", "/openai/v1", "/openai/v1/", "/openai/v1/realtime"])
async def test_an_azure_resource_is_accepted_with_any_path_of_the_portal(path: str) -> None:
    endpoint = Endpoint.azure(AZURE.rstrip("/") + path, deployment="d", api_key=KEY)
    assert endpoint.url == "wss://mine.openai.azure.com/openai/v1/realtime?model=d"


@pytest.mark.parametrize("resource", ["mine", "mine.openai.azure.com", "mine.openai.azure.com/x"])
async def test_an_azure_resource_without_a_scheme_is_refused(resource: str) -> None:
    with pytest.raises(ConfigurationError, match=r"https://mine\.openai\.azure\.com"):
        Endpoint.azure(resource, deployment="d", api_key=KEY)


GA = "/openai/v1/realtime?model=d"
DATED = "/openai/realtime?api-version=2025-04-01-preview&deployment=d"
VERSION = "api-version=2025-04-01-preview"


@pytest.mark.parametrize(
    ("shown", "deployment", "expected"),
    [
        ("/openai", "d", GA),
        ("/openai/", "d", GA),
        ("/openai/v1/realtime?model=d", None, GA),
        ("/openai/v1/realtime?model=d&api-version=preview", None, GA),
        ("/openai/v1/chat/completions", "d", GA),
        (
            "/openai/v1/realtime?intent=transcription",
            None,
            "/openai/v1/realtime?intent=transcription",
        ),
        ("/openai/v1/realtime?call_id=rtc_1", None, "/openai/v1/realtime?call_id=rtc_1"),
        ("/openai/deployments/d", None, GA),
        ("/openai/deployments/d/", "d", GA),
        ("/openai/deployments/d/chat/completions?api-version=2024-10-21", None, GA),
        ("/api/projects/p", "d", GA),
        ("/api/projects/p/openai/v1/", "d", GA),
        (f"?{VERSION}", "d", DATED),
        (f"/openai?{VERSION}", "d", DATED),
        (f"/openai/realtime?{VERSION}&deployment=d", None, DATED),
        (f"/openai/deployments/d/realtime?{VERSION}", None, DATED),
        ("/voice-live/realtime", "d", "/voice-live/realtime?api-version=2026-04-10&model=d"),
        (
            f"/voice-live/realtime?{VERSION}&model=d",
            None,
            f"/voice-live/realtime?{VERSION}&model=d",
        ),
    ],
)
@pytest.mark.parametrize("scheme", ["https", "wss"])
async def test_an_azure_resource_is_what_its_url_says(
    scheme: str, shown: str, deployment: str | None, expected: str
) -> None:
    resource = f"{scheme}://mine.openai.azure.com{shown}"
    endpoint = Endpoint.azure(resource, deployment=deployment, api_key=KEY)
    assert endpoint.url == f"wss://mine.openai.azure.com{expected}"
    assert endpoint.dialect == ("beta" if "api-version" in expected else "ga")


@pytest.mark.parametrize(
    ("resource", "arguments", "fix"),
    [
        (AZURE + "chat", {}, "pass https://mine.openai.azure.com"),
        (AZURE + "openai/deployments", {}, "pass https://mine.openai.azure.com"),
        (AZURE + "openai/deployments/x", {"deployment": "d"}, "another deployment"),
        (f"{AZURE}?{VERSION}", {"api_version": "2024-10-01-preview"}, "another api_version"),
        (f"{AZURE}voice-live/realtime", {"call_id": "rtc_1"}, "no translations or calls"),
        ("https:///openai", {}, "names no host"),
        ("https://mine:port", {}, "cannot be parsed"),
        ("ftp://mine.openai.azure.com", {}, "wss://"),
        (f"https://me:{KEY}@mine.openai.azure.com", {}, "no user, password"),
    ],
)
async def test_a_url_that_is_no_azure_resource_is_refused_with_the_fix(
    resource: str, arguments: dict[str, Any], fix: str
) -> None:
    with pytest.raises(ConfigurationError, match=fix):
        Endpoint.azure(resource, api_key=KEY, **arguments)


async def test_a_dated_azure_api_refuses_calls_and_translations() -> None:
    for case in ({"call_id": "rtc_1"}, {"kind": "translation"}):
        arguments: Any = case
        with pytest.raises(ConfigurationError, match="api_version"):
            Endpoint.azure(AZURE, api_key=KEY, api_version="2025-04-01-preview", **arguments)


async def test_a_client_refuses_an_endpoint_together_with_its_parts() -> None:
    with pytest.raises(ConfigurationError, match="pass url, model to the endpoint"):
        RealtimeClient(endpoint=Endpoint("ws://h"), url="ws://h", model="m")
    with pytest.raises(ConfigurationError, match="wss://"):
        RealtimeClient(url="", api_key=KEY)  # empty, as an unset setting, is not OpenAI's URL
    with pytest.raises(ConfigurationError, match="RealtimeAPI"):
        RealtimeClient(endpoint=Endpoint("ws://h", kind="translation"))


# Keys.


async def test_openai_needs_a_key_and_reads_it_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        Endpoint()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    headers, _ = await shown(Endpoint(headers={"X": "y"}))
    assert headers == {"X": "y", "Authorization": "Bearer sk-environment"}


async def test_azure_needs_a_key_and_reads_it_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_API_KEY"):
        Endpoint.azure(AZURE, deployment="d")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-environment")
    headers, _ = await shown(Endpoint.azure(AZURE, deployment="d"))
    assert headers == {"api-key": "azure-environment"}


async def test_the_environments_key_is_never_sent_to_other_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    for url in ("ws://127.0.0.1", "wss://openai.com.example.org", "wss://notopenai.com"):
        assert await shown(Endpoint(url)) == ({}, ())
    assert await shown(Endpoint("wss://h", api_key="k")) == ({"Authorization": "Bearer k"}, ())


async def test_an_authorization_header_replaces_the_key() -> None:
    headers = {"authorization": "Bearer ephemeral"}
    assert await shown(Endpoint(api_key="k", headers=headers)) == (headers, ())


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_key_can_be_sent_as_a_subprotocol(dialect: Any) -> None:
    endpoint = Endpoint(
        "ws://h", api_key="ek_1", key_in="subprotocol", dialect=dialect, subprotocols=["mine"]
    )
    beta = ("openai-beta.realtime-v1",) if dialect == "beta" else ()
    offered = ("realtime", "openai-insecure-api-key.ek_1", *beta, "mine")
    assert await shown(endpoint) == ({}, offered)


async def test_synchronous_and_asynchronous_providers_are_called_for_each_connection() -> None:
    tokens = iter(["one", "two", "three", "four"])

    async def coroutine() -> str:
        return next(tokens)

    def of_the_coroutine() -> Awaitable[str]:
        return coroutine()

    for provider in (lambda: next(tokens), coroutine, of_the_coroutine):
        endpoint = Endpoint.azure(AZURE, deployment="d", token_provider=provider)
        before = dict((await shown(endpoint))[0])
        if provider is coroutine:
            after, _ = await shown(endpoint)
            assert before != after
        assert list(before) == ["Authorization"]
    assert next(tokens, None) is None


async def test_a_provider_without_a_token_or_an_end_raises() -> None:
    nothing: Any = lambda: None  # noqa: E731  # as an application's mistake would be
    for provider in (nothing, lambda: ""):
        with pytest.raises(ConfigurationError, match="must return a str"):
            await shown(Endpoint("ws://h", api_key=provider))

    async def hangs() -> str:
        await asyncio.get_running_loop().create_future()
        return ""

    with pytest.raises(TimeoutError, match="token provider"):
        await Endpoint("ws://h", api_key=hangs).credentials(timeout=0.01)


async def test_no_key_appears_in_a_repr() -> None:
    arguments: dict[str, Any] = {
        "api_key": KEY, "headers": {"X-Key": KEY}, "proxy": f"http://me:{KEY}@proxy:1",
    }  # fmt: skip
    endpoint = Endpoint(f"wss://h/v1/realtime?key={KEY}", **arguments)
    for thing in (endpoint, RealtimeClient(endpoint=endpoint), RealtimeAPI(endpoint=endpoint)):
        assert KEY not in repr(thing)
        assert KEY not in str(thing)
    assert repr(endpoint) == "Endpoint('h', kind='conversation', dialect='ga')"


async def test_an_endpoint_that_was_refused_has_a_repr() -> None:
    """A debugger or a traceback with local variables shows it half built."""
    assert repr(Endpoint.__new__(Endpoint)) == "Endpoint()"
    seen: list[str] = []

    class Watched(Endpoint):
        def _check(self) -> None:
            seen.append(repr(self))
            super()._check()

    with pytest.raises(ConfigurationError):
        Watched("ws://h", transport="pycows")  # type: ignore[arg-type]  # an application's mistake
    assert seen == ["Endpoint('h', kind='conversation', dialect='ga')"]


@pytest.mark.parametrize(
    "secret", ["sk-proj-0123456789", "a" * 32, "0123456789abcdef" * 5 + "0123"]
)
async def test_a_key_in_the_place_of_a_url_is_not_shown(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_environment(url: str) -> Endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        return Endpoint()

    places: list[Any] = [
        Endpoint, lambda url: RealtimeClient(url=url), lambda url: RealtimeAPI(url=url),
        lambda url: Endpoint.azure(url, api_key="k"), from_environment,
    ]  # fmt: skip
    urls = [secret, f"{secret}/", f"ws://me:{secret}@h", f"ws://me:{secret}", f"ws://me@h#{secret}"]
    for place in places:
        for url in urls:
            with pytest.raises(ConfigurationError) as caught:
                place(url)
            assert secret not in "".join(traceback.format_exception(caught.value)).lower()


# The environment.


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://127.0.0.1:8080/v1", "ws://127.0.0.1:8080/v1/realtime"),
        ("http://127.0.0.1:8080/v1/", "ws://127.0.0.1:8080/v1/realtime"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/realtime"),
        ("https://gateway.example/openai", "wss://gateway.example/openai/realtime"),
        ("wss://gateway.example/v1/realtime", "wss://gateway.example/v1/realtime"),
        ("https://api.openai.com/v1", DEFAULT_URL),
    ],
)
async def test_the_base_url_of_the_environment_is_the_default(
    base: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    for endpoint in (Endpoint(), Endpoint.from_env()):
        assert endpoint.url == f"{url}?model=gpt-realtime"
        headers, _ = await shown(endpoint)
        assert headers == {"Authorization": "Bearer sk-environment"}
    translation = Endpoint(kind="translation")
    assert translation.url == f"{url}/translations?model=gpt-realtime-translate"
    assert await shown(Endpoint("wss://other.example")) == ({}, ())


async def test_a_base_url_of_the_environment_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1")
    assert await shown(Endpoint.from_env()) == ({}, ())
    monkeypatch.setenv("OPENAI_BASE_URL", " ")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    assert Endpoint().url.startswith(DEFAULT_URL)


@pytest.mark.parametrize("base", ["127.0.0.1:8080", "ftp://h/v1", "http://", "http://h:x"])
async def test_a_wrong_base_url_names_its_variable(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    with pytest.raises(ConfigurationError, match=r"OPENAI_BASE_URL is wrong: .*https://host/v1"):
        RealtimeClient()


async def test_the_environment_may_describe_a_resource_of_azure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        Endpoint.from_env()
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", AZURE)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT", "d")
    assert Endpoint.from_env().url == f"wss://mine.openai.azure.com{GA}"
    assert Endpoint.from_env(model="e").url.endswith("?model=e")
    assert Endpoint.from_env(kind="transcription").url.endswith("?intent=transcription")
    monkeypatch.setenv("OPENAI_API_VERSION", "2025-04-01-preview")
    assert Endpoint.from_env().url == f"wss://mine.openai.azure.com{DATED}"
    assert (await shown(Endpoint.from_env()))[0]["api-key"] == KEY


async def test_a_key_may_replace_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    headers, _ = await shown(Endpoint.from_env(api_key="another"))
    assert headers["Authorization"] == "Bearer another"
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", AZURE)
    assert (await shown(Endpoint.from_env(api_key="another")))[0]["api-key"] == "another"
    headers, _ = await shown(Endpoint.from_env(api_key=lambda: "token"))
    assert headers["Authorization"] == "Bearer token"


async def test_an_ambiguous_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_API_TYPE", "azure")
    with pytest.raises(ConfigurationError, match="set AZURE_OPENAI_ENDPOINT"):
        Endpoint.from_env()
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", AZURE)
    assert "azure" in Endpoint.from_env(model="d").url
    monkeypatch.setenv("OPENAI_API_TYPE", "openai")
    assert Endpoint.from_env().url.startswith(DEFAULT_URL)
    monkeypatch.delenv("OPENAI_API_TYPE")
    with pytest.raises(ConfigurationError, match="OPENAI_API_TYPE"):
        Endpoint.from_env()
