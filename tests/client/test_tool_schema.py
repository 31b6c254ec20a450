"""Python functions as tools: their schemas, arguments and results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from duologue.client.tool_schema import ArgumentsInvalid, ToolFunction, to_text
from duologue.errors import ConfigurationError


class Unit(Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclass
class Place:
    city: str
    country: str | None = None


class Span(TypedDict):
    days: int


class Inner(pydantic.BaseModel):
    number: int


class Outer(pydantic.BaseModel):
    inner: Inner


class Foreign: ...


def schema(function: Any, **options: Any) -> dict[str, Any]:
    parameters: Any = ToolFunction(function, **options).definition.parameters
    return parameters


def test_the_schema_has_types_defaults_and_descriptions() -> None:
    def weather(
        place: Place,
        unit: Annotated[Unit, "which degrees"] = Unit.CELSIUS,
        span: Span | None = None,
        detail: Literal["low", "high"] = "low",
        count: Annotated[int, msgspec.Meta(ge=1)] = 1,
    ) -> str:
        """Return the weather.

        Slowly.

        Args:
            place: Where
                it is.
            count (int): How many days.

        Returns:
            Words.
        """
        return f"{place}{unit}{span}{detail}{count}"

    definition = ToolFunction(weather).definition
    assert (definition.name, definition.description) == (
        "weather",
        "Return the weather.\n\nSlowly.",
    )
    parameters = schema(weather)
    assert parameters["required"] == ["place"]
    assert parameters["additionalProperties"] is False
    assert parameters["properties"] == {
        "place": {"description": "Where it is.", "$ref": "#/$defs/Place"},
        "unit": {"description": "which degrees", "default": "c", "$ref": "#/$defs/Unit"},
        "span": {"default": None, "anyOf": [{"$ref": "#/$defs/Span"}, {"type": "null"}]},
        "detail": {"default": "low", "enum": ["high", "low"]},
        "count": {
            "description": "How many days.",
            "default": 1,
            "type": "integer",
            "minimum": 1,
        },
    }
    assert set(parameters["$defs"]) == {"Place", "Unit", "Span"}


def test_a_function_without_parameters_has_an_empty_object_schema() -> None:
    assert schema(lambda: None) == {
        "type": "object",
        "properties": {},
        "required": [],
        "additionalProperties": False,
    }


def test_param_fields_of_a_docstring_become_descriptions() -> None:
    def add(a: int, b: int) -> int:
        """Add.

        :param int a: The first
            number.
        :param b: The second.
        :return: The sum.
        """
        return a + b

    properties = schema(add)["properties"]
    assert ToolFunction(add).definition.description == "Add."
    assert properties["a"]["description"] == "The first number."
    assert properties["b"]["description"] == "The second."


def test_the_sections_of_numpy_become_descriptions() -> None:
    def add(a: int, b: int = 1) -> int:
        """Add.

        Slowly.

        Parameters
        ----------
        a : int
            The first
            number.
        b : int, optional
            The second.

        Returns
        -------
        int
            The sum.
        """
        return a + b

    properties = schema(add)["properties"]
    assert ToolFunction(add).definition.description == "Add.\n\nSlowly."
    assert properties["a"]["description"] == "The first number."
    assert properties["b"]["description"] == "The second."


def test_the_name_and_the_description_can_be_overridden() -> None:
    definition = ToolFunction(lambda: None, name="get-it", description="Get it.").definition
    assert (definition.name, definition.description) == ("get-it", "Get it.")


def test_pydantic_models_are_described_decoded_and_encoded() -> None:
    def take(outer: Outer) -> Outer:
        return outer

    tool = ToolFunction(take)
    assert schema(take)["$defs"]["Inner"]["required"] == ["number"]
    [outer] = tool.read('{"outer": {"inner": {"number": 3}}}').values()
    assert outer == Outer(inner=Inner(number=3))
    assert to_text(outer) == '{"inner":{"number":3}}'
    with pytest.raises(ArgumentsInvalid, match="number"):
        tool.read('{"outer": {"inner": {}}}')


def test_arguments_are_decoded_to_the_types_of_the_parameters() -> None:
    def take(place: Place, unit: Unit = Unit.CELSIUS, any_json=None) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  # untyped on purpose

    tool = ToolFunction(take)
    text = '{"place": {"city": "Paris"}, "unit": "f", "any_json": [1], "invented": 1}'
    assert tool.read(text) == {"place": Place("Paris"), "unit": Unit.FAHRENHEIT, "any_json": [1]}
    assert tool.read('{"place": {"city": "Paris"}}') == {"place": Place("Paris")}
    assert ToolFunction(lambda: None).read("") == {}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ("{}", "missing required field `city`"),
        ('{"city": 1}', r"Expected `str`, got `int` - at `\$\.city`"),
        ('{"city": "\ud800"}', "surrogates"),
    ],
)
def test_arguments_that_do_not_fit_raise_with_the_reason(arguments: str, reason: str) -> None:
    def take(city: str) -> str:
        return city

    with pytest.raises(ArgumentsInvalid, match=reason):
        ToolFunction(take).read(arguments)


def test_functions_without_a_schema_are_refused() -> None:
    def positional(a: int, /) -> int:
        return a

    def many(*numbers: int, **names: int) -> None: ...

    def foreign(thing: Foreign) -> None: ...

    def lost(thing: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # on purpose

    for function, reason in (
        (positional, "by name"),
        (many, "by name"),
        (foreign, "no JSON schema"),
        (lost, "Missing"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            ToolFunction(function)


def test_results_are_encoded_as_text_or_json() -> None:
    assert to_text("plain") == "plain"
    assert to_text(None) == "null"
    assert to_text({"place": Place("Paris")}) == '{"place":{"city":"Paris","country":null}}'
    with pytest.raises(TypeError):
        to_text(Foreign())
