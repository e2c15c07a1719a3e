"""Platforms: who is connected and what it offers, and what an operator can do about it."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from hub.console import conformance, connecting, deviations, invitation, owed, quotas
from hub.console.access import scope
from hub.console.deviations import DeviationRows
from hub.console.dialogs import back, dialog
from hub.console.pulls import PullRows
from hub.console.statuses import admission_badge, problem_of, status_badge
from hub.console.tables import ReadOnlyRows, ReadOnlyTable, action, ago, column
from hub.models import Admission, Endpoint, Party, Platform
from hub.models.parties import BEYOND_INVITATION
from hub.models.pulls import Pull
from hub.ocpi.party import PartyId
from hub.outbox import outbox
from hub.parties import registration


class PartyRows(ReadOnlyRows):
    """The parties of a platform."""

    model = Party
    verbose_name_plural = "parties"
    fields = ("identity_", "role", "name", "status_", "came", "last_updated")
    readonly_fields = ("identity_", "status_", "came")

    @column("party")
    def identity_(self, party: Party) -> str:
        return str(party.identity)

    @column("status")
    def status_(self, party: Party) -> SafeString:
        return status_badge(party.status)

    @column("how it came")
    def came(self, party: Party) -> SafeString:
        """By invitation, or beyond it."""
        return admission_badge(party)


class EndpointRows(ReadOnlyRows):
    """What a platform offers."""

    model = Endpoint
    fields = ("identifier", "role", "url")
    ordering = ("identifier", "role")
    show_change_link = False


@admin.register(Platform)
class PlatformAdmin(ReadOnlyTable):
    """One row a connection. An operator may say whether it is pulled, and how it is read."""

    list_display = ("name", "parties_", "status_", "last_heard", "problem_", "registered_")
    list_filter = ("parties__status", "parties__role", "parties__admission")
    search_fields = ("name", "parties__party_id", "parties__country_code", "parties__name")
    search_help_text = "Name, country code or party id"
    ordering = ("name", "id")
    actions_list = ("invite", "connect")
    actions_detail = (
        "joining",
        "invite_again",
        "connect_invited",
        "renew",
        "end",
        "end_here",
        "pull_now",
    )
    inlines = (PartyRows, EndpointRows, PullRows, DeviationRows)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "name",
                    "status_",
                    "last_heard",
                    "checked",
                    "problem_",
                    "beyond",
                    "remarks_",
                    "checks_",
                    "owed_",
                    "usage_",
                )
            },
        ),
        (
            "Connection",
            {
                "fields": (
                    "versions_url",
                    "ocpi_version",
                    "token_form_",
                    "fixed_token_form",
                    "credentials",
                    "invited_at",
                    "registered_at",
                )
            },
        ),
        ("Client Owned Object Pull", {"fields": ("pull_rule",)}),
        (
            "What differs from the text",
            {
                "fields": (
                    "is_strict",
                    "leaves_out_deviations",
                    "left_out_for_it",
                    "left_out_for_others",
                )
            },
        ),
        ("Objects of others", {"fields": ("is_aggregator",)}),
        ("Rates", {"fields": ("requests_per_second", "pushes_per_second")}),
    )
    readonly_fields = (
        "name",
        "status_",
        "last_heard",
        "checked",
        "problem_",
        "beyond",
        "remarks_",
        "checks_",
        "owed_",
        "usage_",
        "versions_url",
        "ocpi_version",
        "token_form_",
        "credentials",
        "invited_at",
        "registered_at",
        "left_out_for_it",
        "left_out_for_others",
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For the fields of the switches: the rest is read only."""
        return request.user.has_perm("hub.change_platform")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Platform]:
        """With what the list shows of others: three queries in all."""
        parties = Party.objects.order_by("country_code", "party_id", "role")
        return (
            scope.rows(request.user, Platform.objects.select_related("health"))
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

    @column("beyond its invitation")
    def beyond(self, platform: Platform) -> str | None:
        """Which parties the operator has not said a word about."""
        found = [p for p in platform.parties.all() if p.admission in BEYOND_INVITATION]
        words = {Admission.TAKEN: "was taken", Admission.CLAIMED: "waits for you"}
        return "; ".join(f"{p}: {words[Admission(p.admission)]}" for p in found) or None

    @column("odd in its last handshake")
    def remarks_(self, platform: Platform) -> SafeString | None:
        """What it was told in the answer."""
        lines = platform.remarks.splitlines()
        return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines)) or None

    @column("conformance")
    def checks_(self, platform: Platform) -> SafeString | None:
        """The last check of each of its parties."""
        parties = dict.fromkeys(party.identity for party in platform.parties.all())
        found = [(who, conformance.latest(who)) for who in parties]
        return format_html_join(mark_safe("<br>"), "{}: {}", (f for f in found if f[1])) or None

    @column("left out for it")
    def left_out_for_it(self, platform: Platform) -> SafeString | None:
        """What it does not see, of whom."""
        return deviations.left_out_for(platform)

    @column("left out for others")
    def left_out_for_others(self, platform: Platform) -> SafeString | None:
        """Who does not see what of it."""
        return deviations.left_out_of(platform)

    @column("owed to it")
    def owed_(self, platform: Platform) -> SafeString | None:
        """What waits for it or was refused, by module."""
        return owed.of_platform(platform)

    @column("quotas")
    def usage_(self, platform: Platform) -> SafeString | None:
        """What its parties have in the hub, of how much."""
        return quotas.of_platform(platform)

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

    @column("how the hub writes its token")
    def token_form_(self, platform: Platform) -> str:
        """Base64 or plain, and who says so."""
        form = platform.form_in_use.label
        if platform.fixed_token_form:
            return f"{form}; fixed by the operator"
        tried = platform.other_form_not_before
        if tried is None or tried <= timezone.now():
            return f"{form}; learned"
        return f"{form}; learned. The other form is not tried before {tried:%H:%M} UTC"

    def save_model(self, request: HttpRequest, obj: Platform, form: Any, change: Any) -> None:
        """What was changed and nothing else: a handshake may be writing the row as well."""
        names = [name for name in form.changed_data if name != deviations.SWITCH]
        if names:
            obj.save(update_fields=names)
        if deviations.SWITCH in form.changed_data:
            # After the commit: the web processes have to know of it before it is done.
            wanted = form.cleaned_data[deviations.SWITCH]
            transaction.on_commit(lambda: deviations.switch(request, obj.pk, on=wanted))

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

    @action("Joining", permissions=["joining"], icon="checklist")
    def joining(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Its way in, step by step, as it happens."""
        return HttpResponseRedirect(reverse("joining", args=[object_id]))

    def has_joining_permission(self, request: HttpRequest, object_id: str) -> bool:
        """Whoever sees the platform."""
        return request.user.has_perm("hub.view_platform")

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
        """Only for a platform that is here."""
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
        dialog=dialog(
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
        dialog=dialog(
            "End the registration?",
            "The hub DELETEs its credentials there. No message goes in either direction until "
            "there is a new registration; the other parties are told.",
            "End it",
        ),
    )
    def end(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """DELETE of the hub's credentials."""
        return self._act(request, object_id, registration.end)

    @action(
        "End here alone",
        permissions=["registered"],
        icon="key_off",
        url_path="end-here",
        dialog=dialog(
            "End the registration here alone?",
            "For a platform that has lost its token, or that cannot be called: its token is dead "
            "at once, and it is not told. It needs a new invitation then. The other parties are "
            "told that it has left.",
            "End it",
        ),
    )
    def end_here(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Without a call to the other side."""
        return self._act(request, object_id, registration.end_here)

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
        return back(request, reverse("admin:hub_platform_change", args=[platform.pk]))

    # --- Pulling --------------------------------------------------------------------------------

    def has_pull_now_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """Only for platforms with a list."""
        return request.user.has_perm("hub.change_platform") and (
            object_id is None or Pull.objects.filter(platform=int(object_id)).exists()
        )

    @action(
        "Pull now",
        permissions=["pull_now"],
        icon="download",
        url_path="pull-now",
        dialog=dialog(
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
        outbox.wake("pulls.take_turn", int(object_id))
        messages.success(request, "The hub reads its lists now.")
        return back(request, reverse("admin:hub_platform_change", args=[object_id]))
