"""Who is flexibility provider (FSP), for which session, since when (SCALE D2.3, 8.4 and 11)."""

from flex.choice import FspKind
from flex.models.agreements import Consent, FlexAgreement, FlexExclusion
from flex.models.assignments import FspAssignment
from flex.models.extensions import PlaceExtension, SessionExtension
from flex.models.journal import JournalEntry
from flex.models.preferences import PreferenceCopy

__all__ = [
    "Consent",
    "FlexAgreement",
    "FlexExclusion",
    "FspAssignment",
    "FspKind",
    "JournalEntry",
    "PlaceExtension",
    "PreferenceCopy",
    "SessionExtension",
]
