"""Translation of items and their content parts.

Parts are renamed only inside items. In the `content_part` events both dialects call them `text` and
`audio`, and share the types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET
from duologue.protocol.translate._copy import convert, copy_as, json_of

__all__ = ["is_in_progress", "item_to_beta", "item_to_ga"]


def item_to_ga(item: beta.Item) -> ga.Item:
    """Return a beta item in GA. If a field that GA requires is missing, it is an `UnknownItem`."""
    change = _ITEMS_TO_GA.get(type(item))
    return change(item) if change else item  # type: ignore[return-value]  # the rest are GA's own


def item_to_beta(item: ga.Item) -> beta.Item:
    """Return a GA item in beta."""
    change = _ITEMS_TO_BETA.get(type(item))
    return change(item) if change else item  # type: ignore[return-value]  # the rest are GA's own


def is_in_progress(item: beta.Item) -> bool:
    """Return whether a response is still producing an item."""
    if isinstance(item, beta.UnknownItem):
        return item.raw.get("status") == ga.ItemStatus.IN_PROGRESS
    if isinstance(item, beta.Message | beta.FunctionCall | beta.FunctionCallOutput):
        return item.status == ga.ItemStatus.IN_PROGRESS
    return False


def _message_to_ga(item: beta.Message) -> ga.Item:
    if item.role is UNSET:
        return ga.UnknownItem(raw=json_of(item))
    parts = [] if item.content is UNSET else [_part_to_ga(part) for part in item.content]
    return copy_as(item, ga.Message, content=parts)


def _message_to_beta(item: ga.Message) -> beta.Item:
    return copy_as(item, beta.Message, content=[_part_to_beta(part) for part in item.content])


def _call_to_ga(item: beta.FunctionCall) -> ga.Item:
    if item.name is UNSET:
        return ga.UnknownItem(raw=json_of(item))
    arguments = "" if item.arguments is UNSET else item.arguments
    return copy_as(item, ga.FunctionCall, arguments=arguments)


def _output_to_ga(item: beta.FunctionCallOutput) -> ga.Item:
    if item.call_id is UNSET or item.output is UNSET:
        return ga.UnknownItem(raw=json_of(item))
    return copy_as(item, ga.FunctionCallOutput)


def _part_to_ga(part: beta.ContentPart) -> ga.ContentPart:
    change = _PARTS_TO_GA.get(type(part))
    return change(part) if change else part  # type: ignore[return-value]  # the table holds beta's own


def _part_to_beta(part: ga.ContentPart) -> beta.ContentPart:
    change = _PARTS_TO_BETA.get(type(part))
    return change(part) if change else part  # type: ignore[return-value]  # the table holds GA's own


def _decode_again(
    union: Any,  # noqa: ANN401  # a union is no type
) -> Callable[[Any], Any]:
    """Return a translation of unknown members: the other dialect may know their type."""
    return lambda unknown: convert(unknown.raw, union) or unknown


_ITEMS_TO_GA: Final[Mapping[type, Callable[[Any], ga.Item]]] = {
    beta.Message: _message_to_ga,
    beta.FunctionCall: _call_to_ga,
    beta.FunctionCallOutput: _output_to_ga,
}

_ITEMS_TO_BETA: Final[Mapping[type, Callable[[Any], beta.Item]]] = {
    ga.Message: _message_to_beta,
    ga.FunctionCall: lambda item: copy_as(item, beta.FunctionCall),
    ga.FunctionCallOutput: lambda item: copy_as(item, beta.FunctionCallOutput),
    ga.UnknownItem: _decode_again(beta.Item),
}

_PARTS_TO_GA: Final[Mapping[type, Callable[[Any], ga.ContentPart]]] = {
    beta.Text: lambda part: copy_as(part, ga.OutputText),
    beta.Audio: lambda part: copy_as(part, ga.OutputAudio),
    beta.ReferencePart: lambda part: ga.UnknownPart(raw=json_of(part)),
    beta.UnknownPart: _decode_again(ga.ContentPart),
}

_PARTS_TO_BETA: Final[Mapping[type, Callable[[Any], beta.ContentPart]]] = {
    ga.OutputText: lambda part: copy_as(part, beta.Text),
    ga.OutputAudio: lambda part: copy_as(part, beta.Audio),
    ga.UnknownPart: _decode_again(beta.ContentPart),
}
