"""The OpenAPI document and its page: what the hub serves, for everybody, without a token."""

from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from hub.ocpi import own_paths
from hub.openapi.document import document

# The gateway lets these through unauthenticated.
PUBLIC = frozenset({own_paths.OPENAPI, own_paths.DOCS, f"{own_paths.DOCS}/"})


@csrf_exempt
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The document, also to pages of other hosts: it says nothing that is not public."""
    return HttpResponse(
        document(settings.BASE_URL),
        content_type="application/json",
        headers={"Access-Control-Allow-Origin": "*"},
    )


@csrf_exempt
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The document as a page to read; no script, nothing from elsewhere."""
    told = msgspec.json.decode(document(settings.BASE_URL))
    context = {
        "name": settings.HUB_NAME,
        "info": told["info"],
        "file": own_paths.OPENAPI,
        "groups": _groups(told),
        "schemas": [
            {"name": name, "json": _pretty(schema)}
            for name, schema in sorted(told["components"]["schemas"].items())
        ],
    }
    return render(request, "openapi/docs.html", context)


def _groups(told: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Operations by tag, in the document's order."""
    groups: dict[str, list[dict[str, Any]]] = {}
    shared = told["components"]["parameters"]
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            parameters = [
                shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one
                for one in operation["parameters"]
            ]
            groups.setdefault(operation["tags"][0], []).append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "parameters": [one | {"json": _short(one["schema"])} for one in parameters],
                    "body": _body(operation.get("requestBody")),
                    "answers": [
                        {
                            "status": status,
                            "meaning": answer["description"],
                            "json": _short(answer["content"]["application/json"]["schema"]),
                            "headers": ", ".join(answer["headers"]),
                        }
                        for status, answer in operation["responses"].items()
                    ],
                }
            )
    return groups


def _body(body: dict[str, Any] | None) -> str:
    return _short(body["content"]["application/json"]["schema"]) if body else ""


def _short(schema: dict[str, Any]) -> str:
    """A schema in a line, references by their name."""
    return msgspec.json.encode(schema).decode().replace("#/components/schemas/", "")


def _pretty(schema: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(schema)).decode()
    return text.replace("#/components/schemas/", "")
