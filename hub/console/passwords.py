"""Passwords of the console are checked when the processor has nothing else to do.

A check is a third of a second of computing, which Django asks for so that guessing is dear. On a
thread it would take its turns of the processor, milliseconds each, from the messages between
parties. A thread of a lower rank is worse: it holds the interpreter's lock at times, and whoever
waits for that waits for the lowest rank. So it is a process of its own.
"""

import base64
import json
import logging
import subprocess
import sys
from typing import Final

from django.contrib.auth.hashers import PBKDF2PasswordHasher

logger = logging.getLogger(__name__)
# Where there is no idle time at all, an operator waits for so long, and then is anybody's equal.
PATIENCE: Final = 2.0  # seconds
# Only idle time (sched(7), SCHED_IDLE), where the system knows of it and allows it.
_PROGRAM: Final = """
import contextlib, hashlib, json, os, sys
with contextlib.suppress(AttributeError, PermissionError):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
name, password, salt, iterations = json.load(sys.stdin)
hashed = hashlib.pbkdf2_hmac(name, password.encode(), salt.encode(), iterations)
sys.stdout.write(hashed.hex())
"""


class PatientHasher(PBKDF2PasswordHasher):
    """Django's own, with the same hashes."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """The hash as it is stored."""
        self._check_encode_args(password, salt)  # type: ignore[attr-defined]
        rounds = iterations or self.iterations
        asked = json.dumps([self.digest().name, password, salt, rounds])
        try:
            done = subprocess.run(  # noqa: S603 - our own program; the password is in no argument
                [sys.executable, "-I", "-S", "-c", _PROGRAM],
                input=asked.encode(),
                capture_output=True,
                timeout=PATIENCE,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return super().encode(password, salt, iterations)
        except (OSError, subprocess.CalledProcessError) as error:
            logger.warning("passwords are checked in the web process: %s", type(error).__name__)
            return super().encode(password, salt, iterations)
        found = base64.b64encode(bytes.fromhex(done.stdout.decode())).decode()
        return f"{self.algorithm}${rounds}${salt}${found}"
