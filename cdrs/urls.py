"""URLs of the CDRs module below a version that the hub answers itself."""

from django.urls import re_path

from cdrs.views import CdrsSender, KeptCdr
from hub.ocpi import own_paths

urlpatterns = [
    re_path(r"^sender/cdrs/?$", CdrsSender.as_view()),
    re_path(own_paths.CDR.pattern, KeptCdr.as_view()),
]
