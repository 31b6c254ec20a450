"""How the reference shows a type: one table of its fields, or of its values.

A griffe extension (see mkdocs.yml). The fields of a class, those of its bases included, become the
`Attributes` section of its docstring, which says of each whether it is required; the values of an
enum become a table; the type on the wire becomes a label. What a module takes from the other
dialect is listed with links instead of being shown twice.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import griffe

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Fields"]

ROOT = "duologue.protocol"
MODEL = f"{ROOT}.model"


class Fields(griffe.Extension):
    """Turns attributes into tables, once the whole package is loaded."""

    def on_package(self, *, pkg: griffe.Module, **_kwargs: object) -> None:
        """Prepare every module of the protocol.

        Raises:
            LookupError: If a class or module has no docstring; the build fails.
        """
        for module in _modules(pkg[ROOT.partition(".")[2]]):
            _documented(module)
            is_dialect = module.path.startswith((f"{ROOT}.ga", f"{ROOT}.beta"))
            for member in module.members.values():
                if isinstance(member, griffe.Alias):
                    if is_dialect or not member.target_path.startswith(ROOT):
                        member.public = False
                elif isinstance(member, griffe.Class) and member.is_public:
                    _show_class(member)
                elif isinstance(member, griffe.Attribute):
                    member.labels.clear()
            if module.path.startswith(f"{ROOT}.beta."):
                _list_borrowed(module)


def _modules(module: griffe.Module) -> Iterator[griffe.Module]:
    yield module
    for member in module.modules.values():
        if isinstance(member, griffe.Module):
            yield from _modules(member)


def _documented(thing: griffe.Object) -> griffe.Docstring:
    if thing.docstring is None or not thing.docstring.value:
        raise LookupError(f"{thing.path} has no docstring")
    return thing.docstring


def _show_class(kind: griffe.Class) -> None:
    docstring = _documented(kind)
    is_enum = any(str(base) == "StrEnum" for base in kind.bases)
    own = _attributes(kind)
    section = _values(own) if is_enum else _fields([*_inherited(kind), *own])
    if own or section.value:
        docstring.parsed = [*docstring.parse("google"), section]
    for name, member in kind.members.items():
        if member in own or name.startswith("__"):  # shown above, or said by the data model
            member.public = False
    tag = str(kind.keywords.get("tag", ""))
    if tag.startswith(("'", '"')):
        kind.labels.add(_literal(tag))


def _attributes(kind: griffe.Class) -> list[griffe.Attribute]:
    found = [one for one in kind.members.values() if isinstance(one, griffe.Attribute)]
    return [one for one in found if "property" not in one.labels and one.name[0] != "_"]


def _inherited(kind: griffe.Class) -> list[griffe.Attribute]:
    """Return the fields of the bases; those that every type has are explained with `Model`."""
    bases = [base for base in kind.mro() if not base.path.startswith(MODEL)]
    return [one for base in reversed(bases) for one in _attributes(base)]


def _fields(attributes: list[griffe.Attribute]) -> griffe.DocstringSectionAttributes:
    return griffe.DocstringSectionAttributes(
        [
            griffe.DocstringAttribute(
                one.name,
                annotation=_without_unset(one.annotation),
                description=" ".join(
                    filter(None, ("" if one.value else "**Required.**", _text(one)))
                ),
            )
            for one in attributes
        ],
        title="Fields:",
    )


def _without_unset(annotation: griffe.Expr | str | None) -> griffe.Expr | str | None:
    """Leave out what every optional field may be."""
    if isinstance(annotation, griffe.ExprBinOp) and str(annotation.right) == "UnsetType":
        return annotation.left
    return annotation


def _values(attributes: list[griffe.Attribute]) -> griffe.DocstringSectionText:
    rows = [f"| `{one.name}` | `{_literal(one.value)}` | {_text(one)} |" for one in attributes]
    return griffe.DocstringSectionText("\n".join(["| Name | Value | |", "| - | - | - |", *rows]))


def _literal(value: object) -> str:
    return str(ast.literal_eval(str(value)))


def _text(attribute: griffe.Attribute) -> str:
    return " ".join(attribute.docstring.value.split()) if attribute.docstring else ""


def _list_borrowed(module: griffe.Module) -> None:
    """Say in a module's docstring which of its types are those of GA."""
    borrowed = [
        f"[`{name}`][{member.target_path}]{_renamed(name, member)}"
        for name, member in module.members.items()
        if isinstance(member, griffe.Alias)
        and name in (module.exports or ())
        and member.target_path.startswith(f"{ROOT}.ga.")
    ]
    if borrowed:
        docstring = _documented(module)
        text = f"The same as in GA: {', '.join(borrowed)}."
        docstring.parsed = [*docstring.parse("google"), griffe.DocstringSectionText(text)]


def _renamed(name: str, member: griffe.Alias) -> str:
    there = member.target_path.rpartition(".")[2]
    return "" if there == name else f" (there `{there}`)"
