"""Checks a PostgreSQL or Redis that was given from outside, before anything starts on it."""

import re
from urllib.parse import unquote

import psycopg
import redis

from stack.errors import SetupError
from stack.valkey import ping

SECONDS = 5  # seconds


def check_database(url: str) -> None:
    """Say in one line what is wrong with DATABASE_URL."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise SetupError("DATABASE_URL must look like postgresql://user:password@host:5432/name")
    try:
        psycopg.connect(url, connect_timeout=SECONDS).close()
    except psycopg.Error as error:
        raise SetupError(f"DATABASE_URL does not work: {_reason(error, url)}") from None


def check_redis(url: str) -> None:
    """Say in one line what is wrong with REDIS_URL."""
    try:
        ping(url)
    except (redis.RedisError, ValueError) as error:
        raise SetupError(f"REDIS_URL does not work: {_reason(error, url)}") from None


def _reason(error: Exception, url: str) -> str:
    """The error's own words in one line, without the password in any spelling."""
    text = " ".join(str(error).split())
    text = re.sub(r"^connection failed: | Is the server running on that host.*?\?", "", text)
    # Between the scheme's colon and the last @ there may be a password, well-formed or not.
    _, _, secret = url.rpartition("@")[0].partition("://")[2].partition(":")
    for part in sorted({secret, unquote(secret), *re.split(r"[@:/?#]", secret)}, key=len):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "***", text) if part else text
    return text
