"""URLs of the CDRs module below a version that the hub answers itself."""

from django.urls import re_path

from cdrs.views import CdrsSender, KeptCdr

urlpatterns = [
    re_path(r"^sender/cdrs/?$", CdrsSender.as_view()),
    re_path(r"^cdr/(?P<owner>[^/]+)/(?P<cdr_id>[\s\S]+)$", KeptCdr.as_view()),
]
