from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from duologue.weights import File
from duologue.weights._verified_writer import VerifiedWriter, WrongContentsError

if TYPE_CHECKING:
    from pathlib import Path


def test_more_bytes_than_the_file_has_are_never_stored(tmp_path: Path) -> None:
    """A source must not be able to fill the disk."""
    file = File(name="a", size=4, sha256=hashlib.sha256(b"abcd").hexdigest())

    with (
        VerifiedWriter(file, tmp_path / "a.new", report=lambda _: None) as writer,
        pytest.raises(WrongContentsError, match="more bytes"),
    ):
        writer.write_all([b"abc", b"de"])

    assert list(tmp_path.iterdir()) == []
