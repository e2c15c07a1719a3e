"""The response format around every answer (transport_and_format, Response format)."""

from typing import Any, TypeVar

import msgspec

from hub.ocpi.datatypes import check_json, ocpi_now
from hub.ocpi.errors import NotJson, OcpiError

SUCCESS = 1000
T = TypeVar("T")


class Answer(msgspec.Struct):
    """What the hub reads of another platform's answer.

    `status_code` is None when the answer is not an OCPI envelope. `data` stays raw, since its type
    depends on the request; an absent `data` and a null one mean the same (Response format, NOTE).
    """

    status_code: int | None = None
    status_message: str | None = None
    data: msgspec.Raw = msgspec.Raw()

    def __post_init__(self) -> None:
        """The message is kept as the reason of what failed, and no database takes NUL."""
        if self.status_message and "\0" in self.status_message:
            self.status_message = self.status_message.replace("\0", "")

    @property
    def is_success(self) -> bool:
        """1xxx: the receiver accepted what it was sent."""
        return self.status_code is not None and 1000 <= self.status_code <= 1999

    def data_as(self, expected: type[T]) -> T | None:
        """`data` read as this, also out of a list of one, as some send it; None for the rest."""
        for shape in (expected, list[expected]):  # type: ignore[valid-type]
            try:
                found: Any = msgspec.json.decode(self.data, type=shape)
            except msgspec.DecodeError:
                continue
            if not isinstance(found, list):
                return found  # type: ignore[no-any-return]
            if len(found) == 1:
                return found[0]  # type: ignore[no-any-return]
        return None


_decode_answer = msgspec.json.Decoder(Answer).decode


class _Odd(msgspec.Struct):
    """An envelope whose fields may be of any kind."""

    status_code: Any = None
    status_message: Any = None
    data: msgspec.Raw = msgspec.Raw()


_decode_odd = msgspec.json.Decoder(_Odd).decode


def read_answer(body: bytes) -> Answer:
    """Read another platform's answer; anything that is not an envelope gives an empty Answer.

    Real ones write the code as text, or a message that is not a text: `data` is as useful as ever.
    """
    try:
        return _decode_answer(body)
    except msgspec.ValidationError:
        return _read_odd(body)
    except (ValueError, RecursionError):
        return Answer()  # No JSON, or not even UTF-8.


def _read_odd(body: bytes) -> Answer:
    try:
        odd = _decode_odd(body)
    except (ValueError, RecursionError):
        return Answer()  # No JSON object, or broken further on.
    message = odd.status_message
    if message is not None and not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return Answer(_code(odd.status_code), message, odd.data)


def _code(value: Any) -> int | None:
    """A status code that was written as text or with a fraction of nothing: "1000", 1000.0."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return int(value)
    return value if type(value) is int else None


def read_own(body: bytes) -> Answer:
    """The same of an answer of the hub's own; a long one is a success, and is not read through."""
    if len(body) > _LONG and body.startswith(b'{"status_code":1000,'):
        return Answer(SUCCESS)
    return read_answer(body)


_LONG = 4096  # bytes
# Reading through 20 MB takes a tenth of a second, in which an event loop does nothing else.
LONG = 65_536  # bytes
_END = 2048  # bytes


def read_ends(body: bytes) -> Answer:
    """Code and message of a long answer, without `data`: they stand before or behind it."""
    before, _, _ = body[:_END].partition(b'"data"')
    _, found, behind = body[-_END:].rpartition(b'"status_code"')
    for end in (before.rstrip().removesuffix(b",") + b"}", b"{" + found + behind):
        answer = read_answer(end)
        if answer.status_code is not None:
            return answer
    return Answer()


def is_accepted(http_status: int, body: bytes) -> bool:
    """Whether a receiver has taken a message: 1xxx, or HTTP 2xx with nothing said at all."""
    if not 200 <= http_status < 300:
        return False
    return read_answer(body).is_success or not body.strip()


def is_object(body: bytes) -> bool:
    """Whether it is JSON that may be an envelope, if an odd one: others' errors pass unchanged."""
    if len(body) > LONG:
        return body[:_END].lstrip()[:1] == b"{" and body[-_END:].rstrip()[-1:] == b"}"
    try:
        check_json(body)
    except NotJson:
        return False
    return body.lstrip()[:1] == b"{"


def success(data: Any = msgspec.UNSET, message: str | None = None) -> bytes:
    """An envelope with 1000; without `data` the property is left out, as the text advises."""
    envelope: dict[str, Any] = {"status_code": SUCCESS, "timestamp": ocpi_now()}
    if data is not msgspec.UNSET:
        envelope["data"] = data
    if message:
        envelope["status_message"] = message
    return msgspec.json.encode(envelope)


def success_of_list(joined: bytes) -> bytes:
    """An envelope around stored documents, commas between them; their bytes stay as they are."""
    head = f'{{"status_code":{SUCCESS},"timestamp":"{ocpi_now()}","data":['
    return b"".join((head.encode(), joined, b"]}"))


def success_of_document(document: bytes, message: str | None = None) -> bytes:
    """An envelope around one stored JSON document."""
    head = success(message=message)[:-1]
    return b"".join((head, b',"data":', document, b"}"))


def failure(error: OcpiError) -> bytes:
    """An envelope with the error's code and what is told of it, and no data."""
    return msgspec.json.encode(
        {"status_code": error.code, "status_message": error.told, "timestamp": ocpi_now()}
    )
