"""Typed reading of the environment: every wrong value fails loudly, naming the variable."""

import os
import re
from importlib.metadata import PackageNotFoundError, version
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

# Says to hub/settings.py that a new installation begins, which has no key yet.
NEW_KEY: Final = "FLEXHUB_NEW_KEY"

# An address of IPv6 in brackets, or a name; and a port.
_HOST: Final = re.compile(r"(?:\[([^\]]+)\]|([^:\[\],]*))(?::(\d+))?").fullmatch


class Environment:
    """Variables of the process, behind them those of FLEXHUB_DATA/services.env.

    Each NAME may also be given as NAME_FILE, a path whose content is the value.
    """

    def __init__(self, services_file: Path) -> None:
        self._services: dict[str, str] = {}
        if services_file.is_file():
            for line in services_file.read_text().splitlines():
                name, equals, value = line.partition("=")
                if equals:
                    self._services[name.strip()] = value.strip()

    def text(self, name: str, default: str | None = None) -> str:
        """The value as text; without a default the variable is required."""
        if (path := os.environ.get(f"{name}_FILE")) is not None:
            try:
                return Path(path).read_text().strip()
            except OSError as error:
                raise ImproperlyConfigured(f"{name}_FILE: {error}") from error
        # An empty variable is one that is not set, as for the runner.
        value = os.environ.get(name) or self._services.get(name, default)
        if value is None:
            raise ImproperlyConfigured(
                f"{name} is not set. script/server sets it; see README, 'Run it for real'."
            )
        return value

    def integer(self, name: str, default: int, *, least: int = 0) -> int:
        """A whole number of at least `least`."""
        text = self.text(name, str(default))
        try:
            value = int(text)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}={text!r} is not a whole number.") from error
        if value < least:
            raise ImproperlyConfigured(f"{name}={value} is less than {least}.")
        return value

    def number(self, name: str, default: float) -> float:
        """A positive number, for example of seconds."""
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}={text!r} is not a number.") from error
        if not 0 < value < float("inf"):
            raise ImproperlyConfigured(f"{name}={text!r} must be more than 0.")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """1/0, true/false, yes/no, on/off."""
        text = self.text(name, "yes" if default else "no").lower()
        if text in {"1", "true", "yes", "on"}:
            return True
        if text in {"0", "false", "no", "off", ""}:
            return False
        raise ImproperlyConfigured(f"{name}={text!r} is not yes or no.")

    def choice(self, name: str, *allowed: str) -> str:
        """One of these; the first is the default."""
        text = self.text(name, allowed[0])
        if text not in allowed:
            raise ImproperlyConfigured(f"{name}={text!r} is not one of {', '.join(allowed)}.")
        return text

    def words(self, name: str) -> list[str]:
        """Words with white space between them, such as a line each; none when it is not set."""
        return self.text(name, "").split()

    @staticmethod
    def package(name: str, package: str, file: str) -> None:
        """Refuse a setting that needs a package which is not installed."""
        try:
            version(package)
        except PackageNotFoundError:
            raise ImproperlyConfigured(f"{name} needs more: pip install -r {file}") from None

    def networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        """Addresses and networks, with commas between them; none when it is not set."""
        parts = [part.strip() for part in self.text(name, "").split(",")]
        try:
            return [ip_network(part) for part in parts if part]
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name}: {error}; it is a list such as 127.0.0.1,10.0.0.0/8."
            ) from error

    def pairs(self, name: str, values: set[str]) -> list[tuple[str, str]]:
        """`key=VALUE key=VALUE`, in this order; none when it is not set."""
        found = []
        for pair in self.text(name, "").split():
            key, equals, value = pair.rpartition("=")
            if not (key and equals and value in values):
                known = ", ".join(sorted(values))
                raise ImproperlyConfigured(
                    f"{name}: {pair!r} is not of the form name=VALUE, with one of {known}."
                )
            found.append((key, value))
        return found

    def database(self, name: str) -> dict[str, Any]:
        """Django's database settings out of postgresql://user:password@host:port/name?sslmode=….

        Of several hosts (host:port,host:port) libpq takes the first that answers, or that takes
        writes where the query says target_session_attrs=read-write.
        """
        url = urlsplit(self.text(name))
        if url.scheme not in {"postgresql", "postgres"} or not url.path.strip("/"):
            raise ImproperlyConfigured(
                f"{name} is not of the form postgresql://user:password@host:port/name."
            )
        pairs = (pair.partition("=") for pair in url.query.split("&"))
        options = {unquote(key): unquote(value) for key, equals, value in pairs if equals}
        who, _, where = url.netloc.rpartition("@")
        user, _, password = who.partition(":")
        found = [_HOST(one) for one in where.split(",")]
        if not all(found):
            raise ImproperlyConfigured(f"{name}: its hosts are not host:port,host:port.")
        places = [(one[1] or one[2] or "", one[3] or "") for one in found if one]
        is_many = len(places) > 1
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(url.path.strip("/")),
            "USER": unquote(user),
            "PASSWORD": unquote(password),
            "HOST": ",".join(host for host, _ in places),
            # Of several, each needs one: an empty one is libpq's default.
            "PORT": ",".join(port or (is_many and "5432") or "" for _, port in places),
            "OPTIONS": options,
        }
