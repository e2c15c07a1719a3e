"""Content-Security-Policy of all that people see: nothing of others, no script in a page."""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

HEADER: Final = "Content-Security-Policy"
# 'unsafe-eval': Alpine, on which django-unfold stands, makes functions of the words in attributes.
# It runs what is in the page already, and a page takes no script of its own and none of others.
# 'unsafe-inline' is for styles alone: those that Alpine and charts write on what they draw.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


class ContentPolicy:
    """Middleware; a view that has set a policy of its own keeps it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set it on every answer of the console."""
        response = self._get_response(request)
        response.headers.setdefault(HEADER, POLICY)
        return response
