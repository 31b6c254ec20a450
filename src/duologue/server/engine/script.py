"""A script: what the `scripted:` engine hears, says, calls, waits for and fails with.

Scripts are TOML files, or Python files with the same names and a brain of their own. What is wrong
in one is told by file, rule, key and fix before anything is served.
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

__all__ = ["Rule", "Script", "Step", "filled", "filled_text", "load_script", "script_from"]

_PLACE: Final = re.compile(r"\{\{|\}\}|\{(\w+)\}")

Text = str | Annotated[list[str], Meta(min_length=1)]


class ScriptFaultError(ConfigurationError, ValueError):
    """A rule that cannot be followed; a `ValueError`, so that msgspec adds where it is."""


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to do: say, call, wait or fail.

    Texts may hold `{heard}`, `{output}` and the named groups of the rule's pattern.
    """

    say: Text | UnsetType = UNSET
    """What to say; of a list, one is chosen by the seed."""
    call: str | UnsetType = UNSET
    """The function to call."""
    arguments: dict[str, Any] | UnsetType = UNSET
    """Its arguments."""
    wait: Annotated[float, Meta(ge=0)] | UnsetType = UNSET
    """Seconds to do nothing."""
    fail: str | UnsetType = UNSET
    """End the response as failed, with this message."""
    code: str | UnsetType = UNSET
    """The failure's code; `engine_failed` unless it is given."""

    def __post_init__(self) -> None:
        """Refuse what says two things, or half of one."""
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
        """What the step does, by key."""
        values = {"say": self.say, "call": self.call, "wait": self.wait, "fail": self.fail}
        return [name for name, value in values.items() if value is not UNSET]

    def texts(self) -> Iterator[str]:
        """Yield every text that may hold places to fill."""
        if self.say is not UNSET:
            yield from [self.say] if isinstance(self.say, str) else self.say
        if self.fail is not UNSET:
            yield self.fail
        if self.arguments is not UNSET:
            yield from _strings(self.arguments)


class Rule(Step, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to answer, and when; without `match` and `output` it answers anything."""

    match: str | UnsetType = UNSET
    """A regular expression, looked for anywhere in the user's last words, whatever the case."""
    output: str | UnsetType = UNSET
    """The same for the output of a function that was called."""
    use: Literal["repeat", "once", "next"] = "repeat"
    """How often: whenever it matches, one time, or one time after all `next` rules above it."""
    steps: list[Step] | UnsetType = UNSET
    """What to do, in order; for one step its keys may stand in the rule itself."""

    def __post_init__(self) -> None:
        """Refuse what cannot be followed."""
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
        self._check_places()

    @property
    def doing(self) -> Sequence[Step]:
        """The steps, in order."""
        return [self] if self.steps is UNSET else self.steps

    def pattern(self) -> re.Pattern[str]:
        """Return the expression to look for.

        Raises:
            ScriptFaultError: If it is none.
        """
        text = self.match if self.match is not UNSET else self.output
        try:
            return re.compile("" if text is UNSET else text, re.IGNORECASE)
        except re.error as error:
            reason = f"{text!r} is no regular expression: {error}"
            raise ScriptFaultError(f"{reason}; a mark meant as itself needs a backslash") from error

    def _check_places(self) -> None:
        known = {"heard", "output", *self.pattern().groupindex}
        for step in self.doing:
            for text in step.texts():
                for place in _PLACE.finditer(text):
                    if place[1] and place[1] not in known:
                        names = ", ".join(f"{{{name}}}" for name in sorted(known))
                        fix = f"known here: {names}; for braces write {{{{{place[1]}}}}}"
                        raise ScriptFaultError(f"nothing fills {{{place[1]}}} in {text!r}; {fix}")


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a scripted engine follows. Every session follows it from its beginning."""

    rules: list[Rule] = []
    """What to answer; the first rule that matches counts."""
    transcripts: list[str] = []
    """What the user's turns say, in order; further ones are described by their length."""
    translations: dict[str, str] = {}
    """What a translation session makes of what it hears."""
    pace: Annotated[float, Meta(gt=0)] = math.inf
    """How much faster than real time speech is made; infinite: at once."""
    seed: int = 0
    """Of the choice among several things to say."""


def load_script(path: Path) -> Script:
    """Read a TOML script.

    Raises:
        ConfigurationError: If it cannot be read or followed; the message names place and fix.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read the script {path}: {reason}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fix = "quote regular expressions with ' so that backslashes stay"
        raise ConfigurationError(f"{path} is no TOML: {error}; {fix}") from error
    return script_from(values, name=str(path))


def script_from(values: Mapping[str, object], *, name: str) -> Script:
    """Return the script that a mapping describes.

    Args:
        values: The tables and keys, as TOML has them.
        name: What to call it when it is refused: a file's name.

    Raises:
        ConfigurationError: If it cannot be followed; the message names place and fix.
    """
    try:
        return msgspec.convert(values, Script)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{name}: {_told(str(error))}") from error


def filled_text(text: str, words: Mapping[str, str]) -> str:
    """Return a text with its places filled."""
    return _PLACE.sub(lambda place: words[place[1]] if place[1] else place[0][0], text)


def filled(value: Json, words: Mapping[str, str]) -> Json:
    """Return JSON with the places of its texts filled."""
    match value:
        case str():
            return filled_text(value, words)
        case list():
            return [filled(entry, words) for entry in value]
        case dict():
            return {key: filled(entry, words) for key, entry in value.items()}
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


def _told(message: str) -> str:
    """Return msgspec's sentence with the place in front, in the words of the file."""
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
        what = f"{what.rpartition(' ')[2]} is none of 'repeat', 'once' and 'next'"
    place = ", ".join(_place(*part) for part in re.findall(r"\.(\w+)(?:\[(\d+)\])?", path))
    return f"{place}: {what}" if place else what


def _place(key: str, index: str) -> str:
    """Return the first of `rules` as `[[rules]] 1`, and any other key quoted."""
    name = "[[rules]]" if key == "rules" and index else f"'{key}'"
    return f"{name} {int(index) + 1}" if index else name
