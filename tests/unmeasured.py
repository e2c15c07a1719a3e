"""Coverage looks away while a module marked `unmeasured` runs: its tracer doubles what it costs.

Marked are the modules that send requests by the thousand or start processes, and those that cost
much and whose lines others run too. Nothing that such a module alone runs may be lost: look at the
report with and without the mark.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from coverage import Coverage
from django.urls import get_resolver

from hub.celery import app

_OF_CHILDREN: Final = "COVERAGE_PROCESS_CONFIG"
_is_away = False


@contextmanager
def unmeasured() -> Iterator[None]:
    """Neither this process nor those that it starts; also within another such block."""
    global _is_away
    measuring = Coverage.current()
    if measuring is None or _is_away:
        yield
        return
    # The lines of a module run once, when somebody asks for it first.
    list(get_resolver().url_patterns)
    app.loader.import_default_modules()
    of_children = os.environ.pop(_OF_CHILDREN, None)
    measuring.stop()
    _is_away = True
    try:
        yield
    finally:
        _is_away = False
        measuring.start()
        if of_children is not None:
            os.environ[_OF_CHILDREN] = of_children
