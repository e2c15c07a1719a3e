"""Objects that several threads read for the first time at once."""

import subprocess
import sys
from pathlib import Path

import pytest

# Threads change at every chance, and the collector looks at what is half built.
PROGRAM = """
import gc, sys, threading
from pathlib import Path
from hub.ocpi.datatypes import decode
from locations.objects import Location

body = Path("tests/data/ocpi/location_example.json").read_bytes()
sys.setswitchinterval(1e-6)
gc.set_threshold(5)
together = threading.Barrier(8)

def read():
    together.wait()
    decode(body, Location)

threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("number", range(8))
def test_the_first_messages_after_a_start_may_come_together(number):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
