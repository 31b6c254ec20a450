"""What a client may send wrongly, and how it must be answered: told by the catalog alone.

Every place of an example is disturbed in each way; the catalog's schema of the place says whether
the result is legal, or which error it deserves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.protocol.protocol_data import catalog

__all__ = ["LEGAL", "Malformed", "malformed"]

Schema = dict[str, Any]
Path = tuple[str | int, ...]

LEGAL: Final = None
"""The service takes it."""


@dataclass(frozen=True)
class Malformed:
    """A disturbed event."""

    how: str
    """`removed`, `null`, `mistyped`, `unknown`, `invented`, `too long`, `too much` or `little`."""
    path: str
    frame: dict[str, Any]
    code: str | None
    """What it deserves; `None`: it is legal."""
    param: str | None

    def __str__(self) -> str:
        return f"{self.path or 'event'} {self.how}"


@dataclass(frozen=True)
class _Place:
    path: Path
    schema: Schema
    field: dict[str, Any] | None
    """What the catalog says of the field; `None` for the object that holds fields."""

    @property
    def said(self) -> str:
        """The path as an error says it."""
        return "".join(
            f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path
        ).removeprefix(".")


def malformed(dialect: str, payload: dict[str, Any]) -> Iterator[Malformed]:
    """Yield an event disturbed in every way that the catalog knows to judge."""
    tables = catalog()["dialects"][dialect]
    root = {"fields": tables["client_events"][payload["type"]]["fields"]}
    for place in _walk(tables, payload, root, ()):
        yield from _of_place(tables, payload, place)


def _walk(tables: Schema, value: Any, schema: Schema, path: Path) -> Iterator[_Place]:
    schema = _resolved(tables, schema, value)
    fields = schema.get("fields")
    if fields is not None and isinstance(value, dict):
        yield _Place(path, schema, None)
        for name, entry in value.items():
            if name not in fields:
                continue  # an alias that the catalog does not list
            if name not in fields:
                continue  # an alias that the catalog does not list
            about = fields[name]
            inner = about.get("schema", {"type": about["type"]})
            here = (*path, name)
            yield _Place(here, {**inner, "constraints": about.get("constraints", {})}, about)
            yield from _walk(tables, entry, inner, here)
    elif "list" in schema and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _walk(tables, entry, schema["list"], (*path, index))


def _resolved(tables: Schema, schema: Schema, value: Any) -> Schema:
    """Return the schema that a value follows: references read, one member of a union chosen."""
    if "ref" in schema:
        name = schema["ref"]
        if name in tables["models"]:
            return tables["models"][name]
        return _resolved(tables, {"union": tables["unions"][name]["members"]}, value)
    if "union" in schema:
        members = [_resolved(tables, member, value) for member in schema["union"]]
        return max(members, key=lambda member: _likeness(member, value))
    return schema


def _likeness(member: Schema, value: Any) -> int:
    fields = member.get("fields")
    if not isinstance(value, dict) or fields is None:
        return int(not isinstance(value, dict) and fields is None)
    if not value.keys() <= fields.keys():
        return 0
    fixed = [name for name, about in fields.items() if "const" in about and name in value]
    return 1 + sum(2 if fields[name]["const"] == value[name] else -9 for name in fixed)


def _of_place(tables: Schema, payload: dict[str, Any], place: _Place) -> Iterator[Malformed]:
    said = place.said

    def disturbed(how: str, value: Any, code: str | None, param: str = said) -> Malformed:
        frame = _with(payload, place.path, value)
        return Malformed(how, said, frame, code, param if code else None)

    if place.field is None:
        if "fields" in place.schema:
            more = {**_at(payload, place.path), "x_new": 1}
            param = f"{said}.x_new" if said else "x_new"
            yield disturbed("unknown", more, "unknown_parameter", param)
        return
    is_required = place.field["required"]
    code = "missing_required_parameter" if is_required else LEGAL
    yield Malformed("removed", said, _without(payload, place.path), code, said if code else None)
    if "any" in place.schema:
        return
    if place.field.get("nullable"):
        yield disturbed("null", None, LEGAL)
    else:
        yield disturbed("null", None, "invalid_type")
    yield from _mistyped(tables, place, disturbed)


def _mistyped(
    tables: Schema, place: _Place, disturbed: Callable[..., Malformed]
) -> Iterator[Malformed]:
    schema = place.schema
    fixed = schema.get("const")
    if isinstance(fixed, int):
        yield disturbed("mistyped", "x", "invalid_type")
        yield disturbed("too much", fixed + 1, "invalid_value")
    elif fixed or "enum" in schema or schema.get("type") == "string":
        yield from _miswritten(tables, schema, disturbed)
    elif "map" in schema:
        yield disturbed("too long", {"k" * 65: "v"}, "invalid_value")
        yield disturbed("too long", {"k": "v" * 513}, "invalid_value", f"{place.said}.k")
        yield disturbed("too much", {f"k{n}": "v" for n in range(17)}, "invalid_value")
    kind = schema.get("type") or next((kind for kind in _MISTYPED if kind in schema), "")
    for wrong in _MISTYPED.get(kind, ()):
        yield disturbed("mistyped", wrong, "invalid_type")
    limits = schema["constraints"]
    if "maximum" in limits:
        yield disturbed("too much", limits["maximum"] + 1, "invalid_value")
    if "minimum" in limits:
        yield disturbed("too little", limits["minimum"] - 1, "invalid_value")


_MISTYPED: Final[dict[str, tuple[object, ...]]] = {
    "integer": ("x", {"x": 1}),
    "number": ("x", {"x": 1}),
    "boolean": ("x", 7),
    "list": ("x", {"x": 1}),
    "map": ("x", {"x": 1}),
    "ref": (7,),
}


def _miswritten(
    tables: Schema, schema: Schema, disturbed: Callable[..., Malformed]
) -> Iterator[Malformed]:
    yield disturbed("mistyped", 7, "invalid_type")
    yield disturbed("mistyped", ["x"], "invalid_type")
    is_open = "enum" in schema and tables["enums"][schema["enum"]]["open"]
    if "const" in schema or "enum" in schema:
        yield disturbed("invented", "invented", LEGAL if is_open else "invalid_value")
        return
    longest = schema["constraints"].get("max_length")
    if longest is None:
        yield disturbed("too long", "x" * 100_000, LEGAL)
    else:
        yield disturbed("too long", "x" * (longest + 1), "invalid_value")


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(payload: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    if not path:
        return value
    changed = copy.deepcopy(payload)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _without(payload: dict[str, Any], path: Path) -> dict[str, Any]:
    changed = copy.deepcopy(payload)
    del _at(changed, path[:-1])[path[-1]]
    return changed
