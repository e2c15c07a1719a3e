"""Calls of the flex API, with a key of a party."""

import json
import re
from typing import Any, Final

import jsonschema_rs
import requests

from flex.api import keys
from flex.api.document import document
from flex.api.models import Use
from simulators.testing import PATIENCE
from tests.scripted import Actor


class Api:
    """The flex API as one key sees it."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self.secret = secret

    @classmethod
    def of(cls, actor: Actor, *uses: Use) -> "Api":
        """With a new key of a party's back-end."""
        new = keys.of_party(actor.party, list(uses or Use), name="a test", made_by="a test")
        return cls(actor.hub.url, new.secret)

    def send(
        self, method: str, path: str, body: Any = None, *, authorization: str | None = None
    ) -> requests.Response:
        """`path` is below /flex/v1/."""
        sent = f"Bearer {self.secret}" if authorization is None else authorization
        answer = requests.request(
            method,
            f"{self._url}/flex/v1/{path}",
            json=body,
            headers={"Authorization": sent} if sent else {},
            timeout=PATIENCE,
        )
        check(method, path, answer)
        return answer

    def get(self, path: str) -> Any:
        """What is answered with 200."""
        return self._data(self.send("GET", path), 200)

    def put(self, path: str, body: Any, status: int = 200) -> Any:
        """Likewise."""
        return self._data(self.send("PUT", path, body), status)

    def post(self, path: str, body: Any, status: int = 201) -> Any:
        """Likewise, with 201."""
        return self._data(self.send("POST", path, body), status)

    @staticmethod
    def _data(response: requests.Response, status: int) -> Any:
        assert response.status_code == status, response.text
        return response.json()


_TOLD: Final = json.loads(document("http://127.0.0.1"))
_SHAPES: Final = [
    (re.compile(re.sub(r"{\w+}", "[^/]+", template)), operations)
    for template, operations in _TOLD["paths"].items()
]


def check(method: str, path: str, answer: requests.Response) -> None:
    """Hold a real answer against the OpenAPI document."""
    asked = f"/flex/v1/{path.partition('?')[0]}"
    found = [operations for shape, operations in _SHAPES if shape.fullmatch(asked)]
    if not found or method.lower() not in found[0]:
        assert answer.status_code in {401, 403, 404, 405, 429}, answer.text
        return
    told = found[0][method.lower()]["responses"][str(answer.status_code)]
    if answer.status_code == 204:
        assert answer.content == b""
        return
    [(kind, content)] = told["content"].items()
    assert answer.headers["content-type"] == kind
    schema = {**content["schema"], "components": _TOLD["components"]}
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(answer.json())


def refused(response: requests.Response) -> tuple[int, str]:
    """Status and code of a problem, which is whole and says something."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert (found["status"], bool(found["detail"])) == (response.status_code, True)
    return response.status_code, found["code"]
