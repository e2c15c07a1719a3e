"""Which version of OCPI a stored document came in (version_information_endpoint)."""

from django.db import models

from hub.ocpi.v2_2_1 import VERSION

LONGEST_VERSION = 8  # characters


def came_in() -> "models.CharField[str, str]":
    """The column of a document: the version of the platform that told it.

    Statements of the event loop do not name it: the database fills it in.
    """
    return models.CharField(
        "OCPI version",
        max_length=LONGEST_VERSION,
        default=VERSION,
        db_default=VERSION,
        editable=False,
    )
