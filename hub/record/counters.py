"""What is counted for /metrics beside messages, by whoever makes it happen, after its commit."""

from hub.record.recorder import recorder


def delivery_ended(platform_id: int, state: str, number: int = 1) -> None:
    """Pushes to one receiver were delivered, refused, given up or dropped."""
    _count("deliveries", str(platform_id), state, number=number)


def delivery_retried(platform_id: int, number: int = 1) -> None:
    """Pushes wait for another attempt."""
    _count("delivery_retries", str(platform_id), number=number)


def command_ended(method: str, state: str, number: int = 1) -> None:
    """Profile commands came to one of their ends."""
    _count("profile_commands", method, state, number=number)


def token_form_tried(platform_id: int, outcome: str) -> None:
    """A platform refused the hub's token, and was sent it in the other form."""
    _count("token_form_attempts", str(platform_id), outcome, number=1)


def _count(name: str, *labels: str, number: int) -> None:
    if number:
        recorder.count(name, *labels, number=number)
