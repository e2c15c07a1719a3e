"""URLs of the Tokens module below a version; their shapes are checked by the gateway."""

from django.urls import re_path

from tokens.views import TokensReceiver, TokensSender

urlpatterns = [
    re_path(r"^sender/tokens/?$", TokensSender.as_view()),
    re_path(r"^receiver/tokens/[\s\S]+$", TokensReceiver.as_view()),
]
