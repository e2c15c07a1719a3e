"""Platforms and parties: who is connected, and what an operator can do about it."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from hub import onboarding, outbox, registration
from hub.conformance.check import CannotCheck
from hub.console import conformance, connecting, invitation
from hub.console.pulls import PullRows
from hub.console.tables import (
    AMBER,
    GREEN,
    GREY,
    RED,
    ReadOnlyRows,
    ReadOnlyTable,
    action,
    ago,
    badge,
    column,
)
from hub.directory import wait_until_confirmed
from hub.models import Endpoint, Party, Platform, Replay
from hub.ocpi.datatypes import ConnectionStatus
from hub.ocpi.party import PartyId
from hub.pulls import Pull

STATUS_COLOURS = {
    ConnectionStatus.CONNECTED: GREEN,
    ConnectionStatus.OFFLINE: AMBER,
    ConnectionStatus.PLANNED: GREY,
    ConnectionStatus.SUSPENDED: RED,
}
STATUS_MEANING = {
    ConnectionStatus.CONNECTED: "registered, and it answers",
    ConnectionStatus.OFFLINE: "registered, but it does not answer",
    ConnectionStatus.PLANNED: "invited, or not agreed by the operator yet",
    ConnectionStatus.SUSPENDED: "cut off by the operator, or it has left",
}


def status_badge(status: str) -> SafeString:
    """CONNECTED green, OFFLINE amber, PLANNED grey, SUSPENDED red."""
    known = ConnectionStatus(status)
    return badge(status, STATUS_COLOURS[known], STATUS_MEANING[known])


def _dialog(title: str, description: str, button: str) -> dict[str, Any]:
    return {"title": title, "description": description, "form_submit_text": button}


def problem_of(platform: Platform) -> str:
    """What the last still-alive check found."""
    return platform.health.problem if hasattr(platform, "health") else ""


class PartyRows(ReadOnlyRows):
    """The parties of a platform."""

    model = Party
    verbose_name_plural = "parties"
    fields = ("identity_", "role", "name", "status_", "last_updated")
    readonly_fields = ("identity_", "status_")

    @column("party")
    def identity_(self, party: Party) -> str:
        """NL-ABC."""
        return str(party.identity)

    @column("status")
    def status_(self, party: Party) -> SafeString:
        """As a badge."""
        return status_badge(party.status)


class EndpointRows(ReadOnlyRows):
    """What a platform offers."""

    model = Endpoint
    fields = ("identifier", "role", "url")
    ordering = ("identifier", "role")
    show_change_link = False


@admin.register(Platform)
class PlatformAdmin(ReadOnlyTable):
    """One row a connection. What an operator may change is whether its lists are pulled."""

    list_display = ("name", "parties_", "status_", "last_heard", "problem_", "registered_")
    list_filter = ("parties__status", "parties__role")
    search_fields = ("name", "parties__party_id", "parties__country_code", "parties__name")
    search_help_text = "Name, country code or party id"
    ordering = ("name", "id")
    actions_list = ("invite", "connect")
    actions_detail = ("invite_again", "connect_invited", "renew", "end", "pull_now")
    inlines = (PartyRows, EndpointRows, PullRows)
    fieldsets = (
        (None, {"fields": ("name", "status_", "last_heard", "checked", "problem_", "checks_")}),
        (
            "Connection",
            {
                "fields": (
                    "versions_url",
                    "token_form",
                    "credentials",
                    "invited_at",
                    "registered_at",
                )
            },
        ),
        ("Client Owned Object Pull", {"fields": ("pull_rule",)}),
    )
    readonly_fields = (
        "name",
        "status_",
        "last_heard",
        "checked",
        "problem_",
        "checks_",
        "versions_url",
        "token_form",
        "credentials",
        "invited_at",
        "registered_at",
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For `pull_rule` alone: all else is read only."""
        return request.user.has_perm("hub.change_platform")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Platform]:
        """With what the list shows of others: three queries in all."""
        parties = Party.objects.order_by("country_code", "party_id", "role")
        return (
            Platform.objects.select_related("health")
            .prefetch_related(Prefetch("parties", queryset=parties))
            .distinct()
        )

    @column("parties")
    def parties_(self, platform: Platform) -> str:
        """NL-ABC CPO + EMSP."""
        roles: dict[PartyId, list[str]] = {}
        for party in platform.parties.all():
            roles.setdefault(party.identity, []).append(party.role)
        return ", ".join(f"{who} {' + '.join(named)}" for who, named in roles.items())

    @column("status")
    def status_(self, platform: Platform) -> SafeString:
        """Each status that its parties have, once."""
        found = sorted({party.status for party in platform.parties.all()})
        return mark_safe(" ".join(status_badge(status) for status in found))  # noqa: S308 - badges

    @column("last heard", ordering="health__last_heard_at")
    def last_heard(self, platform: Platform) -> SafeString | None:
        """When it last sent or answered something."""
        return ago(platform.health.last_heard_at) if hasattr(platform, "health") else None

    @column("last checked")
    def checked(self, platform: Platform) -> SafeString | None:
        """When a still-alive check last failed."""
        return ago(platform.health.checked_at) if hasattr(platform, "health") else None

    @column("problem")
    def problem_(self, platform: Platform) -> str:
        """Why it is away."""
        return problem_of(platform)

    @column("conformance")
    def checks_(self, platform: Platform) -> SafeString | None:
        """The last check of each of its parties."""
        parties = dict.fromkeys(party.identity for party in platform.parties.all())
        found = [(who, conformance.latest(who)) for who in parties]
        return format_html_join(mark_safe("<br>"), "{}: {}", (f for f in found if f[1])) or None

    @column("registered", ordering="registered_at")
    def registered_(self, platform: Platform) -> SafeString | str | None:
        """Since when, or since when it is awaited."""
        if platform.registered_at is not None:
            return ago(platform.registered_at)
        return "invited, has not come" if platform.token_a_hash else "has left"

    @column("credentials tokens")
    def credentials(self, platform: Platform) -> str:
        """Which of them there are; never the tokens."""
        held = [
            ("CREDENTIALS_TOKEN_A given out", platform.token_a_hash),
            ("its token at this hub (a hash is kept)", platform.token_c_hash),
            ("the hub's token there (kept encrypted)", platform.token_b_encrypted),
        ]
        return "; ".join(text for text, value in held if value) or "none"

    # --- Inviting -------------------------------------------------------------------------------

    def has_invite_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Who may let others in; of a platform that is here already, nobody."""
        return request.user.has_perm("hub.add_platform") and (
            object_id is None
            or Platform.objects.filter(pk=object_id, registered_at__isnull=True).exists()
        )

    @action("Invite a party", permissions=["invite"], icon="add", variant=invitation.PRIMARY)
    def invite(self, request: HttpRequest) -> HttpResponse:
        """The form, and TOKEN_A once."""
        return invitation.page(request, self.admin_site.each_context(request), None)

    @action("Invite again", permissions=["invite"], icon="key", url_path="invite-again")
    def invite_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A new TOKEN_A for one that has not come; the old one is void."""
        platform = get_object_or_404(Platform, pk=object_id)
        return invitation.page(request, self.admin_site.each_context(request), platform)

    # --- The hub as initiator of a registration -------------------------------------------------

    def has_connect_permission(self, request: HttpRequest) -> bool:
        """Who may let others in."""
        return request.user.has_perm("hub.add_platform")

    def has_registered_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Of a platform that is here."""
        return (
            request.user.has_perm("hub.change_platform")
            and Platform.objects.filter(pk=object_id, registered_at__isnull=False).exists()
        )

    @action("Connect to a platform", permissions=["connect"], icon="link")
    def connect(self, request: HttpRequest) -> HttpResponse:
        """The hub registers itself with a platform that has given out a token."""
        return connecting.page(request, self.admin_site.each_context(request), None)

    @action("Connect instead", permissions=["invite"], icon="link", url_path="connect-instead")
    def connect_invited(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One that was invited gives out a token itself."""
        platform = get_object_or_404(Platform, pk=object_id)
        return connecting.page(request, self.admin_site.each_context(request), platform)

    @action(
        "Renew credentials",
        permissions=["registered"],
        icon="sync_lock",
        dialog=_dialog(
            "Renew the credentials?",
            "The hub PUTs its credentials there: both tokens change, and the platform's endpoints "
            "and parties are read again.",
            "Renew",
        ),
    )
    def renew(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """PUT of the hub's credentials."""
        return self._act(request, object_id, lambda platform: str(registration.update(platform)))

    @action(
        "End registration",
        permissions=["registered"],
        icon="link_off",
        dialog=_dialog(
            "End the registration?",
            "The hub DELETEs its credentials there. No message goes in either direction until "
            "there is a new registration; the other parties are told.",
            "End it",
        ),
    )
    def end(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """DELETE of the hub's credentials."""
        return self._act(request, object_id, registration.end)

    def _act(
        self, request: HttpRequest, object_id: str, change: Callable[[Platform], str]
    ) -> HttpResponse:
        platform = get_object_or_404(Platform, pk=object_id)
        try:
            said = change(platform)
        except registration.CannotConnect as error:
            messages.error(request, str(error))
        else:
            self.log_change(request, platform, f"Credentials: {said}.")
            messages.success(request, f"{platform}: done ({said}).")
        return _back(request, reverse("admin:hub_platform_change", args=[platform.pk]))

    # --- Pulling --------------------------------------------------------------------------------

    def has_pull_now_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Of platforms with a list."""
        return request.user.has_perm("hub.change_platform") and (
            object_id is None or Pull.objects.filter(platform=int(object_id)).exists()
        )

    @action(
        "Pull now",
        permissions=["pull_now"],
        icon="download",
        url_path="pull-now",
        dialog=_dialog(
            "Read its lists now?",
            "The hub fetches the platform's Locations, Tariffs and Tokens, whatever the rule says.",
            "Pull",
        ),
    )
    def pull_now(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Have all its lists read."""
        Pull.objects.filter(platform=int(object_id)).update(
            is_requested=True, due_at=timezone.now()
        )
        outbox.wake("hub.pull.take_turn", int(object_id))
        messages.success(request, "The hub reads its lists now.")
        return _back(request, reverse("admin:hub_platform_change", args=[object_id]))


@admin.register(Party)
class PartyAdmin(ReadOnlyTable):
    """One row a party and role."""

    list_display = ("identity_", "role", "name", "status_", "platform", "problem_", "agreed")
    list_filter = ("status", "role", "is_agreed")
    list_select_related = ("platform__health",)
    search_fields = ("country_code", "party_id", "name", "platform__name")
    search_help_text = "Country code, party id or name"
    ordering = ("country_code", "party_id", "role")
    actions_row = ("suspend", "resume", "agree")
    actions_detail = ("check_party", "replay", "suspend", "resume", "agree")
    fieldsets = (
        (None, {"fields": ("identity_", "role", "name", "status_", "agreed", "last_updated")}),
        ("Where", {"fields": ("platform", "problem_", "last_check", "business_details")}),
    )
    readonly_fields = ("identity_", "status_", "agreed", "problem_", "last_check")

    @column("party", ordering="country_code")
    def identity_(self, party: Party) -> str:
        """NL-ABC."""
        return str(party.identity)

    @column("status", ordering="status")
    def status_(self, party: Party) -> SafeString:
        """As a badge; a party that left by itself is told apart from one cut off."""
        if party.is_withdrawn:
            return badge(party.status, RED, "the party has left")
        return status_badge(party.status)

    @column("problem")
    def problem_(self, party: Party) -> str:
        """Of its platform; or that it has left by itself."""
        return "it has left" if party.is_withdrawn else problem_of(party.platform)

    @column("agreed", ordering="is_agreed")
    def agreed(self, party: Party) -> SafeString:
        """Whether the operator wants it here."""
        return badge("yes", GREEN) if party.is_agreed else badge("not yet", AMBER)

    @column("last conformance check")
    def last_check(self, party: Party) -> SafeString | None:
        """What it said, and when."""
        return conformance.latest(party.identity)

    # --- Check, suspend, resume, agree: the whole party, whatever its roles ---------------------

    def _is(self, object_id: str | None, **conditions: Any) -> bool:
        """In lists there is no row in question; on its page only what fits is offered."""
        return object_id is None or Party.objects.filter(pk=object_id).filter(**conditions).exists()

    def has_suspend_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Of those that are not suspended."""
        return request.user.has_perm("hub.change_party") and (
            object_id is None or not self._is(object_id, status=ConnectionStatus.SUSPENDED)
        )

    def has_resume_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Of those that the operator suspended."""
        return request.user.has_perm("hub.change_party") and self._is(
            object_id, status=ConnectionStatus.SUSPENDED, is_withdrawn=False
        )

    def has_agree_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Of those that came uninvited."""
        return request.user.has_perm("hub.change_party") and self._is(object_id, is_agreed=False)

    def has_check_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Of those that are here."""
        return request.user.has_perm("hub.change_party") and self._is(
            object_id, platform__registered_at__isnull=False
        )

    @action("Check", permissions=["check"], icon="fact_check", dialog=conformance.DIALOG)
    def check_party(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Against the text; its page fills as soon as a worker has done it."""
        party = get_object_or_404(Party, pk=object_id)
        try:
            return _back(request, conformance.start(party.identity, form))
        except CannotCheck as error:
            messages.error(request, str(error))
            return _back(request, reverse("admin:hub_party_change", args=[party.pk]))

    def has_replay_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Of those that can take it."""
        return request.user.has_perm("hub.change_party") and self._is(
            object_id, status=ConnectionStatus.CONNECTED
        )

    @action(
        "Replay",
        permissions=["replay"],
        icon="replay",
        dialog=_dialog(
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
        return _back(request, reverse("admin:hub_party_change", args=[party.pk]))

    @action(
        "Suspend",
        permissions=["suspend"],
        icon="block",
        dialog=_dialog(
            "Suspend this party?",
            "It can send nothing and gets nothing, in all its roles, until it is resumed. "
            "The other parties are told that it is SUSPENDED.",
            "Suspend",
        ),
    )
    def suspend(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Cut it off."""
        return self._act(request, object_id, onboarding.suspend, "is not suspended")

    @action(
        "Resume",
        permissions=["resume"],
        icon="play_arrow",
        dialog=_dialog(
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
        dialog=_dialog(
            "Agree to this party?",
            "It came without an invitation. Agreed, it is CONNECTED and meets the others.",
            "Agree",
        ),
    )
    def agree(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Let it take part."""
        return self._act(request, object_id, _agree, "needs no agreement")

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
        return _back(request, reverse("admin:hub_party_change", args=[party.pk]))


def _agree(identity: PartyId) -> bool:
    waiting = Party.objects.filter(
        country_code__iexact=identity.country_code,
        party_id__iexact=identity.party_id,
        is_agreed=False,
    )
    if not waiting.exists():
        return False
    onboarding.agree(identity)
    return True


def _back(request: HttpRequest, url: str) -> HttpResponse:
    """From a dialog (htmx) the page itself has to move on."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
