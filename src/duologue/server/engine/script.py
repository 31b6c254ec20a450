"""Scripts of the `scripted:` engine: the rules it answers by, and the transcripts it returns.

Scripts are TOML files, or Python files with the same names and optionally a brain. A mistake in a
script is reported before the server starts, with its file, rule and key, and how to fix it.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from duologue.protocol.model import Json

__all__ = ["Rule", "Script", "Step", "fill", "fill_text", "load_script", "script_from"]

_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{(\w+)\}")

_Text = str | Annotated[list[str], Meta(min_length=1)]


class ScriptFaultError(ConfigurationError, ValueError):
    """Invalid rule; a `ValueError`, so that msgspec adds the path of the rule to the message."""


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One action: say, call, wait or fail.

    Texts may contain the placeholders `{heard}`, `{output}` and named groups of the rule's pattern.
    """

    say: _Text | UnsetType = UNSET
    """Text to say; from a list, one is chosen at random, by the script's seed."""
    call: str | UnsetType = UNSET
    """Name of the function to call."""
    arguments: dict[str, Any] | UnsetType = UNSET
    """Arguments of the call."""
    wait: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    """Seconds to wait."""
    fail: str | UnsetType = UNSET
    """Message of the error that ends the response as failed."""
    code: str | UnsetType = UNSET
    """Code of the error; `engine_failed` by default."""

    def __post_init__(self) -> None:
        """Reject a step with two actions, or with half of one."""
        actions = self.actions
        if len(actions) > 1:
            both = " and ".join(repr(name) for name in actions)
            raise ScriptFaultError(f"{both} in one step; list them as steps = [{{…}}, {{…}}]")
        if self.arguments is not UNSET and self.call is UNSET:
            raise ScriptFaultError("'arguments' without 'call'; name the function to call")
        if self.code is not UNSET and self.fail is UNSET:
            raise ScriptFaultError("'code' without 'fail'; say with which message to fail")

    @property
    def actions(self) -> list[str]:
        """Keys of the actions that are set."""
        values = {"say": self.say, "call": self.call, "wait": self.wait, "fail": self.fail}
        return [name for name, value in values.items() if value is not UNSET]

    def texts(self) -> Iterator[str]:
        """Yield every text that may contain placeholders."""
        if self.say is not UNSET:
            yield from [self.say] if isinstance(self.say, str) else self.say
        if self.fail is not UNSET:
            yield self.fail
        if self.arguments is not UNSET:
            yield from _strings(self.arguments)


