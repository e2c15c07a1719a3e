"""The driver's page of the simulated eMSP: one page, no asset from anywhere else."""

from typing import Final

PAGE: Final = "<!doctype html><title>Charging</title>"
