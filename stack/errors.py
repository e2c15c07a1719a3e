"""What a person has to mend before the hub can start."""


class SetupError(Exception):
    """Its text is the one line that the person sees."""
