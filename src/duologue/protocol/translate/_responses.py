"""Responses: as asked for, and as they stand."""

from __future__ import annotations

from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET
from duologue.protocol.translate._audio import modalities_to_beta, modalities_to_ga
from duologue.protocol.translate._carry import carry
from duologue.protocol.translate._items import item_to_beta, item_to_ga
from duologue.protocol.translate._losses import Losses, LossRule
from duologue.protocol.translate._session import response_audio_to_beta, response_audio_to_ga

__all__ = ["params_to_beta", "params_to_ga", "response_to_beta", "response_to_ga"]


def params_to_ga(params: beta.ResponseCreateParams, losses: Losses) -> ga.ResponseCreateParams:
    """Return what a beta client asks of a response in GA's words."""
    losses.drop("temperature", params.temperature, LossRule.TEMPERATURE)
    limit = params.max_response_output_tokens
    if limit is UNSET:
        limit = params.max_output_tokens
    else:
        losses.drop("max_output_tokens", params.max_output_tokens, LossRule.TWO_LIMITS)
    extra, audio = response_audio_to_ga(params)
    return carry(
        params,
        ga.ResponseCreateParams,
        extra=extra,
        audio=audio,
        input=UNSET if params.input is UNSET else [item_to_ga(item) for item in params.input],
        output_modalities=modalities_to_ga(params.modalities),
        max_output_tokens=limit,
    )


def params_to_beta(params: ga.ResponseCreateParams, losses: Losses) -> beta.ResponseCreateParams:
    """Return what a GA client asks of a response in beta's words."""
    losses.drop("reasoning", params.reasoning, LossRule.REASONING)
    losses.drop("parallel_tool_calls", params.parallel_tool_calls, LossRule.PARALLEL_TOOL_CALLS)
    changes = response_audio_to_beta(params, losses) | {
        "input": UNSET if params.input is UNSET else [item_to_beta(item) for item in params.input],
        "modalities": modalities_to_beta(params.output_modalities),
        "max_response_output_tokens": params.max_output_tokens,
        "max_output_tokens": UNSET,
    }
    return carry(params, beta.ResponseCreateParams, **changes)


def response_to_ga(response: beta.Response, losses: Losses) -> ga.Response:
    """Return a beta response in GA's words."""
    losses.drop("temperature", response.temperature, LossRule.TEMPERATURE)
    extra, audio = response_audio_to_ga(response)
    output = response.output
    return carry(
        response,
        ga.Response,
        extra=extra,
        audio=audio,
        output=UNSET if output is UNSET else [item_to_ga(item) for item in output],
        output_modalities=modalities_to_ga(response.modalities),
    )


def response_to_beta(response: ga.Response, losses: Losses) -> beta.Response:
    """Return a GA response in beta's words."""
    output = response.output
    changes = response_audio_to_beta(response, losses) | {
        "output": UNSET if output is UNSET else [item_to_beta(item) for item in output],
        "modalities": modalities_to_beta(response.output_modalities),
    }
    return carry(response, beta.Response, **changes)
