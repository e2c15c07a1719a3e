"""A real browser at the console of a running hub: Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    ViewportSize,
    sync_playwright,
)

from simulators.testing import PATIENCE

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
NARROW: Final[ViewportSize] = {"width": 390, "height": 844}
WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Colours that are still on their way to another one have no contrast that could be told.
_STILL: Final = "*, ::before, ::after { transition: none !important; animation: none !important; }"
_FOUND: Final = """
    ([without, tags]) => axe.run({include: [['body']], exclude: without.map((one) => [one])}, {
        runOnly: {type: 'tag', values: tags}, resultTypes: ['violations'],
    }).then(found => found.violations.flatMap(one => one.nodes.map(node => [
        one.id, node.target.flat().join(' '),
        (node.any[0] || node.all[0] || node.none[0] || {message: one.help}).message,
    ])))
"""
_SIDEWAYS: Final = """
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth
"""


def executable() -> str:
    """The path of a Chromium: of CHROMIUM in the environment, or of a usual name; else empty."""
    wanted = os.environ.get("CHROMIUM", "")
    return next((path for name in (wanted, *NAMES) if name and (path := shutil.which(name))), "")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without windows, for as long as the block."""
    former = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    # Playwright's loop stands still while a test asks the database in the same thread.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    # root may not have the sandbox, and /dev/shm is small in a container.
    flags = ["--disable-dev-shm-usage", "--disable-gpu"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable(), args=flags, timeout=PATIENCE * 1000
            )
            yield browser
            browser.close()
    finally:
        if former is None:
            del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
        else:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = former


@dataclass
class Looking:
    """A tab, with all that went wrong in it and all that it asked of other hosts."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{self.page.url}: {message.text} {message.location}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.url}/", "data:")):
            self.problems.append(f"{self.page.url} asks {url}")

    def open(self, path: str) -> Page:
        """A page of the hub as it is when its scripts have begun and its letters are there."""
        answer = self.page.goto(f"{self.url}{path}")
        assert answer is not None
        assert answer.ok, f"{path}: HTTP {answer.status}"
        self.page.locator("html:not([x-cloak])").wait_for()
        self.page.add_style_tag(content=_STILL)
        self.page.evaluate("document.fonts.ready.then(() => true)")
        return self.page

    def in_the_dark(self, is_dark: bool) -> None:
        """By the switch of the page, which is kept for the next one."""
        wanted = "dark" if is_dark else "light"
        self.page.evaluate(f"Alpine.$data(document.documentElement).switchTheme('{wanted}')")
        self.page.locator(f"html.{wanted}").wait_for()

    def sideways(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate(_SIDEWAYS))

    def violations(self, *without: str) -> list[str]:
        """What axe-core finds against WCAG 2.2, levels A and AA, outside these elements."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE_SCRIPT)
        found: list[list[Any]] = self.page.evaluate(_FOUND, [[*without], WCAG])
        return [": ".join(map(str, one)) for one in found]


@contextmanager
def looking(browser: Browser, url: str, user: User | None = None) -> Iterator[Looking]:
    """A fresh browser's only tab, logged in as `user`; in the end nothing has gone wrong in it."""
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    context.set_default_timeout(PATIENCE * 1000)
    try:
        if user is not None:
            _log_in(context, url, user)
        tab = Looking(context.new_page(), url)
        yield tab
        assert not tab.problems, "\n".join(tab.problems)
    finally:
        context.close()


def _log_in(context: BrowserContext, url: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])
