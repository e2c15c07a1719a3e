"""The OpenAPI document of the flex API; calling.py holds each answer of these tests against it."""

import json
import re

import requests

from flex.api.document import OPERATIONS, document
from flex.api.urls import urlpatterns


def test_it_has_every_url_and_method():
    told = json.loads(document("http://127.0.0.1"))
    ids = [one["operationId"] for path in told["paths"].values() for one in path.values()]
    assert len(set(ids)) == len(ids) == len(OPERATIONS)
    served = set()
    for pattern in urlpatterns:
        view = getattr(pattern.callback, "view_class", None)
        if view is not None:
            route = re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
            methods = {"get", "put", "post", "delete"} & set(vars(view))
            served |= {(method.upper(), route) for method in methods}
    assert {(one.method, one.path) for one in OPERATIONS} == served


def test_it_is_public(hub):
    with requests.get(f"{hub.url}/flex/v1/openapi.json") as answer:
        assert answer.json()["servers"] == [{"url": hub.url}]
    assert b'"decimal"' not in document("http://127.0.0.1")
