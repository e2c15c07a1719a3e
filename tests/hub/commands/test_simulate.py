"""manage.py simulate: the same as python -m simulators."""

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def test_it_becomes_the_simulator_wherever_it_is_called(tmp_path):
    called = subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), "simulate", "tram"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert called.returncode == 2
    assert called.stderr.startswith("usage: python -m simulators")
    assert "invalid choice: 'tram'" in called.stderr
