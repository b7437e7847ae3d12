from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import prometheus
from tests.support.cached_install import InstallFailed


def test_a_machine_that_cannot_have_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallFailed, match=r"promtool are not on the PATH.*apt-get and dpkg"):
        prometheus.binaries()


def test_the_machines_own_are_taken_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in prometheus.PROGRAMS:
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert prometheus.binaries() == tmp_path
