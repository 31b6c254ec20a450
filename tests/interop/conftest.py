from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.interop.server_checks")
