from __future__ import annotations

import pytest

from duologue.client.endpoint import DEFAULT_URL, endpoint
from duologue.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


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
def test_the_model_is_named_unless_the_url_says_what_answers(url: str, expected: str) -> None:
    target = endpoint(url, api_key=None, model="m 1", headers=None)
    assert (target.url, dict(target.headers)) == (expected, {})


def test_openai_needs_a_key_and_finds_it_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        endpoint(DEFAULT_URL, api_key=None, model="m", headers=None)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    target = endpoint(DEFAULT_URL, api_key=None, model="m", headers={"X": "y"})
    assert target.headers == {"X": "y", "Authorization": "Bearer sk-environment"}
    assert "sk-" not in repr(target)


def test_the_environments_key_goes_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    for url in ("ws://127.0.0.1", "wss://openai.com.example.org", "wss://notopenai.com"):
        assert endpoint(url, api_key=None, model="m", headers=None).headers == {}
    assert endpoint("wss://h", api_key="k", model="m", headers=None).headers == {
        "Authorization": "Bearer k"
    }


def test_a_header_of_the_caller_wins() -> None:
    headers = {"authorization": "Bearer ephemeral"}
    assert endpoint(DEFAULT_URL, api_key="k", model="m", headers=headers).headers == headers


def test_only_websockets_are_spoken() -> None:
    with pytest.raises(ConfigurationError, match="https"):
        endpoint("https://api.openai.com", api_key="k", model="m", headers=None)
