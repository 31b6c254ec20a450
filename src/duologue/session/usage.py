"""Usage of a client: tokens by modality and model, their cost, and the budget for both.

The server reports the usage of a response when it is done, and that of a transcription when it
completes. Cancelled responses are billed, too. A response whose end does not arrive, because the
connection is lost, is not counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from duologue.errors import BudgetExceeded, ConfigurationError
from duologue.protocol.ga import TranscriptionDurationUsage, TranscriptionTokenUsage
from duologue.protocol.model import UnsetType
from duologue.session.prices import PRICES, ModalityTokens, PriceTable, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.protocol.ga import (
        CachedTokenDetails,
        InputTokenDetails,
        OutputTokenDetails,
        Response,
        TranscriptionUsage,
    )

__all__ = ["Budget", "UsageMeter", "UsageReport"]

MAX_MODELS: Final = 64
"""Models that are counted apart, with the kind of their use; a session has two."""

OTHER_MODELS: Final = "other models"
"""Name under which the usage of further models is counted; it has no price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limit of a client's usage, over all its connections. One of the fields is enough.

    Raises:
        ConfigurationError: If there is no limit, or it is not above 0.
    """

    cost: float | None = None
    """US dollars, by the client's `prices`."""
    tokens: int | None = None
    """Tokens in and out, cached ones included."""

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.cost, self.tokens) if limit is not None]
        if not limits:
            raise ConfigurationError("a budget needs a limit: `cost` or `tokens`")
        for limit in limits:
            if not _is_limit(limit):
                raise ConfigurationError(f"the limit of a budget must be above 0, not {limit!r}")


