"""Notes what the runner told it, then waits to be stopped."""

import os
import signal
import sys
from pathlib import Path

Path(os.environ["FLEXHUB_DATA"], "demo.arguments").write_text(" ".join(sys.argv[1:]))
signal.pause()
