"""Constraints on single values: ranges, formats, lengths and sets of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, cast

__all__ = [
    "Constraint",
    "Violation",
    "at_least",
    "at_most",
    "between",
    "each",
    "exactly",
    "matching",
    "no_longer_than",
    "not_empty",
    "one_of",
]


@dataclass(frozen=True, slots=True)
class Violation:
    """A constraint that a value violates, without the path of the value."""

    message: str
    """Continues `Invalid 'path': `; unused with a `code` that has a message of its own."""
    fix: str
    code: str = "invalid_value"
    path: str = ""
    """Path below the value, such as `.rate` or `[2]`."""


Constraint: TypeAlias = Callable[[Any], Iterator[Violation]]
"""Yields the violations of a value that is set and not null."""


def between(low: float, high: float) -> Constraint:
    """Require a number from `low` to `high`."""

    def check(value: float) -> Iterator[Violation]:
        if not low <= value <= high:
            yield Violation(
                f"expected {low:g} to {high:g}, but got {value:g}.",
                f"stay within {low:g} to {high:g}",
            )

    return check


def at_least(low: int) -> Constraint:
    """Require a number of at least `low`."""

    def check(value: float) -> Iterator[Violation]:
        if value < low:
            yield Violation(f"expected at least {low}, but got {value}.", f"use {low} or more")

    return check


def exactly(only: float) -> Constraint:
    """Require the number `only`; the codes and messages are those of the service."""

    def check(value: float) -> Iterator[Violation]:
        if value < only:
            yield Violation(
                f"integer below minimum value. Expected a value >= {only}, but got {value}"
                " instead.",
                f"use {only}",
                "integer_below_min_value",
            )
        elif value > only:
            yield Violation(
                f"integer above maximum value. Expected a value <= {only}, but got {value}"
                " instead.",
                f"use {only}",
                "integer_above_max_value",
            )

    return check


def one_of(*known: type[StrEnum] | str) -> Constraint:
    """Require one of the known strings; an object in place of a string is not checked here."""
    values = [str(one) for each in known for one in ([each] if isinstance(each, str) else each)]

    def check(value: object) -> Iterator[Violation]:
        if isinstance(value, str) and value not in values:
            listed = ", ".join(f"'{one}'" for one in values)
            yield Violation(
                f"'{value}' is not supported. Supported values are: {listed}.",
                f"use one of {listed}",
            )

    return check


def each(of: Constraint) -> Constraint:
    """Apply a constraint to every entry of a list."""

    def check(values: list[Any]) -> Iterator[Violation]:
        for index, value in enumerate(values):
            for violation in of(value):
                yield Violation(
                    violation.message, violation.fix, violation.code, f"[{index}]{violation.path}"
                )

    return check


def at_most(size: int) -> Constraint:
    """Require a string of 1 to `size` characters."""

    def check(value: str) -> Iterator[Violation]:
        if len(value) > size:
            yield Violation(
                f"expected at most {size} characters, but got {len(value)}.",
                f"shorten it to {size}",
            )
        yield from not_empty(value)

    return check


def no_longer_than(size: int) -> Constraint:
    """Require a list, if it is one, of at most `size` entries."""

    def check(value: object) -> Iterator[Violation]:
        if isinstance(value, list):
            count = len(cast("list[object]", value))
            if count > size:
                yield Violation(
                    f"array too long. Expected an array with maximum length {size}, but got an"
                    f" array with length {count} instead.",
                    f"shorten it to {size}",
                    "array_above_max_length",
                )

    return check


def matching(pattern: str) -> Constraint:
    """Require a string that matches a regular expression."""

    def check(value: str) -> Iterator[Violation]:
        if not re.fullmatch(pattern, value):
            yield Violation(f"'{value}' does not match '{pattern}'.", f"use the form {pattern}")

    return check


def not_empty(value: Sized) -> Iterator[Violation]:
    """Require a string, list or mapping that is not empty."""
    if not value:
        yield Violation("it must not be empty.", "leave it out, or fill it in")
