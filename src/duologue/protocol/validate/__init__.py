"""What a server would refuse, found before it is sent; what a client sent wrong, said in its words.

Decoding is generous: it keeps what it does not know. `validate` is not: unknown fields and values,
numbers out of range, combinations that the service refuses are each a `Problem`. A client asks it
before sending; a server answers each with an `error` event whose `param` is the path.
"""

from __future__ import annotations

from duologue.protocol.validate.validator import Problem, read_body, validate

__all__ = ["Problem", "read_body", "validate"]
