"""Whose messages are recorded with their bodies, and until when."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from hub.console.agreements import parties_to_choose
from hub.console.tables import column
from hub.ocpi.party import PartyId
from hub.record.models import BodyRecording

LONGEST = timedelta(days=1)


class BodyRecordingForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A known party, and a time that ends by itself."""

    who = forms.ChoiceField(label="Party", widget=UnfoldAdminSelectWidget())

    class Meta:
        model = BodyRecording
        fields = ("until",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["who"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - narrows for mypy
        kept = (self.instance.party,) if self.instance.pk else ()
        field.choices = parties_to_choose("Select a party", *kept)
        if kept:
            field.initial, field.disabled = str(kept[0]), True
        if not self.instance.pk:
            self.initial.setdefault("until", timezone.now() + timedelta(minutes=30))

    def clean(self) -> dict[str, Any]:
        """Limited, and one for each party."""
        cleaned = super().clean() or {}
        until, now = cleaned.get("until"), timezone.now()
        if until is not None and not now < until <= now + LONGEST:
            self.add_error("until", "From now on, and at most a day ahead.")
        if cleaned.get("who") and self.instance.pk is None:
            country_code, party_id = PartyId.parse(cleaned["who"])
            if BodyRecording.objects.filter(
                country_code__iexact=country_code, party_id__iexact=party_id
            ).exists():
                self.add_error("who", "There is one for this party already: change it.")
            self.instance.country_code, self.instance.party_id = country_code, party_id
        return cleaned


@admin.register(BodyRecording)
class BodyRecordingAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Switched on here or by `manage.py record_bodies`."""

    form = BodyRecordingForm
    fields = ("who", "until")
    list_display = ("party_", "until", "begun_at")
    search_fields = ("country_code", "party_id")
    ordering = ("until",)
    actions: Any = None

    @column("party", ordering="party_id")
    def party_(self, recording: BodyRecording) -> str:
        return str(recording.party)
