"""A party made of a published library, py_ocpi, run by the environment that has it installed.

`python party.py CPO|EMSP NL ABC PORT TOKEN_A` serves the library's own application; both packages
that install the module `py_ocpi` fit (py-ocpi 0.3.1, extrawest-ocpi 2025.7.16). What stands here is
what each user of the library has to write: a store, adapters where there are none, and a start.
Below /test are the hands of this party's engineer: look into the store, put an object there, push
it, register. Nothing here is imported by the hub's tests.
"""

import asyncio
import os
import sys

ROLE, COUNTRY, PARTY, PORT, TOKEN_A = sys.argv[1:6]
os.environ.update(
    OCPI_HOST=f"127.0.0.1:{PORT}", COUNTRY_CODE=COUNTRY, PARTY_ID=PARTY, PROTOCOL="http"
)

import httpx  # noqa: E402 - the library reads the environment when it is imported
import uvicorn  # noqa: E402
from fastapi import Request  # noqa: E402
from py_ocpi import get_application  # noqa: E402
from py_ocpi.core import push as library_push  # noqa: E402
from py_ocpi.core.dependencies import get_endpoints, get_versions  # noqa: E402
from py_ocpi.core.enums import ModuleID, RoleEnum  # noqa: E402
from py_ocpi.modules.cdrs.v_2_2_1.schemas import Cdr  # noqa: E402
from py_ocpi.modules.credentials.v_2_2_1.schemas import Credentials  # noqa: E402
from py_ocpi.modules.locations.v_2_2_1.schemas import Location  # noqa: E402
from py_ocpi.modules.sessions.v_2_2_1.schemas import Session  # noqa: E402
from py_ocpi.modules.tariffs.v_2_2_1.schemas import Tariff  # noqa: E402
from py_ocpi.modules.tokens.v_2_2_1.schemas import Token  # noqa: E402
from py_ocpi.modules.versions.enums import VersionNumber  # noqa: E402

try:
    from py_ocpi.core.authentication.authenticator import Authenticator

    IS_EXTRAWEST = True
except ImportError:
    Authenticator, IS_EXTRAWEST = object, False

BASE = f"http://127.0.0.1:{PORT}/ocpi"
OWN_TOKEN = f"{PARTY}-own-token-for-the-hub"
# What the hub presents: the token of an invitation at first, then the one it was given.
tokens_a, tokens_c = {TOKEN_A}, set()
store: dict[str, dict[str, dict]] = {}
hub: dict[str, object] = {}


def own_credentials(token: str) -> dict:
    return {
        "token": token,
        "url": f"{BASE}/versions",
        "roles": [
            {
                "role": ROLE,
                "party_id": PARTY,
                "country_code": COUNTRY,
                "business_details": {"name": f"Library {PARTY}"},
            }
        ],
    }


class Crud:
    """The store that the library asks its user for: objects of a module by their id."""

    @classmethod
    async def get(cls, module, role, key, *args, **kwargs):
        if module == ModuleID.credentials_and_registration:
            return own_credentials(OWN_TOKEN) if key in tokens_c else None
        return store.get(module.value, {}).get(str(key).upper())

    @classmethod
    async def list(cls, module, role, filters, *args, **kwargs):
        found = list(store.get(module.value, {}).values())
        first, limit = filters["offset"], filters["limit"]
        page = found[first : first + limit]
        return page, len(found), first + limit >= len(found)

    @classmethod
    async def create(cls, module, role, data, *args, **kwargs):
        if module == ModuleID.credentials_and_registration:
            tokens_a.clear()
            tokens_c.add(OWN_TOKEN)
            hub.update(token=data["credentials"]["token"], endpoints=data["endpoints"]["endpoints"])
            return own_credentials(OWN_TOKEN)
        key = data.get("id") or data.get("uid")
        store.setdefault(module.value, {})[str(key).upper()] = data
        return data

    @classmethod
    async def update(cls, module, role, data, key, *args, **kwargs):
        return await cls.create(module, role, data)

    @classmethod
    async def delete(cls, module, role, key, *args, **kwargs):
        store.get(module.value, {}).pop(str(key).upper(), None)

    @classmethod
    async def do(cls, module, role, action, *args, auth_token=None, data=None, **kwargs):
        """Whose token it is: none for a stranger's, empty for that of an invitation."""
        if auth_token in tokens_c:
            return auth_token
        return {} if auth_token in tokens_a else None


