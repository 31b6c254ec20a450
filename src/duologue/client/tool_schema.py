"""A Python function as a tool: its JSON schema, its arguments decoded, its result encoded.

The schema comes from the signature's types (msgspec's, and pydantic's models), the descriptions
from `Annotated` and from the docstring (Google's style, or `:param name:`).
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args, get_origin, get_type_hints

import msgspec

from duologue.errors import ConfigurationError
from duologue.protocol.ga import FunctionTool
from duologue.protocol.model import UNSET

if TYPE_CHECKING:
    from duologue.protocol.ga import FunctionCall

__all__ = ["ArgumentsInvalid", "CallContext", "ToolFunction", "to_text"]

_DEFS: Final = "#/$defs/{name}"

_SECTION: Final = re.compile(r"^[ \t]*(Args|Arguments|Parameters):[ \t]*$", re.MULTILINE)
_NEXT_SECTION: Final = re.compile(r"^\S[^\n]*:[ \t]*$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^(\s*)\*{0,2}(\w+)(?:\s*\([^)\n]*\))?:\s+(.+)$")
_FIELD: Final = re.compile(
    r"^\s*:param\s+(?:[^:\n]*\s)?(\w+):\s*(.+?)(?=^\s*:|\Z)", re.MULTILINE | re.DOTALL
)
_ANY_FIELD: Final = re.compile(r"^\s*:\w+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """One call of a tool."""

    call_id: str
    """Id of the call, which its output repeats."""
    item: FunctionCall
    """The call as the server sent it."""


class ArgumentsInvalid(Exception):
    """Arguments of the model that do not fit the function; the message tells it why."""


class ToolFunction:
    """A function that a model may call."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        context: type[CallContext] = CallContext,
    ) -> None:
        """Read the function's signature.

        Args:
            function: Called with keywords; a parameter without a type accepts any JSON.
            name: Name of the tool, instead of the function's.
            description: Description of the tool, instead of the docstring's text.
            context: Class of the parameter that gets the call.

        Raises:
            ConfigurationError: If a parameter is positional-only, collects arguments, or has a type
                without a schema.
        """
        self.function = function
        self._name: str = name or getattr(_plain(function), "__name__", "") or "tool"
        text, told = _docstring(function)
        parameters = _parameters(function, self._name, told)
        self._about_call = [key for key, (kind, _) in parameters.items() if _is_context(kind)]
        for key in self._about_call:
            if parameters.pop(key)[0] is not context:
                text = f"tool {self._name!r}: {key} is the {context.__qualname__} of another client"
                raise ConfigurationError(f"{text}: take that of {context.__module__}")
        self._arguments = msgspec.defstruct(
            "Arguments",
            [
                (key, kind) if default is _EMPTY else (key, kind | msgspec.UnsetType, UNSET)
                for key, (kind, default) in parameters.items()
            ],
            kw_only=True,
        )
        self._decoder = msgspec.json.Decoder(self._arguments, dec_hook=_read_foreign)
        schema = self._schema()
        self.definition: Final = FunctionTool(
            name=self._name, description=(description or text) or UNSET, parameters=schema
        )
        """Definition of the tool, for the session."""

    def read(self, arguments: str, context: CallContext | None = None) -> dict[str, Any]:
        """Return the keywords to call the function with.

        Args:
            arguments: A JSON object, as the model wrote it; empty text counts as `{}`.
            context: Given to the parameter that asks for it.

        Raises:
            ArgumentsInvalid: If they do not fit.
        """
        try:
            found = self._decoder.decode(arguments.strip() or "{}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise ArgumentsInvalid(str(error)) from None
        values = {key: getattr(found, key) for key in found.__struct_fields__}
        told = dict.fromkeys(self._about_call, context)
        return {key: value for key, value in values.items() if value is not UNSET} | told

    def _schema(self) -> dict[str, Any]:
        try:
            (root,), components = msgspec.json.schema_components(
                [self._arguments], schema_hook=_foreign_schema, ref_template=_DEFS
            )
        except TypeError as error:
            text = f"tool {self._name!r} has a parameter that no JSON schema can say: {error}"
            raise ConfigurationError(text) from None
        schema: dict[str, Any] = components.pop(root["$ref"].removeprefix("#/$defs/"))
        del schema["title"]
        inner: dict[str, Any] = {}
        _hoist(schema, inner)
        for component in components.values():
            _hoist(component, inner)
        if components or inner:
            schema["$defs"] = components | inner
        return schema | {"additionalProperties": False}


def to_text(result: object) -> str:
    """Return a tool's result as the output that the model reads: text as it is, the rest as JSON.

    Raises:
        TypeError: If it is nothing that JSON can say.
    """
    if isinstance(result, str):
        return result.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
    return msgspec.json.encode(result, enc_hook=_write_foreign).decode()


_EMPTY: Final = inspect.Parameter.empty


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what has the types and the docstring of a `partial` or of an object."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function):
        return function
    called: Callable[..., Any] = type(function).__call__
    return called


def _parameters(
    function: Callable[..., Any], name: str, told: Mapping[str, str]
) -> dict[str, tuple[Any, Any]]:
    """Return type and default of each parameter."""
    try:
        hints = get_type_hints(_plain(function), include_extras=True)
    except (NameError, TypeError) as error:
        text = f"the types of tool {name!r} cannot be read: {error}; import them at run time"
        raise ConfigurationError(text) from None
    found: dict[str, tuple[Any, Any]] = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            text = f"tool {name!r}: {parameter} cannot be called by name; give it a plain one"
            raise ConfigurationError(text)
        kind, about = _described(hints.get(key, Any))
        about = about or told.get(key)
        extra = _default_schema(parameter.default)
        found[key] = (_annotated(kind, about, extra), parameter.default)
    return found


def _is_context(kind: Any) -> bool:  # noqa: ANN401  # types
    return isinstance(kind, type) and issubclass(kind, CallContext)


def _annotated(kind: Any, about: str | None, extra: dict[str, Any] | None) -> Any:  # noqa: ANN401  # types
    if about is None and extra is None:
        return kind
    return Annotated[kind, msgspec.Meta(description=about, extra_json_schema=extra)]


def _default_schema(default: Any) -> dict[str, Any] | None:  # noqa: ANN401  # any default
    if isinstance(default, Enum):
        default = default.value
    if default is None or isinstance(default, str | int | float | bool):
        return {"default": default}
    return None


def _described(hint: Any) -> tuple[Any, str | None]:  # noqa: ANN401  # types
    """Part a type from its description: a plain text in `Annotated`, a `Doc`, a pydantic `Field`.

    What msgspec itself understands (`msgspec.Meta`) stays.
    """
    if get_origin(hint) is not Annotated:
        return hint, None
    kind, *notes = get_args(hint)
    kept = [note for note in notes if isinstance(note, msgspec.Meta)]
    about = next((text for note in notes if (text := _text_of(note))), None)
    return (Annotated[(kind, *kept)] if kept else kind), about


def _text_of(note: object) -> str | None:
    if isinstance(note, msgspec.Meta):
        return None
    places = (note, getattr(note, "documentation", None), getattr(note, "description", None))
    return next((place for place in places if isinstance(place, str)), None)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return a docstring's text up to its sections, and what it says of each parameter."""
    text = inspect.getdoc(_plain(function)) or ""
    fields = {key: " ".join(about.split()) for key, about in _FIELD.findall(text)}
    if fields:
        first = _ANY_FIELD.search(text)
        return text[: first.start() if first else None].strip(), fields
    section = _SECTION.search(text)
    head = text[: section.start()] if section else text
    if following := _NEXT_SECTION.search(head):
        head = head[: following.start()]
    if section is None:
        return head.strip(), {}
    told: dict[str, str] = {}
    depth, key = None, ""
    for line in text[section.end() :].strip("\n").splitlines():
        entry = _ENTRY.match(line)
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:
            break
        if entry and depth in (None, indent):
            depth, key = indent, entry[2]
            told[key] = entry[3].strip()
        elif key and line.strip():
            told[key] += " " + line.strip()
    return head.strip(), told


# Pydantic's models are asked, never imported: whoever passes one has it loaded.


def _is_pydantic(kind: Any) -> bool:  # noqa: ANN401  # types
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def _foreign_schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401  # types
    if _is_pydantic(kind):
        schema: dict[str, Any] = kind.model_json_schema(ref_template="#/$defs/{model}")
        return schema
    raise NotImplementedError


def _read_foreign(kind: Any, value: Any) -> Any:  # noqa: ANN401  # types and any JSON
    if not _is_pydantic(kind):
        raise NotImplementedError
    return kind.model_validate(value)  # its ValidationError is a ValueError: msgspec tells where


def _write_foreign(value: Any) -> Any:  # noqa: ANN401  # any object
    if _is_pydantic(type(value)):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is nothing that JSON can say")


def _hoist(schema: Any, into: dict[str, Any]) -> None:  # noqa: ANN401  # any JSON
    """Move definitions inside a schema to the top, where their references point."""
    if isinstance(schema, list):
        for each in cast("Iterable[Any]", schema):
            _hoist(each, into)
    elif isinstance(schema, dict):
        members = cast("dict[str, Any]", schema)
        into.update(members.pop("$defs", {}))
        for each in members.values():
            _hoist(each, into)
