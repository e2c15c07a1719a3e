"""An eMSP and a CPO say with their keys who is FSP of a session (SCALE D2.3, 8.4)."""

from flex.models import FlexAgreement, FlexExclusion, FspAssignment
from sessions.models import Session
from tests.cases import case
from tests.flex.api.calling import Api, refused

CANNOT = (409, "CANNOT_SET")
INVALID = (400, "INVALID")
NOT_FOUND = (404, "NOT_FOUND")


def path_of(cast, who: str, session_id: str) -> str:
    return (
        f"{who}/sessions/{cast.cpo.party.country_code}/{cast.cpo.party.party_id}/{session_id}/fsp"
    )


def test_the_emsp_and_the_cpo_set_it_and_take_it_back(cast):
    cast.cpo.put_session("WORD-1", cast.emsp)
    emsp, cpo = Api.of(cast.emsp), Api.of(cast.cpo)
    by_emsp, by_cpo = (path_of(cast, who, "WORD-1") for who in ("emsp", "cpo"))
    with case("nobody yet"):
        assert "assignment" not in emsp.get(by_emsp)
    with case("the CPO's word, and an FSP that gets the session"):
        told = cpo.put(by_cpo, {"who": str(cast.scsp)})
        assert told["assignment"]["fsp"] == str(cast.scsp)
        assert told["in_words"].startswith(f"The FSP is {cast.scsp} (")
        assert cast.scsp.wait_for("WORD-1")
    with case("the eMSP's counts more, with the driver's consent"):
        told = emsp.put(by_emsp, {"who": "none", "consent_by": "DRIVER"})
        assert (told["assignment"]["kind"], "fsp" in told["assignment"]) == ("NONE", False)
        word = FlexAgreement.objects.get(said_by="EMSP", is_active=True)
        assert (word.consent_by, word.consented_at is not None) == ("DRIVER", True)
        told = cpo.put(by_cpo, {"who": "CPO"})
        assert told["in_words"].startswith("The word is kept, and another one counts more. ")
        assert [one["is_taken"] for one in told["assignment"]["words"]] == [True, False]
    with case("taken back, the CPO's counts again; a second time there is nothing"):
        assert emsp.send("DELETE", by_emsp).status_code == 204
        assert cpo.get(by_cpo)["assignment"]["kind"] == "CPO"
        assert refused(emsp.send("DELETE", by_emsp)) == CANNOT
    assert FspAssignment.objects.filter(session__session_id="WORD-1").count() == 3


def test_what_is_refused_is_refused_in_words_and_changes_nothing(cast):
    cast.cpo.put_session("WORD-2", cast.emsp)
    emsp, cpo = Api.of(cast.emsp), Api.of(cast.cpo)
    by_emsp, by_cpo = (path_of(cast, who, "WORD-2") for who in ("emsp", "cpo"))
    driver = Api(cast.hub.url, emsp.post("emsp/driver-keys", {"token_uid": "TOKEN-1"})["key"])
    FlexExclusion.objects.create(
        cpo_country_code=cast.cpo.party.country_code,
        cpo_party_id=cast.cpo.party.party_id,
        fsp_country_code=cast.scsp.party.country_code,
        fsp_party_id=cast.scsp.party.party_id,
    )
    for name, api, path, body, expected in (
        ("excluded by the CPO", emsp, by_emsp, {"who": str(cast.scsp)}, CANNOT),
        ("not here", emsp, by_emsp, {"who": "ZZ-ZZZ"}, CANNOT),
        ("no party and no word", emsp, by_emsp, {"who": "anybody"}, CANNOT),
        (
            "an unknown consent",
            emsp,
            by_emsp,
            {"who": "NONE", "consent_by": "ME"},
            (400, "INVALID"),
        ),
        (
            "no consent of a CPO",
            cpo,
            by_cpo,
            {"who": "NONE", "consent_by": "EMSP"},
            (400, "INVALID"),
        ),
        ("nobody is named", cpo, by_cpo, {}, INVALID),
        (
            "somebody else's session",
            Api.of(cast.other_emsp),
            by_emsp,
            {"who": "NONE"},
            (404, "NOT_FOUND"),
        ),
        ("a driver's key", driver, by_emsp, {"who": "NONE"}, (403, "KEY_OF_A_DRIVER")),
        ("the wrong key", cpo, by_emsp, {"who": "NONE"}, (403, "ROLE_MISSING")),
    ):
        with case(name):
            assert refused(api.send("PUT", path, body)) == expected
    cast.cpo.put_session("WORD-2", cast.emsp, status="COMPLETED")
    answered = emsp.send("PUT", by_emsp, {"who": "NONE"})
    assert refused(answered) == CANNOT
    assert "is over" in answered.json()["detail"]
    session = Session.objects.get(session_id="WORD-2")
    assert not FlexAgreement.objects.filter(session=session).exists()
    FlexExclusion.objects.all().delete()
