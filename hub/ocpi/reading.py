"""Reading what platforms really send: the hub judges what it needs, and reports the rest."""

from hub.ocpi.comparison import deviations_of as deviations_of
