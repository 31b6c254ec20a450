"""Translation of responses, as requested and as reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET, UnsetType
from duologue.protocol.translate._audio import modalities_to_beta, modalities_to_ga
from duologue.protocol.translate._copy import copy_as, with_nulls
from duologue.protocol.translate._items import item_to_beta, item_to_ga
from duologue.protocol.translate._losses import Losses, LossRule
from duologue.protocol.translate._session import response_audio_to_beta, response_audio_to_ga

__all__ = ["params_to_beta", "params_to_ga", "response_to_beta", "response_to_ga"]

Item = TypeVar("Item")


def params_to_ga(params: beta.ResponseCreateParams, losses: Losses) -> ga.ResponseCreateParams:
    """Return the parameters of a beta `response.create` in GA."""
    params = with_nulls(params)
    losses.drop("temperature", params.temperature, LossRule.TEMPERATURE)
    limit = params.max_response_output_tokens
    if limit is UNSET:
        limit = params.max_output_tokens
    else:
        losses.drop("max_output_tokens", params.max_output_tokens, LossRule.TWO_LIMITS)
    return copy_as(
        params,
        ga.ResponseCreateParams,
        losses,
        input=_each(params.input, item_to_ga),
        output_modalities=modalities_to_ga(params.modalities),
        max_output_tokens=limit,
        **response_audio_to_ga(params, losses),
    )


def params_to_beta(params: ga.ResponseCreateParams, losses: Losses) -> beta.ResponseCreateParams:
    """Return the parameters of a GA `response.create` in beta."""
    params = with_nulls(params)
    losses.drop("reasoning", params.reasoning, LossRule.REASONING)
    losses.drop("parallel_tool_calls", params.parallel_tool_calls, LossRule.PARALLEL_TOOL_CALLS)
    changes = response_audio_to_beta(params, losses) | {
        "input": _each(params.input, item_to_beta),
        "modalities": modalities_to_beta(params.output_modalities),
        "max_response_output_tokens": params.max_output_tokens,
        "max_output_tokens": UNSET,  # beta accepts this name, too; one is enough
    }
    return copy_as(params, beta.ResponseCreateParams, losses, **changes)


def response_to_ga(response: beta.Response, losses: Losses) -> ga.Response:
    """Return a beta response in GA."""
    response = with_nulls(response)
    losses.drop("temperature", response.temperature, LossRule.TEMPERATURE)
    return copy_as(
        response,
        ga.Response,
        losses,
        output=_each(response.output, item_to_ga),
        output_modalities=modalities_to_ga(response.modalities),
        **response_audio_to_ga(response, losses),
    )


def response_to_beta(response: ga.Response, losses: Losses) -> beta.Response:
    """Return a GA response in beta."""
    response = with_nulls(response)
    changes = response_audio_to_beta(response, losses) | {
        "output": _each(response.output, item_to_beta),
        "modalities": modalities_to_beta(response.output_modalities),
    }
    return copy_as(response, beta.Response, losses, **changes)


def _each(items: list[Item] | UnsetType | None, change: Callable[[Item], object]) -> object:
    return items if items is UNSET or items is None else [change(item) for item in items]
