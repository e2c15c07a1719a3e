"""Every line of `curl` in docs/joining.md, run as the engineer of a new party would run it."""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flex.models import FlexAgreement
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from party.messages import Received
from tests.hub.newcomer import Newcomer
from tests.hub.strangers import Stranger, raw, token_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "joining.md"
CPO, EMSP, SCSP = PartyId("BE", "BEC"), PartyId("DE", "MSP"), PartyId("NL", "SCS")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
CALL = re.compile(r"^(?:ocpi|curl) ", re.M)

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("bash") is None,
    reason="LEFT OUT: the lines of docs/joining.md need curl and bash",
)


def said(data: Any) -> web.Response:
    """An answer with this as `data`."""
    envelope = {"status_code": 1000, "data": data, "timestamp": "2026-01-01T10:00:00Z"}
    return raw(json.dumps(envelope).encode())


def answer(message: Received) -> web.Response:
    """What the page tells each role to answer."""
    if message.path.endswith("/authorize"):
        token = {
            "country_code": "DE", "party_id": "MSP", "uid": "012345678", "type": "RFID",
            "contract_id": "DE8ACC12E46L89", "issuer": "My eMSP", "valid": True,
            "whitelist": "NEVER", "last_updated": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        return said({"allowed": "ALLOWED", "token": token})
    if message.path.endswith("/charging_preferences"):
        return said("ACCEPTED")
    if message.module == "chargingprofiles" or "START_SESSION" in message.path:
        return said({"result": "ACCEPTED", "timeout": 60})
    return raw()


class Engineer:
    """Runs the blocks of the page, each once."""

    def __init__(self, **env: str) -> None:
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", **env}
        self.left = list(BLOCKS)
        self.ocpi = self.take("ocpi() {")

    def take(self, start: str) -> str:
        """The first block left that holds this text."""
        (block,) = [one for one in self.left if start in one][:1] or [""]
        assert block, f"no block of the page has {start!r}"
        self.left.remove(block)
        return block

    def run(self, start: str, /, *, swaps: Mapping[str, str] | None = None, **env: str) -> str:
        """What a block printed; each of its calls has been answered with 1000."""
        block = self.take(start)
        for old, new in (swaps or {}).items():
            assert old in block
            block = block.replace(old, new)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{self.ocpi}\n{block}"],
            env=self.env | env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        codes = re.findall(r'"status_code": ?(\d+)', done.stdout)
        assert codes == ["1000"] * len(CALL.findall(block)), done.stdout + done.stderr
        return done.stdout


def encoded(token: str) -> str:
    return b64encode(token.encode()).decode()


def test_every_line_of_the_page_is_answered_with_1000(hub):
    cpo, scsp = hub.join(Stranger(Role.CPO, party=CPO)), hub.join(Stranger(Role.SCSP, party=SCSP))
    newcomer = Newcomer(hub, Role.EMSP, party=EMSP)
    for one in (cpo.simulator, newcomer.stranger, scsp.simulator):
        one.says = answer
    FlexAgreement.objects.create(
        fsp_country_code="NL", fsp_party_id="SCS", cpo_country_code="BE", cpo_party_id="BEC"
    )
    engineer = Engineer(HUB=hub.url, VERSIONS_URL=hub.versions_url, TOKEN_A=newcomer.token_a)
    newcomer.accepts("your-own-token-for-the-hub")
    swaps = {"https://your.system/ocpi/versions": newcomer.stranger.versions_url}
    told = engineer.run("/credentials", swaps=swaps)
    token = re.findall(r'"token": ?"([^"]+)"', told)[-1]
    tokens = {"CPO": encoded(token_of(cpo)), "EMSP": encoded(token)}
    engineer.env |= tokens
    as_cpo, as_emsp = {"TOKEN": tokens["CPO"]}, {"TOKEN": tokens["EMSP"]}

    engineer.run('PUT "$HUB/ocpi/2.2.1/receiver/locations/BE/BEC/LOC1"', **as_cpo)
    engineer.run('"status": "CHARGING"', **as_cpo)
    told = engineer.run("# emsp\nocpi -X PUT", **as_emsp)
    assert "BE*BEC*E041503001" in told
    engineer.run(
        "commands/START_SESSION",
        **as_emsp,
        MY_URL=newcomer.stranger.endpoint_url("commands", "SENDER"),
    )
    assert '"allowed":"ALLOWED"' in engineer.run('/authorize?type=RFID" -d', **as_cpo).replace(
        " ", ""
    )
    engineer.run("# emsp, while", **as_emsp)
    engineer.run(
        "# scsp, while",
        TOKEN=encoded(token_of(scsp)),
        MY_URL=scsp.simulator.endpoint_url("chargingprofiles", "SENDER"),
    )
    asked = {message.method + message.module: message for message in cpo.simulator.got}
    urls = {
        "RESPONSE_URL": json.loads(asked["POSTcommands"].body)["response_url"],
        "ACTIVE_RESPONSE_URL": asked["GETchargingprofiles"].query["response_url"],
        "PROFILE_RESPONSE_URL": json.loads(asked["PUTchargingprofiles"].body)["response_url"],
    }
    engineer.run("# cpo, with", **as_cpo, **urls)
    engineer.run('"status": "COMPLETED"', **as_cpo)

    while engineer.left:
        engineer.run(engineer.left[0])