class Adapter:
    """From the store's objects to the library's."""

    credentials_adapter = staticmethod(lambda data, *version: Credentials(**data))
    location_adapter = staticmethod(lambda data, *version: Location(**data))
    session_adapter = staticmethod(lambda data, *version: Session(**data))
    cdr_adapter = staticmethod(lambda data, *version: Cdr(**data))
    tariff_adapter = staticmethod(lambda data, *version: Tariff(**data))
    token_adapter = staticmethod(lambda data, *version: Token(**data))


class Tokens(Authenticator):
    """Which tokens the library takes."""

    @classmethod
    async def get_valid_token_c(cls):
        return list(tokens_c)

    @classmethod
    async def get_valid_token_a(cls):
        return list(tokens_a)


def application():
    chosen = {"version_numbers": [VersionNumber.v_2_2_1], "roles": [RoleEnum(ROLE)]}
    chosen |= {"crud": Crud, "adapter": Adapter}
    if IS_EXTRAWEST:
        chosen |= {"authenticator": Tokens, "modules": list(ModuleID)}
    made = get_application(**chosen)
    if not IS_EXTRAWEST:
        _without_tls(made)
    return made


def _without_tls(made) -> None:
    """This one writes https into all its URLs; on loopback it is served without."""
    versions = made.dependency_overrides[get_versions]()
    endpoints = made.dependency_overrides[get_endpoints]()
    for one in versions:
        one["url"] = one["url"].replace("https:", "http:")
    for one in endpoints[VersionNumber.v_2_2_1]:
        one.url = type(one.url)(one.url.replace("https:", "http:"))


app = application()


@app.get("/test/store")
async def look():
    return store


@app.put("/test/store/{module}/{key}")
async def keep(module: str, key: str, request: Request):
    store.setdefault(module, {})[key.upper()] = await request.json()
    return {}


@app.post("/test/register")
async def register(request: Request):
    """The party begins: its credentials go to the hub, and what comes back is kept."""
    asked = await request.json()
    token = asked["token"]
    if not asked["is_plain"]:
        token = library_push.encode_string_base64(token)
    authorization = {"Authorization": f"Token {token}"}
    tokens_a.clear()
    tokens_c.add(OWN_TOKEN)
    async with httpx.AsyncClient(timeout=20) as http:
        versions = (await http.get(asked["url"], headers=authorization)).json()["data"]
        details = (await http.get(versions[0]["url"], headers=authorization)).json()["data"]
        (url,) = (one["url"] for one in details["endpoints"] if one["identifier"] == "credentials")
        answer = (
            await http.post(url, json=own_credentials(OWN_TOKEN), headers=authorization)
        ).json()
        if answer["status_code"] == 1000:
            hub.update(token=answer["data"]["token"], endpoints=details["endpoints"])
    return answer


@app.post("/test/push/{module}/{key}")
async def push(module: str, key: str):
    """One object by the library's own function for pushes."""
    token = library_push.encode_string_base64(hub["token"])
    known = {one["identifier"]: ModuleID(one["identifier"]) for one in known_endpoints()}
    more = {"version": VersionNumber.v_2_2_1} if IS_EXTRAWEST else {}
    response = await library_push.send_push_request(
        key,
        store[module][key.upper()],
        known[module],
        Adapter,
        f"Token {token}",
        known_endpoints(),
        **more,
    )
    return {
        "status": response.status_code,
        "body": response.json(),
        "headers": dict(response.headers),
    }


def known_endpoints() -> list:
    return [one for one in hub["endpoints"] if one["identifier"] in set(ModuleID)]


@app.get("/test/list/{module}")
async def list_of_the_hub(module: str):
    """Its partners' objects, page by page, as a user of a library without routing headers asks."""
    token = library_push.encode_string_base64(hub["token"])
    (url,) = (
        one["url"]
        for one in hub["endpoints"]
        if (one["identifier"], one["role"]) == (module, "SENDER")
    )
    found = []
    async with httpx.AsyncClient(timeout=20) as http:
        while url:
            answer = await http.get(url, headers={"Authorization": f"Token {token}"})
            said = answer.json()
            if said["status_code"] != 1000:
                return said
            found += said["data"]
            url = answer.links.get("next", {}).get("url")
    return {"status_code": 1000, "data": found}


if __name__ == "__main__":
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=int(PORT), log_level="warning")
    )
    asyncio.run(server.serve())
