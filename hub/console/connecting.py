"""Connecting to a platform that has given out a token: the hub registers there (credentials)."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from hub.models import Platform
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import registration
from hub.parties.registration import expected


class ConnectForm(forms.Form):
    """Where the other platform is, and what it gave out."""

    versions_url = forms.CharField(
        label="Versions URL",
        max_length=255,
        help_text="The URL of the other platform, such as https://party.example/ocpi/versions.",
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url"}),
    )
    token = forms.CharField(
        label="CREDENTIALS_TOKEN_A",
        help_text="What the other platform has given out for the hub. It is dead afterwards.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
    )
    name = forms.CharField(
        label="Name",
        max_length=100,
        required=False,
        help_text="The name of the company. Empty: the name that it gives itself.",
        widget=UnfoldAdminTextInputWidget(),
    )

    parties = forms.CharField(
        label="Parties",
        max_length=500,
        required=False,
        help_text="The parties that you expect, such as NL-ABC:CPO, NL-ABC:EMSP. Others that it "
        "names wait for your agreement, or are taken in one of these roles.",
        widget=UnfoldAdminTextInputWidget(),
    )

    def clean_parties(self) -> dict[PartyId, list[Role]]:
        """By party, the roles in which it is expected."""
        try:
            return expected(self.cleaned_data["parties"].replace(",", " ").split())
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def connect(self, invited: Platform | None) -> Platform | None:
        """The new registration, or None with the reason among the form's errors."""
        given = self.cleaned_data
        try:
            return registration.connect(
                given["versions_url"], given["token"], given["name"], invited, given["parties"]
            )
        except registration.CannotConnect as error:
            self.add_error(None, str(error))
            return None


def page(request: HttpRequest, context: dict[str, Any], invited: Platform | None) -> HttpResponse:
    """The form; out of its POST the page of the platform, or the form with the reason."""
    form = ConnectForm(request.POST or None, initial={"name": invited.name if invited else ""})
    platform = form.connect(invited) if request.method == "POST" and form.is_valid() else None
    if platform is not None:
        parties = ", ".join(registration.parties_of(platform))
        messages.success(request, f"The hub is registered with {platform}: {parties}.")
        return HttpResponseRedirect(reverse("admin:hub_platform_change", args=[platform.pk]))
    title = f"Connect to {invited}" if invited else "Connect to a platform"
    context |= {"title": title, "form": form}
    return TemplateResponse(request, "console/connect.html", context)
