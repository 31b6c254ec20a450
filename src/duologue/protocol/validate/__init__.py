"""Validation: finds what the service would reject.

Decoding is lenient and keeps unknown content. Validation is strict: each unknown field, unknown
value, number out of range or combination that the service rejects is a `Problem`. A client can
validate an event before sending it; a server answers a problem with an `error` event whose `param`
is the problem's path.
"""

from __future__ import annotations

from duologue.protocol.validate.validator import Problem, first_problem, read_body, validate

__all__ = ["Problem", "first_problem", "read_body", "validate"]
