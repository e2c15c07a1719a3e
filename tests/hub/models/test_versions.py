"""What is kept knows the version of OCPI that it came in."""

import pytest
from django.db import connection

from hub.models import Platform
from hub.ocpi.v2_2_1 import VERSION
from hub.routing.directory import load

pytestmark = pytest.mark.django_db
# What the hub will PUT itself, and charging profiles, whose chapter is one (docs/decisions/0033).
WITHOUT = ["flex_api_prepared", "ocpi_charging_profiles_profileupdate"]


def test_each_document_has_its_version_beside_it_which_the_database_fills_in():
    """So statements of the event loop, which do not name it, cost nothing more."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT kept.table_name, version.column_default
            FROM information_schema.columns AS kept
            LEFT JOIN information_schema.columns AS version
                ON version.table_name = kept.table_name AND version.column_name = 'ocpi_version'
            WHERE kept.column_name = 'document' AND kept.table_name <> ALL (%s)
                OR kept.table_name = 'hub_delivery'
            """,
            [WITHOUT],
        )
        defaults = dict(cursor.fetchall())
    assert len(defaults) > 6
    assert set(defaults.values()) == {f"'{VERSION}'::character varying"}


def test_the_directory_carries_what_a_platform_has_settled_on():
    newer, invited = (Platform.objects.create(ocpi_version=version) for version in ("9.9", ""))
    platforms = load().platforms
    assert [platforms[one.pk].ocpi_version for one in (newer, invited)] == ["9.9", ""]
