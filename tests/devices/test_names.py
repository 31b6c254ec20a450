"""The public names of `duologue.devices`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from duologue import devices

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "devices.md").read_text()


def test_they_exist_and_are_those_of_the_reference() -> None:
    table = PAGE.partition("| --- |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(devices.__all__)
    on_the_page = re.findall(r"^::: (\S+)$", PAGE, re.MULTILINE)
    for name in set(devices.__all__) - {"Notice"}:
        found = getattr(devices, name)
        assert found.__doc__
        assert found.__module__ in on_the_page
    assert set(devices.__all__) <= set(dir(devices))


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="hologram"):
        _ = devices.hologram  # type: ignore[attr-defined]  # the point of the test


def test_importing_the_package_needs_no_extra_and_using_it_names_the_extra() -> None:
    code = """
import sys
sys.modules["numpy"] = None
from duologue import MissingExtra, devices
devices.VoicePolicy()
try:
    devices.Microphone
except MissingExtra as error:
    assert "duologue[audio]" in str(error), error
else:
    raise AssertionError("numpy is not there")
"""
    subprocess.run([sys.executable, "-c", code], check=True)
