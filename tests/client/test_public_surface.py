from __future__ import annotations

import subprocess
import sys

import pytest

import duologue


def test_everything_that_is_exported_exists_and_is_sorted() -> None:
    assert duologue.__all__ == sorted(duologue.__all__)
    for name in duologue.__all__:
        assert getattr(duologue, name) is not None
    assert set(duologue.__all__) <= set(dir(duologue))


def test_what_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="hologram"):
        _ = duologue.hologram  # type: ignore[attr-defined]  # the point of the test


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, duologue; "
        "assert not {'asyncio', 'msgspec', 'picows'} & set(sys.modules); "
        "from duologue import RealtimeClient; "
        "assert not {'picows', 'numpy', 'websockets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
