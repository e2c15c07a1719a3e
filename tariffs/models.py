"""Tariffs as the hub keeps them (mod_tariffs, Flow and Lifecycle)."""

from collections.abc import Mapping
from typing import ClassVar, Final

from django.db import models, transaction

from hub.models import quotas
from hub.ocpi.reading import Essentials
from hub.store import indexes
from hub.store.pushed import ENDED, EVERYBODY, Pushed, PushOutcome, PushResult, check_ids
from hub.store.store import StoredObject
from tariffs.objects import Tariff as TariffObject

# Besides what its table requires, the parts of a price must be beyond doubt.
ESSENTIALS: Final = Essentials(
    TariffObject,
    exact=frozenset(
        {"Tariff.currency"}
        | {f"Tariff.elements[].price_components[].{name}" for name in ("type", "price")}
    ),
)


class Tariff(StoredObject):
    """One Tariff, for everybody or for one party alone."""

    MODULE = "tariffs"
    ESSENTIALS: ClassVar[Essentials] = ESSENTIALS
    MAY_BE_LEFT_OUT = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "object_id", "audience"], name="tariff_once")
        ]
        indexes = [
            models.Index(fields=["object_id"], name="tariff_by_id"),
            *indexes.of_stored("tariff"),
            models.Index(
                fields=["owner"], condition=models.Q(deviates=True), name="tariff_deviating"
            ),
        ]

    @classmethod
    def push(cls, pushed: Pushed) -> PushResult:
        """Keep a PUT, or forget on DELETE."""
        identity = cls.identity(pushed)
        if pushed.method == "DELETE":
            return PushResult(cls._forget(identity, pushed.audience, pushed.told_by), pushed.body)
        found = pushed.read(ESSENTIALS)
        check_ids(pushed, found.sent)
        kept = cls.keep(
            identity,
            pushed.audience,
            pushed.body,
            found.last_updated,
            deviates=bool(found.differences),
            told_by=pushed.told_by,
        )
        return PushResult(kept, pushed.body)

    @classmethod
    def _forget(cls, identity: Mapping[str, str], audience: str, told_by: str) -> PushOutcome:
        """Forget a Tariff for all, or for one party, to which what was broadcast ends then too.

        "will not be used in future either": also what the hub never had is forgotten, and the
        others are told. An aggregator ends only what its owner does not tell.
        """
        with transaction.atomic(savepoint=False):
            cls.lock(identity)
            if told_by and cls.is_told_by_owner(identity):
                return PushOutcome.OLDER
            if audience == EVERYBODY:
                ended, _ = cls.named(identity).delete()
                quotas.add(told_by or identity["owner"], cls.MODULE, -ended)
                return PushOutcome.CHANGED
            cls.named(identity).filter(audience=audience).delete()
            for kept in cls.named(identity).filter(audience=EVERYBODY):
                cls.keep(identity, audience, ENDED, kept.last_updated)
            return PushOutcome.CHANGED

    @staticmethod
    def identity(pushed: Pushed) -> dict[str, str]:
        """The Tariff that the URL names."""
        return {"owner": str(pushed.owner), "object_id": pushed.ids[0].upper()}
