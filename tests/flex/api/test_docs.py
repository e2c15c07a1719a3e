"""The curl lines of docs/flexibility.md do what they say."""

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from string import Template

from tests.flex.agreements import agree
from tests.flex.api.calling import Api
from tests.hub.strangers import send

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "flexibility.md"
SECTION = DOCUMENT.read_text().partition("## Flex API")[2].partition("\n## ")[0]


def lines() -> list[list[str]]:
    """The arguments of each curl, without comments."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", SECTION, re.S):
        commands = re.split(r"^(?=curl )", block, flags=re.M)
        found += [shlex.split(one, comments=True) for one in commands if one.strip()]
    return found


def test_the_examples_of_the_flex_api_work(cast):
    agree(cast.scsp, cpo=cast.cpo)
    cast.cpo.put_session("S-1", cast.emsp)
    fsp, cpo, emsp = (Api.of(one) for one in (cast.scsp, cast.cpo, cast.emsp))
    driver = emsp.post("emsp/driver-keys", {"token_uid": "TOKEN-1"})["key"]
    names = {
        "HUB": "",
        "FSP": fsp.secret,
        "CPO": cpo.secret,
        "EMSP": emsp.secret,
        "DRIVER": driver,
        "CURSOR": fsp.get("fsp/sessions")["cursor"],
    }
    commands = lines()
    assert len(commands) == 19
    for command in commands:
        curl, *arguments = [Template(one).substitute(names) for one in command]
        assert curl == "curl"
        options = dict(pairwise(arguments))
        [path] = [one for one in arguments if one.startswith("/flex/v1/")]
        path = path.replace("/NL/CPO/", "/{}/{}/".format(*cast.cpo.party))
        header, _, value = options["-H"].partition(": ")
        answer = send(
            cast.hub,
            options.get("-X", "GET"),
            path,
            body=options.get("-d", "").encode(),
            headers={header: value, "Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status in {200, 201, 204}, (command, answer.body)
        if answer.body:
            json.loads(answer.body)
