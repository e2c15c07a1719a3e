"""Dialogs: what an action asks before it acts, and where the page goes on afterwards."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect


def dialog(title: str, description: str, button: str) -> dict[str, Any]:
    return {"title": title, "description": description, "form_submit_text": button}


def back(request: HttpRequest, url: str) -> HttpResponse:
    """From a dialog (htmx) the page itself has to move on."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
