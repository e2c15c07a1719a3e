"""Switches that make a simulator behave as real counterparts wrongly do, set at run time."""

from typing import Any

import msgspec

from charging_profiles.objects import ChargingProfileResponseType, ChargingProfileResultType
from hub.ocpi.datatypes import decode


class Switches(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True
):
    """All off by default; seconds where a number stands."""

    slow: float = 0.0  # waits before it answers
    http_500: bool = False  # an HTML page with 500
    not_an_envelope: bool = False  # an error that is JSON, but not an OCPI envelope
    wrong_json: bool = False  # 200 and a body that is no JSON
    hang_up: bool = False  # closes the connection without an answer
    big_answer: int = 0  # so many bytes of status_message
    gone: bool | float = False  # stops listening, for good or for some seconds
    no_routing_headers: bool = False  # in answers, calls and callbacks
    no_message_ids: bool = False  # likewise X-Request-ID and X-Correlation-ID
    data_as_list: bool = False  # a single object comes as a list of one
    lowercase_ids: bool = False  # in headers and URLs
    redirect_missing_slash: bool = False  # 307 to the same path with a slash
    clientinfo_path: bool = False  # HubClientInfo is offered at /clientinfo/
    enum_repr_in_link: bool = False  # Link: <.../ModuleID.sessions?...>
    hard_coded_https: bool = False  # endpoint and Link URLs say https, though it is http
    plain_tokens_only: bool = False  # 401 for a token in Base64
    base64_tokens_only: bool = False  # 401 for a plain one
    http_403: bool = False  # in place of 401
    other_versions: bool = False  # offers 2.1.1 alone
    doubled_endpoints: bool = False  # each identifier and role twice
    no_credentials_endpoint: bool = False  # in the version details
    clientinfo_renamed: bool = False  # the version details call it clientinfo
    clientinfo_moved: bool = False  # served at /clientinfo/, but named /hubclientinfo
    any_token: bool = False  # answers whoever asks
    html_errors: bool = False  # every HTTP error is a framework's page
    nan_is_json: bool = False  # as Python's own parser has it
    http_422: bool = False  # for wrong parameters, in place of HTTP 200 and 2001
    foreign_objects: bool = False  # lists have objects of somebody else
    overflows: bool = False  # 500 for an offset that no database takes
    always_200: bool = False  # OCPI errors, but never an HTTP one
    unknown_is_empty: bool = False  # what is not there is null, with success
    odd_timestamp: bool = False  # +00:00
    no_ids_on_errors: bool = False  # X-Request-ID and X-Correlation-ID
    routing_not_swapped: bool = False  # FROM and TO as in the request
    case_sensitive_ids: bool = False  # of Locations
    wrong_objects: bool = False  # a country_code of three letters in lists
    no_paging_headers: bool = False
    relative_link: bool = False
    last_page_limit: bool = False  # X-Limit: how many objects are in the page
    ignores_limit: bool = False
    ignores_offset: bool = False
    ignores_dates: bool = False
    dates_off_by_one: bool = False  # date_from exclusive, date_to inclusive
    newest_first: bool = False
    overlapping_pages: bool = False  # a page begins with the last object of the page before
    total_of_page: bool = False  # X-Total-Count: how many objects are in the page
    total_ignores_dates: bool = False  # X-Total-Count: how many objects there are
    timeout: int = 0  # so many seconds in answers to commands and charging profiles
    no_timeout: bool = False  # in answers to commands and charging profiles
    accepts_unknown_sessions: bool = False
    no_link: bool = False  # a list's pages have no Link, X-Total-Count alone
    looping_link: bool = False  # a page's Link leads to the page itself
    bad_object: bool = False  # the first object of each page is not valid
    silent_after_accepted: bool = False  # never posts the result
    result_before_answer: bool = False
    duplicate_result: bool = False
    late_result: float = 0.0
    drop_callback_query: bool = False  # posts to the response_url without its query
    ignores_profiles: bool = False  # accepts those that come, and does nothing
    claims_profiles: bool = False  # the same, and tells them as active
    profile_response: ChargingProfileResponseType | None = None  # instead of ACCEPTED
    profile_result: ChargingProfileResultType | None = None  # instead of what the EVSE would say


class Faults:
    """The switches in force: for everything, and per module in place of those."""

    def __init__(self) -> None:
        self.general = Switches()
        self.by_module: dict[str, Switches] = {}

    def of(self, module: str) -> Switches:
        """What holds for a message of `module` (also "versions", "credentials")."""
        return self.by_module.get(module, self.general)

    def set(self, *, module: str | None = None, **switches: Any) -> Switches:
        """Change the named switches and keep the others; ValidationError for an unknown one."""
        before = self.general if module is None else self.of(module)
        after = msgspec.convert(msgspec.to_builtins(before) | switches, Switches)
        if module is None:
            self.general = after
        else:
            self.by_module[module] = after
        return after

    def clear(self) -> None:
        """Behave well again."""
        self.general = Switches()
        self.by_module = {}

    def set_from(self, body: bytes) -> None:
        """The body of POST /faults: switches, and optionally the one `module` they are for."""
        wanted = decode(body, dict[str, Any])
        module = wanted.pop("module", None)
        try:
            self.set(module=module, **wanted)
        except TypeError as error:
            raise msgspec.ValidationError(str(error)) from error

    def as_json(self) -> dict[str, Any]:
        """All that is switched on."""
        return {
            "all": msgspec.to_builtins(self.general),
            "modules": {name: msgspec.to_builtins(one) for name, one in self.by_module.items()},
        }
