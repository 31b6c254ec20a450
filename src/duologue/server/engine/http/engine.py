"""The stages of the `http:` and `https:` engines, opened from their URIs."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from duologue.errors import ConfigurationError
from duologue.server.engine.http.address import key_of, parse_address
from duologue.server.engine.http.brain import HttpBrain, HttpTranslator
from duologue.server.engine.http.endpoint import Endpoint, Timeouts
from duologue.server.engine.http.speech import HttpSynthesizer, HttpTranscriber
from duologue.server.engine.stages import OpenStages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.server.engine.http.address import Address
    from duologue.server.engine.stages import StageParts

__all__ = ["KINDS", "Kind", "open_stages"]

T = TypeVar("T")

OPENAI_HOSTS: Final = (".openai.com", ".openai.azure.com")
"""Here the limit of tokens is called `max_completion_tokens`; elsewhere few know that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of stage that endpoints offer."""

    option: str
    """What it is called by who chooses it."""
    model: str | None
    """Asked for when the URI names none: what every compatible endpoint knows."""
    timeouts: Timeouts
    make: Callable[[Endpoint, str, Address], object]


def _brain(endpoint: Endpoint, model: str, address: Address) -> HttpBrain:
    hostname = address.host.partition(":")[0]
    is_openai = hostname.endswith(OPENAI_HOSTS)
    limit = "max_completion_tokens" if is_openai else "max_tokens"
    return HttpBrain(endpoint, model=model, limit_name=limit)


KINDS: Final = {
    "brain": Kind(
        option="brain",
        model=None,
        timeouts=Timeouts(first=60, between=20),  # it may read a long conversation first
        make=_brain,
    ),
    "translator": Kind(
        option="brain",
        model=None,
        timeouts=Timeouts(first=60, between=20),
        make=lambda endpoint, model, address: HttpTranslator(_brain(endpoint, model, address)),
    ),
    "transcriber": Kind(
        option="stt",
        model="whisper-1",
        timeouts=Timeouts(first=30, between=10),
        make=lambda endpoint, model, _: HttpTranscriber(endpoint, model=model),
    ),
    "synthesizer": Kind(
        option="tts",
        model="tts-1",
        timeouts=Timeouts(first=15, between=10),
        make=lambda endpoint, model, _: HttpSynthesizer(endpoint, model=model),
    ),
}


async def open_stages(wanted: Mapping[str, str]) -> OpenStages:
    """Return stages that ask endpoints; nothing is asked of them yet.

    Args:
        wanted: For each stage of `Engine` its URI.

    Raises:
        ConfigurationError: If a URI is none, holds a key, or names no model where it must.
    """
    addresses = {stage: parse_address(uri) for stage, uri in wanted.items()}
    parts: dict[str, object] = {}
    labels: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        for stage, address in addresses.items():
            kind = KINDS.get(stage)
            if kind is None:
                what = f"no endpoint offers a {stage.replace('_', ' ')}"
                raise ConfigurationError(f"{what}; use scripted: or local:")
            model = address.model or kind.model
            if model is None:
                fix = f"add #MODEL: {address.url('')}#MODEL"
                raise ConfigurationError(f"the {kind.option}'s URL names no model; {fix}")
            key = key_of(kind.option, address, brain=addresses.get("brain"), environ=os.environ)
            endpoint = Endpoint(address, option=kind.option, key=key, timeouts=kind.timeouts)
            stack.push_async_callback(endpoint.close)
            parts[stage] = partial(_same, kind.make(endpoint, model, address))
            labels[stage] = f"{model} at {address.host}"
        return OpenStages(cast("StageParts", parts), labels, stack.pop_all().aclose)


def _same(stage: T) -> T:
    return stage
