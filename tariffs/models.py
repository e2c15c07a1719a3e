"""Tariffs as the hub keeps them (mod_tariffs, Flow and Lifecycle)."""

from django.db import models

from hub.ocpi.datatypes import decode, utc
from hub.store import EVERYBODY, Pushed, StoredObject, check_ids
from tariffs.objects import Tariff as TariffObject


class Tariff(StoredObject):
    """One Tariff, for everybody or for one party alone."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "object_id", "audience"], name="tariff_once")
        ]
        indexes = [
            models.Index(fields=["object_id"], name="tariff_by_id"),
            models.Index(fields=["last_updated"], name="tariff_by_last_updated"),
        ]

    @classmethod
    def push(cls, pushed: Pushed) -> bool:
        """Keep a PUT, or forget on DELETE; False when what is kept is newer."""
        identity = cls.identity(pushed)
        if pushed.method == "DELETE":
            variants = cls.named(identity)
            if pushed.audience != EVERYBODY:
                variants = variants.filter(audience=pushed.audience)
            variants.delete()
            return True
        sent = decode(pushed.body, TariffObject)
        check_ids(pushed, sent)
        return cls.keep(identity, pushed.audience, pushed.body, utc(sent.last_updated))

    @staticmethod
    def identity(pushed: Pushed) -> dict[str, str]:
        """Which Tariff the URL names."""
        return {"owner": str(pushed.owner), "object_id": pushed.ids[0].upper()}
