"""Rules of a value, made from what they demand: a range, a form, one of a few."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

__all__ = [
    "Fault",
    "Rule",
    "at_least",
    "at_most",
    "between",
    "each",
    "exactly",
    "matching",
    "not_empty",
    "one_of",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value, without saying where the value is."""

    message: str
    """Goes on after `Invalid 'path': `; the whole message where something is missing."""
    fix: str
    code: str = "invalid_value"
    path: str = ""
    """Below the value: `.rate`, `[2]`."""


Rule: TypeAlias = Callable[[Any], Iterator[Fault]]
"""Gives the faults of a value that is set and not null."""


def between(low: float, high: float) -> Rule:
    """Demand a number from `low` to `high`."""

    def rule(value: float) -> Iterator[Fault]:
        if not low <= value <= high:
            yield Fault(
                f"expected {low:g} to {high:g}, but got {value:g}.",
                f"stay within {low:g} to {high:g}",
            )

    return rule


def at_least(low: int) -> Rule:
    """Demand a number that is not smaller."""

    def rule(value: float) -> Iterator[Fault]:
        if value < low:
            yield Fault(f"expected at least {low}, but got {value}.", f"use {low} or more")

    return rule


def exactly(only: float) -> Rule:
    """Demand one number."""

    def rule(value: float) -> Iterator[Fault]:
        if value != only:
            yield Fault(f"expected {only}, but got {value}.", f"use {only}")

    return rule


def one_of(*known: type[StrEnum] | str) -> Rule:
    """Demand one of the values of closed enums; objects in their place have rules of their own."""
    values = [str(one) for each in known for one in ([each] if isinstance(each, str) else each)]

    def rule(value: object) -> Iterator[Fault]:
        if isinstance(value, str) and value not in values:
            listed = ", ".join(f"'{one}'" for one in values)
            yield Fault(
                f"'{value}' is not supported. Supported values are: {listed}.",
                f"use one of {listed}",
            )

    return rule


def each(of: Rule) -> Rule:
    """Apply a rule to every entry of a list."""

    def rule(values: list[Any]) -> Iterator[Fault]:
        for index, value in enumerate(values):
            for fault in of(value):
                yield Fault(fault.message, fault.fix, fault.code, f"[{index}]{fault.path}")

    return rule


def at_most(size: int) -> Rule:
    """Demand a text that is not empty and not longer."""

    def rule(value: str) -> Iterator[Fault]:
        if len(value) > size:
            yield Fault(
                f"expected at most {size} characters, but got {len(value)}.",
                f"shorten it to {size}",
            )
        yield from not_empty(value)

    return rule


def matching(pattern: str) -> Rule:
    """Demand a text of this form."""

    def rule(value: str) -> Iterator[Fault]:
        if not re.fullmatch(pattern, value):
            yield Fault(f"'{value}' does not match '{pattern}'.", f"use the form {pattern}")

    return rule


def not_empty(value: Sized) -> Iterator[Fault]:
    """Demand that something is said."""
    if not value:
        yield Fault("it must not be empty.", "leave it out, or say something")