class Rule(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Condition and steps of a response; without `match` and `output`, the rule always applies."""

    match: str | UnsetType = UNSET
    """Regular expression, searched for in the last user message; ignores case."""
    output: str | UnsetType = UNSET
    """Regular expression, searched for in the output of a function call; ignores case."""
    use: Literal["repeat", "once", "next"] = "repeat"
    """How often the rule answers: always, once, or once after all `next` rules above it."""
    steps: list[Step] | UnsetType = UNSET
    """Actions, in order; the keys of a single step may stand in the rule itself."""

    def __post_init__(self) -> None:
        """Reject a rule without a clear meaning."""
        super().__post_init__()
        own = self.actions
        if self.match is not UNSET and self.output is not UNSET:
            raise ScriptFaultError("'match' and 'output' in one rule; make two rules of it")
        if own and self.steps is not UNSET:
            raise ScriptFaultError(f"{own[0]!r} beside 'steps'; make it one of the steps")
        if not own and not self.steps:
            raise ScriptFaultError("nothing to do; add 'say', 'call', 'wait', 'fail' or 'steps'")
        for step in self.doing:
            if not step.actions:
                raise ScriptFaultError("a step does nothing; add 'say', 'call', 'wait' or 'fail'")
            if step.wait is not UNSET and not step.wait <= MAX_WAIT_SECONDS:  # also nan
                raise ScriptFaultError(
                    f"'wait' is {step.wait:g} seconds; use {MAX_WAIT_SECONDS} at most"
                )
        self._check_placeholders()

    @property
    def doing(self) -> Sequence[Step]:
        """The steps in order, also if the rule itself is the only one."""
        return [self] if self.steps is UNSET else self.steps

    def pattern(self) -> re.Pattern[str]:
        """Return the compiled regular expression.

        Raises:
            ScriptFaultError: If it is invalid.
        """
        text = self.match if self.match is not UNSET else self.output
        try:
            return re.compile("" if text is UNSET else text, re.IGNORECASE)
        except re.error as error:
            reason = f"{text!r} is not a regular expression: {error}"
            raise ScriptFaultError(
                f"{reason}; a literal special character needs a backslash"
            ) from error

    def _check_placeholders(self) -> None:
        known = {"heard", "output", *self.pattern().groupindex}
        for step in self.doing:
            for text in step.texts():
                for found in _PLACEHOLDER.finditer(text):
                    if found[1] and found[1] not in known:
                        names = ", ".join(f"{{{name}}}" for name in sorted(known))
                        fix = f"use {names}; for literal braces write {{{{{found[1]}}}}}"
                        raise ScriptFaultError(f"unknown {{{found[1]}}} in {text!r}; {fix}")


MAX_WAIT_SECONDS: Final = 3600
"""Longest wait of a step: the length of a session. A longer one never ends."""


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Script of an engine; every session starts it from the beginning."""

    rules: list[Rule] = []
    """The rules; the first one that matches answers."""
    transcripts: list[str] = []
    """Transcripts of the user's turns, in order; a further turn's transcript is its length."""
    translations: dict[str, str] = {}
    """Translations by transcript, for translation sessions."""
    pace: Annotated[float, Meta(gt=0)] = math.inf
    """How much faster than real time speech is generated; infinite: at once."""
    seed: int = 0
    """Seed for the choice among several texts."""


def load_script(path: Path) -> Script:
    """Read a TOML script.

    Raises:
        ConfigurationError: If it is unreadable or invalid; the message says where, and how to fix
            it.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read the script {path}: {reason}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fix = "quote regular expressions with ', which keeps backslashes"
        raise ConfigurationError(f"{path} is not TOML: {error}; {fix}") from error
    return script_from(values, name=str(path))


def script_from(values: Mapping[str, object], *, name: str) -> Script:
    """Return a script from the tables and keys of a TOML or Python file.

    Args:
        values: The tables and keys.
        name: Name of the file, for error messages.

    Raises:
        ConfigurationError: If it is invalid; the message says where and how to fix it.
    """
    try:
        # The types and constraints of the fields are the checks; msgspec names the offending path.
        return msgspec.convert(values, Script)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{name}: {_explain(str(error))}") from error


def fill_text(text: str, words: Mapping[str, str]) -> str:
    """Return a text with its placeholders replaced."""
    return _PLACEHOLDER.sub(lambda found: words[found[1]] if found[1] else found[0][0], text)


def fill(value: Json, words: Mapping[str, str]) -> Json:
    """Return JSON with the placeholders in its texts replaced."""
    match value:
        case str():
            return fill_text(value, words)
        case list():
            return [fill(entry, words) for entry in value]
        case dict():
            return {key: fill(entry, words) for key, entry in value.items()}
        case _:
            return value


def _strings(value: Json) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for entry in value:
                yield from _strings(entry)
        case dict():
            for entry in value.values():
                yield from _strings(entry)
        case _:
            pass


_KINDS: Final = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}


def _explain(message: str) -> str:
    """Return msgspec's message in the terms of the file, with the place in front."""
    what, _, path = message.rpartition(" - at `$")
    if not what:
        what, path = message, ""
    unknown = re.search(r"unknown field `(.*)`", what)
    if unknown:
        table = Step if ".steps[" in path else Rule if ".rules[" in path else Script
        known = ", ".join(sorted(table.__struct_fields__))
        what = f"unknown key {unknown[1]!r}; known keys: {known}"
    elif expected := re.fullmatch(r"Expected `(.+?)`(.*?)(?:, got `(.+)`)?", what):
        needed = " or ".join(_KINDS.get(kind, kind) for kind in expected[1].split(" | "))
        instead = f", not {_KINDS.get(expected[3], expected[3])}" if expected[3] else ""
        what = f"write {needed}{expected[2]}{instead}"
    elif "enum value" in what:
        what = f"{what.rpartition(' ')[2]} is not 'repeat', 'once' or 'next'"
    place = ", ".join(_place(*part) for part in re.findall(r"\.(\w+)(?:\[(\d+)\])?", path))
    return f"{place}: {what}" if place else what


def _place(key: str, index: str) -> str:
    """Return a part of msgspec's path as the file shows it: `[[rules]] 1`, or a quoted key."""
    name = "[[rules]]" if key == "rules" and index else f"'{key}'"
    return f"{name} {int(index) + 1}" if index else name