def _is_limit(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Usage of a client so far, over all its connections."""

    responses: TokenUsage
    """Usage of responses."""
    transcriptions: TokenUsage
    """Usage of transcriptions of the user's audio, which another model makes."""
    models: Mapping[str, TokenUsage]
    """Both, by model; an empty name if the server has not sent it."""
    prices: PriceTable
    """The prices that `cost` is computed from."""

    @property
    def total(self) -> TokenUsage:
        """The sum of responses and transcriptions."""
        return self.responses + self.transcriptions

    @property
    def cost(self) -> float | None:
        """Cost in US dollars; `None` if that of a model is not known: see `unpriced`."""
        costs = [self.cost_of(model) for model in self.models]
        known = [cost for cost in costs if cost is not None]
        return math.fsum(known) if len(known) == len(costs) else None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose cost is not known."""
        return tuple(model for model in self.models if self.cost_of(model) is None)

    def cost_of(self, model: str) -> float | None:
        """Return the cost of a model in US dollars.

        Returns:
            `None` if it has no price, or the server did not report all of its usage.
        """
        usage, prices = self.models.get(model), self.prices.find(model)
        if usage is None:
            return 0.0
        return None if prices is None else prices.cost(usage)


class UsageMeter:
    """Counts the usage of a client, and compares it with its budget.

    Args:
        prices: The prices of the models.
        budget: The limit; `None`: there is none.
    """

    def __init__(self, prices: PriceTable = PRICES, budget: Budget | None = None) -> None:
        self.prices: Final = prices
        self.budget: Final = budget
        self._is_reported = False
        self._responses: Final[dict[str, TokenUsage]] = {}
        self._transcriptions: Final[dict[str, TokenUsage]] = {}

    def report(self) -> UsageReport:
        """Return the usage so far."""
        models = dict(self._responses)
        for model, usage in self._transcriptions.items():
            models[model] = models.get(model, TokenUsage()) + usage
        return UsageReport(
            responses=sum(self._responses.values(), TokenUsage()),
            transcriptions=sum(self._transcriptions.values(), TokenUsage()),
            models=MappingProxyType(models),
            prices=self.prices,
        )

    def on_response(self, model: str, response: Response) -> None:
        """Count a response that has ended."""
        _add(self._responses, model, response_usage(response))

    def on_transcription(self, model: str, usage: TranscriptionUsage | UnsetType) -> None:
        """Count a transcription that has completed."""
        _add(self._transcriptions, model, transcription_usage(usage))

    def exceeded(self, model: str) -> BudgetExceeded | None:
        """Return an error if the budget allows no further response.

        A budget that cannot be compared with the usage counts as used up, because it is there to
        limit it.

        Args:
            model: The model that would respond.
        """
        if self.budget is None:
            return None
        report = self.report()
        exceeded = _tokens_exceeded(report, self.budget.tokens)
        return exceeded or self._cost_exceeded(report, self.budget.cost, model)

    def _cost_exceeded(
        self, report: UsageReport, limit: float | None, model: str
    ) -> BudgetExceeded | None:
        if limit is None:
            return None
        cost = report.cost
        reason = "" if self.prices.find(model) else _no_price(model)
        if cost is None:
            reason = _NOT_REPORTED if report.total.unreported else _no_price(*report.unpriced)
        if reason:
            return BudgetExceeded(None, limit, unit="USD", reason=reason)
        is_exceeded = cost is not None and cost >= limit
        return BudgetExceeded(cost, limit, unit="USD") if is_exceeded else None

    def first_exceeded(self, model: str) -> BudgetExceeded | None:
        """Return the error of `exceeded`, but only once: for responses that are not refused."""
        error = None if self._is_reported else self.exceeded(model)
        self._is_reported = self._is_reported or error is not None
        return error


def _tokens_exceeded(report: UsageReport, limit: int | None) -> BudgetExceeded | None:
    if limit is None:
        return None
    spent = report.total
    if spent.unreported:
        return BudgetExceeded(None, limit, unit="tokens", reason=_NOT_REPORTED)
    is_exceeded = spent.total_tokens >= limit
    return BudgetExceeded(spent.total_tokens, limit, unit="tokens") if is_exceeded else None


_NOT_REPORTED: Final = "the server does not report all of the usage"

_BILLED: Final = frozenset({"completed", "incomplete"})
"""Statuses of responses that have usage; a failed one may have none."""


def _no_price(*models: str) -> str:
    names = ", ".join(repr(model) if model else "of an unknown name" for model in models)
    return f"there is no price for the model {names}: add one to `prices`"


def response_usage(response: Response) -> TokenUsage:
    """Return the usage of a response as the server reported it."""
    usage = response.usage
    if not usage:
        is_billed = response.status in _BILLED
        return TokenUsage(count=1, unreported=int(is_billed))
    details = usage.input_token_details or None
    whole = _by_modality(usage.input_tokens, details)
    output = _by_modality(usage.output_tokens, usage.output_token_details or None)
    # Reasoning is billed as text; some servers count it apart from the text that they send.
    if usage.output_token_details:
        reasoning = _number(usage.output_token_details.reasoning_tokens)
        output = _moved_to_text(output, min(output.unspecified, reasoning))
    return TokenUsage(count=1, input=whole, cached=_cached_of(details, whole), output=output)


def transcription_usage(usage: TranscriptionUsage | UnsetType) -> TokenUsage:
    """Return the usage of a transcription as the server reported it."""
    match usage:
        case TranscriptionTokenUsage():
            whole = _by_modality(usage.input_tokens, usage.input_token_details or None)
            if not usage.input_token_details:
                whole = ModalityTokens(audio=whole.total)
            output = ModalityTokens(text=_number(usage.output_tokens))
            return TokenUsage(count=1, input=whole, output=output)
        case TranscriptionDurationUsage(seconds=seconds):
            return TokenUsage(count=1, audio_seconds=max(0.0, seconds))
        case _:
            return TokenUsage(count=1, unreported=1)


def _by_modality(
    total: int | UnsetType,
    details: InputTokenDetails | OutputTokenDetails | CachedTokenDetails | None,
) -> ModalityTokens:
    """Return tokens by modality; those that the details leave out are unspecified."""
    text, audio, image = (
        _number(getattr(details, f"{kind}_tokens", 0)) for kind in ("text", "audio", "image")
    )
    rest = max(0, _number(total) - text - audio - image)
    return ModalityTokens(text=text, audio=audio, image=image, unspecified=rest)


def _cached_of(details: InputTokenDetails | None, whole: ModalityTokens) -> ModalityTokens:
    """Return the cached tokens, at most as many of each modality as there are."""
    if details is None:
        return ModalityTokens()
    cached = _by_modality(details.cached_tokens, details.cached_tokens_details or None)
    if cached.unspecified and whole.text == whole.total:  # nothing else can be cached
        cached = _moved_to_text(cached, cached.unspecified)
    return ModalityTokens(
        text=min(cached.text, whole.text),
        audio=min(cached.audio, whole.audio),
        image=min(cached.image, whole.image),
        unspecified=cached.unspecified,
    )


def _moved_to_text(tokens: ModalityTokens, unspecified: int) -> ModalityTokens:
    return tokens + ModalityTokens(text=unspecified, unspecified=-unspecified)


def _number(count: int | UnsetType) -> int:
    return 0 if isinstance(count, UnsetType) else max(0, count)


def _add(usages: dict[str, TokenUsage], model: str, usage: TokenUsage) -> None:
    if model not in usages and len(usages) >= MAX_MODELS:
        model = OTHER_MODELS
    usages[model] = usages.get(model, TokenUsage()) + usage
