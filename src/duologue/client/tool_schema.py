"""Python functions as tools: the JSON schema, decoding of arguments, encoding of results.

The schema is derived from the types in the signature: all that msgspec supports, and pydantic
models. Descriptions come from `Annotated` and from the docstring (Google, NumPy or Sphinx style).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args, get_origin, get_type_hints

import msgspec

from duologue.client.coercion import is_text
from duologue.errors import ConfigurationError
from duologue.protocol.ga import FunctionTool
from duologue.protocol.model import UNSET

if TYPE_CHECKING:
    from duologue.protocol.ga import FunctionCall

__all__ = ["ArgumentsInvalid", "CallContext", "ToolFunction", "to_text"]

_DEFS: Final = "#/$defs/{name}"
_EMPTY: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """The call that a tool is run for."""

    call_id: str
    """Id of the call; its output carries the same id."""
    item: FunctionCall
    """The call as the server sent it."""


class ArgumentsInvalid(Exception):
    """Raised when the model's arguments do not fit the function; the message gives the reason."""


class ToolFunction:
    """A Python function that a model can call."""

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
            function: Called with keyword arguments; a parameter without a type accepts any JSON.
            name: Name of the tool; the function's name by default.
            description: Description of the tool; the text of the docstring by default.
            context: Type of the parameter that receives the call; hidden from the model.

        Raises:
            ConfigurationError: If a parameter is positional-only, variadic (`*args`, `**kwargs`),
                or has a type without a JSON schema.
        """
        if not callable(function):
            raise ConfigurationError(f"a tool must be a function, not {type(function).__name__}")
        if not all(text is None or is_text(text) for text in (name, description)):
            raise ConfigurationError("the name and the description of a tool are text")
        self.function: Final = function
        self._name: Final[str] = name or getattr(_unwrap(function), "__name__", "") or "tool"
        text, descriptions = _docstring(function)
        parameters = _parameters(function, self._name, descriptions)
        self._context_keys: Final = [k for k, (kind, _) in parameters.items() if _is_context(kind)]
        for key in self._context_keys:
            if parameters.pop(key)[0] is not context:
                text = f"tool {self._name!r}: {key} is the {context.__qualname__} of another client"
                raise ConfigurationError(f"{text}: use the one of {context.__module__}")
        # The parameters become the fields of a struct, so that msgspec makes the schema and the
        # decoder. An argument that the model leaves out stays UNSET, and is not passed: the
        # function's own default applies, even one that JSON cannot encode.
        self._arguments: Final = msgspec.defstruct(
            "Arguments",
            [
                (key, kind) if default is _EMPTY else (key, kind | msgspec.UnsetType, UNSET)
                for key, (kind, default) in parameters.items()
            ],
            kw_only=True,
        )
        self._decoder: Final = msgspec.json.Decoder(self._arguments, dec_hook=_decode_pydantic)
        schema = self._schema()
        self.definition: Final = FunctionTool(
            name=self._name, description=(description or text) or UNSET, parameters=schema
        )
        """Definition of the tool, as it appears in the session's configuration."""

    def read(self, arguments: str, context: CallContext | None = None) -> dict[str, Any]:
        """Return the keywords to call the function with.

        Args:
            arguments: A JSON object, as the model wrote it; an empty string counts as `{}`.
            context: Value of the parameter that has the context's type.

        Raises:
            ArgumentsInvalid: If the arguments do not fit the parameters.
        """
        try:
            decoded = self._decoder.decode(arguments.strip() or "{}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise ArgumentsInvalid(str(error)) from None
        values = {key: getattr(decoded, key) for key in decoded.__struct_fields__}
        contexts = dict.fromkeys(self._context_keys, context)
        return {key: value for key, value in values.items() if value is not UNSET} | contexts

    def _schema(self) -> dict[str, Any]:
        try:
            (root,), components = msgspec.json.schema_components(
                [self._arguments], schema_hook=_pydantic_schema, ref_template=_DEFS
            )
        except TypeError as error:
            text = f"tool {self._name!r} has a parameter whose type has no JSON schema: {error}"
            raise ConfigurationError(text) from None
        schema: dict[str, Any] = components.pop(root["$ref"].removeprefix("#/$defs/"))
        del schema["title"]
        # pydantic puts `$defs` inside each model's schema, but its references start at the root.
        inner: dict[str, Any] = {}
        _hoist(schema, inner)
        for component in components.values():
            _hoist(component, inner)
        if components or inner:
            schema["$defs"] = components | inner
        return schema | {"additionalProperties": False}


def to_text(result: object) -> str:
    """Return a tool's result as the output that the model reads: text unchanged, the rest as JSON.

    Raises:
        TypeError: If the result cannot be encoded as JSON.
    """
    if isinstance(result, str):
        return result.encode(errors="replace").decode()  # lone surrogates cannot be sent
    return msgspec.json.encode(result, enc_hook=_encode_pydantic).decode()


def _unwrap(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that has the types and docstring: of a `partial`, or `__call__`."""
    while isinstance(function, partial):
        function = function.func
    if inspect.isroutine(function):
        return function
    method: Callable[..., Any] = type(function).__call__
    return method


def _parameters(
    function: Callable[..., Any], name: str, descriptions: Mapping[str, str]
) -> dict[str, tuple[Any, Any]]:
    """Return the type and the default of each parameter."""
    try:
        hints = get_type_hints(_unwrap(function), include_extras=True)
    except (NameError, TypeError) as error:
        text = f"the types of tool {name!r} cannot be read: {error}; import them at run time"
        raise ConfigurationError(text) from None
    parameters: dict[str, tuple[Any, Any]] = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            text = f"tool {name!r}: {parameter} cannot be passed by name; use a plain parameter"
            raise ConfigurationError(text)
        kind, description = _split_description(hints.get(key, Any))
        description = description or descriptions.get(key)
        extra = _default_schema(parameter.default)
        parameters[key] = (_annotated(kind, description, extra), parameter.default)
    return parameters


def _is_context(kind: Any) -> bool:  # noqa: ANN401  # types
    return isinstance(kind, type) and issubclass(kind, CallContext)


def _annotated(kind: Any, description: str | None, extra: dict[str, Any] | None) -> Any:  # noqa: ANN401  # types
    if description is None and extra is None:
        return kind
    return Annotated[kind, msgspec.Meta(description=description, extra_json_schema=extra)]


def _default_schema(default: Any) -> dict[str, Any] | None:  # noqa: ANN401  # any default
    if isinstance(default, Enum):
        default = default.value
    if default is None or isinstance(default, str | int | float | bool):
        return {"default": default}
    return None


def _split_description(hint: Any) -> tuple[Any, str | None]:  # noqa: ANN401  # types
    """Return a type without its description, and the description.

    The description is a string in `Annotated`, a `Doc` or a pydantic `Field`. A `msgspec.Meta`
    stays in the type, as msgspec reads its constraints.
    """
    if get_origin(hint) is not Annotated:
        return hint, None
    kind, *notes = get_args(hint)
    kept = [note for note in notes if isinstance(note, msgspec.Meta)]
    description = next((text for note in notes if (text := _text_of(note))), None)
    return (Annotated[(kind, *kept)] if kept else kind), description


def _text_of(note: object) -> str | None:
    if isinstance(note, msgspec.Meta):
        return None
    places = (note, getattr(note, "documentation", None), getattr(note, "description", None))
    return next((place for place in places if isinstance(place, str)), None)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return a docstring's text before its sections, and its descriptions of parameters."""
    text = inspect.getdoc(_unwrap(function))
    if not text:
        return "", {}
    from docstring_parser import ParseError, parse  # noqa: PLC0415  # slow to import, and only tools need it

    try:
        parsed = parse(text)
    except ParseError:  # not of any style
        return text.strip(), {}
    descriptions = {
        param.arg_name.lstrip("*"): " ".join(param.description.split())
        for param in parsed.params
        if param.description
    }
    return (parsed.description or "").strip(), descriptions


# Pydantic is never imported here: it is optional, and a caller that passes one of its models has
# imported it already, so that it is found in `sys.modules`.


def _is_pydantic(kind: Any) -> bool:  # noqa: ANN401  # types
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def _pydantic_schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401  # types
    if _is_pydantic(kind):
        schema: dict[str, Any] = kind.model_json_schema(ref_template="#/$defs/{model}")
        return schema
    raise NotImplementedError  # msgspec raises TypeError, naming the type


def _decode_pydantic(kind: Any, value: Any) -> Any:  # noqa: ANN401  # types and any JSON
    if not _is_pydantic(kind):
        raise NotImplementedError
    return kind.model_validate(value)  # ValidationError is a ValueError: msgspec adds the path


def _encode_pydantic(value: Any) -> Any:  # noqa: ANN401  # any object
    if _is_pydantic(type(value)):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be encoded as JSON")


def _hoist(schema: Any, into: dict[str, Any]) -> None:  # noqa: ANN401  # any JSON
    """Move the definitions inside a schema to `into`, at any depth."""
    if isinstance(schema, list):
        for each in cast("Iterable[Any]", schema):
            _hoist(each, into)
    elif isinstance(schema, dict):
        members = cast("dict[str, Any]", schema)
        into.update(members.pop("$defs", {}))
        for each in members.values():
            _hoist(each, into)
