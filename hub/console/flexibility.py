"""The flexibility of a session on its page: who is FSP and why, setting it, the journal."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from flex.choice import FspKind, Speaker
from flex.facts import explain
from flex.set_fsp import CannotSet, set_fsp, take_back
from hub.console.agreements import parties_to_choose
from hub.console.dialogs import dialog
from sessions.models import Session

_TAKE_BACK = "TAKE_BACK"


def why(session: Session) -> SafeString:
    """Each word on who is FSP in the order of its weight, and why it was taken or passed over."""
    explanation = explain(session)
    return render_to_string("console/why_fsp.html", explanation._asdict())


class SetFspForm(BaseDialogForm):  # type: ignore[misc]  # unfold has no types
    """Who is to be FSP of the session."""

    who = forms.ChoiceField(label="FSP", widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [(kind.value, kind.label) for kind in FspKind if kind != FspKind.SCSP]
        self.fields["who"].choices = [
            *parties_to_choose("Select who acts"),
            *kinds,
            (_TAKE_BACK, "take the operator's word back"),
        ]


SET_FSP = dialog(
    "Set the flexibility provider?",
    "The operator's word on this session counts more than all others, except that whom its CPO "
    "excludes cannot act. The new FSP gets the Session and the driver's preferences; what the "
    "former one has not sent yet never leaves.",
    "Set",
) | {"form_class": SetFspForm}


def set_by_operator(request: HttpRequest, session: Session, who: str) -> bool:
    """Do it and say so; False where it cannot be done, which is said too."""
    try:
        if who == _TAKE_BACK:
            current = take_back(session, said_by=Speaker.OPERATOR)
        else:
            current = set_fsp(session, who, said_by=Speaker.OPERATOR)
    except CannotSet as error:
        messages.error(request, str(error))
        return False
    is_now = f"The FSP is {current.label} ({current.reason})." if current else "Nobody is FSP."
    messages.success(request, is_now)
    return True
