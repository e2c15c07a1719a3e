"""Parties: their status, and what an operator can do with one, whatever its roles."""

from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from hub.conformance.check import CannotCheck
from hub.console import conformance, traffic
from hub.console.access import roles, scope
from hub.console.dialogs import back, dialog
from hub.console.knowledge import known_share
from hub.console.statuses import admission_badge, problem_of, status_badge
from hub.console.tables import RED, ReadOnlyTable, action, badge, column
from hub.models import Party, Replay
from hub.models.parties import BEYOND_INVITATION
from hub.ocpi.datatypes import ConnectionStatus, Role
from hub.ocpi.party import PartyId
from hub.parties import onboarding
from hub.routing.directory import wait_until_confirmed

_ABOUT: Final = ("identity_", "role", "name", "status_", "came", "last_updated")


@admin.register(Party)
class PartyAdmin(ReadOnlyTable):
    """One row a party and role."""

    list_display = ("identity_", "role", "name", "status_", "platform", "problem_", "came")
    list_filter = ("status", "role", "admission")
    list_select_related = ("platform__health",)
    search_fields = ("country_code", "party_id", "name", "platform__name")
    search_help_text = "Country code, party id or name"
    ordering = ("country_code", "party_id", "role")
    actions_row = ("suspend", "resume", "agree")
    actions_detail = ("check_party", "replay", "suspend", "resume", "agree")
    fieldsets = (
        (None, {"fields": (*_ABOUT, "known_effects")}),
        ("Where", {"fields": ("platform", "problem_", "last_check", "business_details")}),
        ("Traffic of its platform", {"fields": ("traffic_",)}),
    )
    readonly_fields = (
        *("identity_", "status_", "came", "problem_", "last_check", "known_effects", "traffic_"),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Party | None = None) -> Any:
        """Numbers of a platform are for those who may see all of it."""
        found = super().get_fieldsets(request, obj)
        may = request.user.has_perm(roles.MESSAGES)
        if obj is not None and may and scope.sees_platform(request.user, obj.platform_id):
            return found
        return found[:-1]

    @column("party", ordering="country_code")
    def identity_(self, party: Party) -> str:
        return str(party.identity)

    @column("status", ordering="status")
    def status_(self, party: Party) -> SafeString:
        """As a badge; a party that left by itself is told apart from one cut off."""
        if party.is_withdrawn and not party.is_suspended:
            return badge(party.status, RED, "the party has left")
        return status_badge(party.status)

    @column("problem")
    def problem_(self, party: Party) -> str:
        """The problem of its platform, or that it has left by itself."""
        return "it has left" if party.is_withdrawn else problem_of(party.platform)

    @column("how it came", ordering="admission")
    def came(self, party: Party) -> SafeString:
        """By invitation, or beyond it."""
        return admission_badge(party)

    @column("traffic")
    def traffic_(self, party: Party) -> SafeString:
        """How much it sends and gets, what fails, and how long it takes."""
        return traffic.of_party(party)

    @column("last conformance check")
    def last_check(self, party: Party) -> SafeString | None:
        """What it said, and when."""
        return conformance.latest(party.identity)

    @column("effects of profiles known")
    def known_effects(self, party: Party) -> str | None:
        """Of a CPO: the share of accepted profiles of which the hub can say what they have done."""
        return known_share(party.identity) if party.role == Role.CPO else None

    # --- Check, suspend, resume, agree: the whole party, whatever its roles ---------------------

    def _is(self, object_id: str | None, **conditions: Any) -> bool:
        """In lists there is no row in question; on its page only what fits is offered."""
        return object_id is None or Party.objects.filter(pk=object_id).filter(**conditions).exists()

    def has_suspend_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for parties that are not suspended."""
        return request.user.has_perm("hub.change_party") and (
            object_id is None or self._is(object_id, is_suspended=False)
        )

    def has_resume_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for parties that the operator suspended."""
        return request.user.has_perm("hub.change_party") and self._is(object_id, is_suspended=True)

    def has_agree_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for parties that came uninvited, and are here."""
        return request.user.has_perm("hub.change_party") and self._is(
            object_id, admission__in=BEYOND_INVITATION, is_withdrawn=False
        )

    def has_check_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Only for parties that are here."""
        here = Party.objects.filter(pk=object_id, platform__registered_at__isnull=False)
        return request.user.has_perm(roles.CHECK) and scope.rows(request.user, here).exists()

    @action("Check", permissions=["check"], icon="fact_check", dialog=conformance.DIALOG)
    def check_party(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Against the text; its page fills as soon as a worker has done it."""
        party = get_object_or_404(Party, pk=object_id)
        try:
            return back(request, conformance.start(party.identity, form))
        except CannotCheck as error:
            messages.error(request, str(error))
            return back(request, reverse("admin:hub_party_change", args=[party.pk]))

    def has_replay_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for parties that can take it."""
        return request.user.has_perm("hub.change_party") and self._is(
            object_id, status=ConnectionStatus.CONNECTED
        )

    @action(
        "Replay",
        permissions=["replay"],
        icon="replay",
        dialog=dialog(
            "Send the current state to this party?",
            "Every Location, Tariff and Token that it may see is PUT to it as it is now. OCPI "
            "leaves it to a party that was away to GET what it has missed; this is for those that "
            "do not.",
            "Send",
        ),
    )
    def replay(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Begin it; the workers do the rest."""
        party = get_object_or_404(Party, pk=object_id)
        Replay.begin(party.platform_id, party.identity)
        self.log_change(request, party, "The current state is sent to it.")
        messages.success(request, f"The current state is on its way to {party.identity}.")
        return back(request, reverse("admin:hub_party_change", args=[party.pk]))

    @action(
        "Suspend",
        permissions=["suspend"],
        icon="block",
        dialog=dialog(
            "Suspend this party?",
            "It can send nothing and gets nothing, in all its roles, until it is resumed. "
            "The other parties are told that it is SUSPENDED.",
            "Suspend",
        ),
    )
    def suspend(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Suspend the party."""
        return self._act(request, object_id, onboarding.suspend, "is not suspended")

    @action(
        "Resume",
        permissions=["resume"],
        icon="play_arrow",
        dialog=dialog(
            "Resume this party?",
            "It takes part again, and the other parties are told so.",
            "Resume",
        ),
    )
    def resume(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Take a suspension back."""
        return self._act(request, object_id, onboarding.resume, "was not suspended")

    @action(
        "Agree",
        permissions=["agree"],
        icon="handshake",
        dialog=dialog(
            "Agree to this party?",
            "It came without an invitation in this role. Agreed, it takes part in this role, and "
            "no later invitation takes it from its platform.",
            "Agree",
        ),
    )
    def agree(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Agree to the party, which takes part from now on."""
        role = get_object_or_404(Party, pk=object_id).role
        return self._act(
            request, object_id, lambda party: onboarding.agree(party, role), "needs no agreement"
        )

    def _act(
        self,
        request: HttpRequest,
        object_id: str,
        change: Callable[[PartyId], bool],
        refusal: str,
    ) -> HttpResponse:
        """Act, wait for the web processes to know, and say what happened."""
        party = get_object_or_404(Party, pk=object_id)
        if not change(party.identity):
            messages.error(request, f"{party.identity} {refusal}: nothing was changed.")
        else:
            confirmed = wait_until_confirmed()
            party.refresh_from_db()
            self.log_change(request, party, f"Now {party.status}.")
            messages.success(request, f"{party.identity} is {party.status} now.")
            if not confirmed:
                messages.warning(request, "Not every web process has confirmed it within 1 s.")
        return back(request, reverse("admin:hub_party_change", args=[party.pk]))
