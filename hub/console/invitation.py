"""Inviting a party: a form, and CREDENTIALS_TOKEN_A shown once (credentials, Registration)."""

from secrets import token_urlsafe
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from hub.console import hand_over
from hub.console.access import audit
from hub.models import Platform
from hub.models.parties import rows_of
from hub.ocpi import headers
from hub.ocpi.datatypes import Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding

PRIMARY = ActionVariant.PRIMARY
_ROLE_NAMES = {
    Role.CPO: "CPO: operates charge points",
    Role.EMSP: "EMSP: serves drivers",
    Role.SCSP: "SCSP: smart charging service provider",
    Role.NSP: "NSP: navigation service provider",
    Role.NAP: "NAP: national access point",
    Role.OTHER: "OTHER",
}
_FORMS = "invitation forms"
_FORMS_AT_ONCE = 10


class InvitationForm(forms.Form):
    """Who is invited, and as what."""

    country_code = forms.RegexField(
        r"^[A-Za-z]{2}$",
        label="Country code",
        help_text="Two letters of ISO 3166-1, such as NL.",
        error_messages={"invalid": "Two letters, such as NL."},
        widget=UnfoldAdminTextInputWidget(attrs={"maxlength": 2}),
    )
    party_id = forms.RegexField(
        r"^[A-Za-z0-9*]{1,3}$",
        label="Party id",
        help_text="Three letters or digits, such as ABC.",
        error_messages={"invalid": "One to three letters or digits, such as ABC."},
        widget=UnfoldAdminTextInputWidget(attrs={"maxlength": 3}),
    )
    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="Of the company.",
        widget=UnfoldAdminTextInputWidget(),
    )
    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=[(role.value, name) for role, name in _ROLE_NAMES.items()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )

    @property
    def identity(self) -> PartyId:
        """The invited party, once the form is valid."""
        return PartyId.of(self.cleaned_data["country_code"], self.cleaned_data["party_id"])

    def invite(self) -> onboarding.Invitation | None:
        """The invitation, or None with the reason among the form's errors."""
        roles = [Role(role) for role in self.cleaned_data["roles"]]
        try:
            return onboarding.invite(self.identity, roles, self.cleaned_data["name"])
        except onboarding.CannotInvite as error:
            self.add_error(None, str(error))
            return None


def page(request: HttpRequest, context: dict[str, Any], platform: Platform | None) -> HttpResponse:
    """The form; or, out of its POST, the token, which is in no other answer ever again."""
    form = InvitationForm(request.POST or None, initial=_initial(platform))
    if form.initial:  # Again: the same party, whatever else is changed.
        form.fields["country_code"].disabled = form.fields["party_id"].disabled = True
    title = "Invite again" if platform else "Invite a party"
    context |= {"title": title, "form": form, "platform": platform}
    if request.method == "POST" and form.is_valid():
        if not _is_first_use(request):
            form.add_error(None, "This form was sent before. Send it again for a new token.")
        elif (invitation := form.invite()) is not None:
            roles = ", ".join(form.cleaned_data["roles"])
            audit.note(request, "invite", str(form.identity), detail=roles)
            context |= {
                "title": f"{form.identity} is invited",
                "invitation": invitation,
                "platform_id": rows_of(form.identity).values_list("platform", flat=True)[0],
                "sheet": hand_over.sheet(
                    form.identity,
                    form.cleaned_data["roles"],
                    form.cleaned_data["name"],
                    headers.authorization(invitation.token),
                ),
                "authorization": headers.authorization(invitation.token),
                "base64": headers.authorization(invitation.token).removeprefix("Token "),
            }
    if "invitation" not in context:
        context["form_id"] = _new_form(request)
    response = TemplateResponse(request, "console/invite.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _initial(platform: Platform | None) -> dict[str, Any]:
    parties = list(platform.parties.order_by("id")) if platform else []
    if platform is None or not parties:
        return {}
    first = parties[0]
    return {
        "country_code": first.country_code,
        "party_id": first.party_id,
        "name": platform.name,
        "roles": [party.role for party in parties if party.identity == first.identity],
    }


def _new_form(request: HttpRequest) -> str:
    """Each form works once: a page that is loaded again must not void the token it showed."""
    form_id = token_urlsafe(12)
    kept = request.session.get(_FORMS, [])
    request.session[_FORMS] = [*kept, form_id][-_FORMS_AT_ONCE:]
    return form_id


def _is_first_use(request: HttpRequest) -> bool:
    kept = request.session.get(_FORMS, [])
    form_id = request.POST.get("form_id", "")
    if form_id not in kept:
        return False
    request.session[_FORMS] = [other for other in kept if other != form_id]
    return True
