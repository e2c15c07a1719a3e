"""URLs of the ChargingProfiles module below a version; their shapes are checked by the gateway."""

from django.urls import re_path

from charging_profiles.receiver import ProfileCommands
from charging_profiles.results import ProfileResults
from hub.ocpi import own_paths

urlpatterns = [
    re_path(r"^receiver/chargingprofiles/[\s\S]+$", ProfileCommands.as_view()),
    re_path(own_paths.PROFILE_RESULT.pattern, ProfileResults.as_view()),
]
