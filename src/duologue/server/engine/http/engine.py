"""The stages of the `http:` and `https:` engines, opened from their URIs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from duologue.errors import ConfigurationError
from duologue.server.engine.http.brain import HttpBrain, HttpTranslator
from duologue.server.engine.http.endpoint import HttpEndpoint, Timeouts, key_of, parse_address
from duologue.server.engine.http.speech import HttpSynthesizer, HttpTranscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.server.engine.http.endpoint import Address
    from duologue.server.engine.stages import Engine

__all__ = ["STAGES", "HttpStage", "open_stages"]

T = TypeVar("T")

OPENAI_HOSTS: Final = (".openai.com", ".openai.azure.com")
"""Hosts that call the token limit `max_completion_tokens`; few others know that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpStage:
    """A stage that endpoints offer."""

    option: str
    """The option that chooses the stage: `brain`, `stt` or `tts`."""
    model: str | None
    """The default model, a name that every compatible endpoint knows; `None`: the URI must name
    one."""
    timeouts: Timeouts
    make: Callable[[HttpEndpoint, str, Address], object]


def _brain(endpoint: HttpEndpoint, model: str, address: Address) -> HttpBrain:
    hostname = address.host.partition(":")[0]
    is_openai = hostname.endswith(OPENAI_HOSTS)
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    return HttpBrain(endpoint, model=model, limit_name=limit)


STAGES: Final = {
    "brain": HttpStage(
        option="brain",
        model=None,
        timeouts=Timeouts(first=60, between=20),  # the model may have a long conversation to read
        make=_brain,
    ),
    "translator": HttpStage(
        option="brain",
        model=None,
        timeouts=Timeouts(first=60, between=20),
        make=lambda endpoint, model, address: HttpTranslator(_brain(endpoint, model, address)),
    ),
    "transcriber": HttpStage(
        option="stt",
        model="whisper-1",
        timeouts=Timeouts(first=30, between=10),
        make=lambda endpoint, model, _: HttpTranscriber(endpoint, model=model),
    ),
    "synthesizer": HttpStage(
        option="tts",
        model="tts-1",
        timeouts=Timeouts(first=15, between=10),
        make=lambda endpoint, model, _: HttpSynthesizer(endpoint, model=model),
    ),
}


def open_stages(engine: Engine, uris: Mapping[str, str]) -> Engine:
    """Return an engine with stages that call endpoints; sends no request yet.

    Args:
        engine: The engine whose stages are replaced.
        uris: The URI of each stage, by field of `Engine`.

    Raises:
        ConfigurationError: If a URI is malformed, holds a key, or lacks a required model name.
    """
    addresses = {name: parse_address(uri) for name, uri in uris.items()}
    # Every check comes before the first client is opened, so a failure leaves nothing to close.
    models = {name: _model(name, address) for name, address in addresses.items()}
    for name, address in addresses.items():
        stage, model = STAGES[name], models[name]
        key = key_of(stage.option, address, brain=addresses.get("brain"), environ=os.environ)
        endpoint = HttpEndpoint(address, option=stage.option, key=key, timeouts=stage.timeouts)
        engine = engine.with_stages(
            {name: partial(_same, stage.make(endpoint, model, address))},
            labels={name: f"{model} at {address.host}"},
            close=endpoint.close,
        )
    return engine


def _model(name: str, address: Address) -> str:
    """Return the model of a stage, from its URI or by default."""
    stage = STAGES.get(name)
    if stage is None:
        problem = f"no endpoint offers a {name.replace('_', ' ')}"
        raise ConfigurationError(f"{problem}; use scripted: or local:")
    model = address.model or stage.model
    if model is None:
        fix = f"add #MODEL: {address.url('')}#MODEL"
        raise ConfigurationError(f"the {stage.option}'s URL names no model; {fix}")
    return model


def _same(stage: T) -> T:
    return stage
