"""The six calls of the S3 protocol that backups need: an object in parts, read, listed, removed.

Memory holds one part at a time. A part that fails is sent again; an upload that fails at last is
given up at the store, which would bill its parts without end. Addresses are path-style, which every
compatible store knows.
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests
from requests_aws4auth import AWS4Auth

from hub.backup.archive import BackupError

# Up to 10,000 of them make an object: enough for 160 GB, and larger files get larger parts.
PART: Final = 16 << 20  # bytes
_MOST_PARTS: Final = 10_000
_ATTEMPTS: Final = 3
_PAUSE: Final = 1.0  # seconds
_SECONDS: Final = (10, 120)  # to connect, and between two reads
_CHUNK: Final = 1 << 20  # bytes
# What may pass by itself: the store is busy, or an instance of it has just gone.
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str


class Bucket:
    """One bucket at one endpoint; every failure is a BackupError in words."""

    def __init__(
        self, endpoint: str, name: str, credentials: Credentials, *, part: int = PART
    ) -> None:
        if not (name and credentials.access_key and credentials.secret_key):
            raise BackupError(
                "A store needs s3://BUCKET in BACKUP_TO, BACKUP_S3_ACCESS_KEY and "
                "BACKUP_S3_SECRET_KEY."
            )
        self.name = name
        self._part = part
        self._url = f"{endpoint}/{name}"
        self._auth = AWS4Auth(
            credentials.access_key, credentials.secret_key, credentials.region, "s3"
        )

    def put(self, file: Path, key: str) -> None:
        """Upload a file: in one request, or in parts where it is larger than one."""
        size = file.stat().st_size
        part = max(self._part, -(-size // _MOST_PARTS))
        with self._session() as http, file.open("rb") as source:
            if size <= part:
                self._call(http, "PUT", key, data=source.read())
                self._check(key, size)
                return
            upload = self._begun(http, key)
            try:
                tags: list[str] = []
                while chunk := source.read(part):
                    given = {"partNumber": str(len(tags) + 1), "uploadId": upload}
                    tags.append(self._tag(self._call(http, "PUT", key, given, data=chunk)))
                self._completed(http, key, upload, tags)
            except BaseException:
                self._call(http, "DELETE", key, {"uploadId": upload})
                raise
        self._check(key, size)

    def _tag(self, answer: requests.Response) -> str:
        if not (tag := answer.headers.get("ETag", "")):
            raise BackupError(f"{self._url}: the store has answered a part without its ETag.")
        return tag

    def _check(self, key: str, size: int) -> None:
        """What was said to be taken is there: its only other copy is removed after this."""
        kept = dict(self.listed(key)).get(key)
        if kept != size:
            there = "is not there" if kept is None else f"has {kept:,} bytes"
            raise BackupError(
                f"{self._url}/{key}: the store has taken {size:,} bytes, and yet it {there}."
            )

    def _begun(self, http: requests.Session, key: str) -> str:
        answer = self._call(http, "POST", key, {"uploads": ""})
        return _text(_parsed(answer), "UploadId")

    def _completed(self, http: requests.Session, key: str, upload: str, tags: list[str]) -> None:
        asked = ET.Element("CompleteMultipartUpload")
        for number, tag in enumerate(tags, 1):
            part = ET.SubElement(asked, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = tag
        answer = self._call(http, "POST", key, {"uploadId": upload}, data=ET.tostring(asked))
        # The store may say 200 before it knows, and then tell an error in the body.
        if (root := _parsed(answer)).tag.endswith("Error"):
            raise BackupError(f"{self._url}: {_text(root, 'Code')}: {_text(root, 'Message')}")

    def get(self, key: str, file: Path) -> None:
        """Download into a new file, for its owner alone."""
        with self._session() as http:
            answer = self._call(http, "GET", key, stream=True)
            try:
                file.touch(mode=0o600, exist_ok=False)
                with file.open("wb") as out:
                    for chunk in answer.iter_content(_CHUNK):
                        out.write(chunk)
            except requests.RequestException as error:
                file.unlink(missing_ok=True)
                raise BackupError(f"{self._url}/{key}: {error}") from None
            except OSError as error:
                raise BackupError(f"{file}: {error.strerror or error}") from None

    def remove(self, key: str) -> None:
        """Delete an object; that it is not there is well."""
        with self._session() as http:
            self._call(http, "DELETE", key)

    def listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Keys and sizes in bytes of all objects whose key begins so, page by page."""
        asked = {"list-type": "2", "prefix": prefix}
        with self._session() as http:
            while True:
                root = _parsed(self._call(http, "GET", "", asked))
                for one in _children(root, "Contents"):
                    yield _text(one, "Key"), int(_text(one, "Size"))
                if _text(root, "IsTruncated") != "true":
                    return
                asked["continuation-token"] = _text(root, "NextContinuationToken")

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with requests.Session() as http:
            http.auth = self._auth
            yield http

    def _call(
        self,
        http: requests.Session,
        method: str,
        key: str,
        parameters: "dict[str, str] | None" = None,
        **more: Any,
    ) -> requests.Response:
        url = f"{self._url}/{quote(key, safe='/')}" if key else self._url
        # What is signed is each byte of the query: spaces as %20, and sorted.
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}"
            for name, value in sorted((parameters or {}).items())
        )
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = http.request(
                    method,
                    f"{url}?{query}" if query else url,
                    timeout=_SECONDS,
                    allow_redirects=False,
                    **more,
                )
            except requests.RequestException as error:
                problem = f"{url}: {error}"
            else:
                # Redirects are not followed: what is signed is signed for one host.
                if 200 <= answer.status_code < 300:
                    return answer
                problem = f"{url}: {_said(answer)}"
                if answer.status_code not in _AGAIN:
                    break
            if attempt < _ATTEMPTS:
                time.sleep(_PAUSE * attempt)  # nobody can tell us when the store is well again
        raise BackupError(problem)


def _said(answer: requests.Response) -> str:
    """HTTP 403 SignatureDoesNotMatch: the store's own words."""
    status = f"HTTP {answer.status_code} {answer.reason or ''}".rstrip()
    if where := answer.headers.get("Location"):
        status += f", it leads to {where}: is BACKUP_S3_ENDPOINT right?"
    try:
        root = ET.fromstring(answer.content)  # noqa: S314 - the operator's own store
    except ET.ParseError:
        return status
    return f"{status}: {_text(root, 'Code')}: {_text(root, 'Message')}"


def _parsed(answer: requests.Response) -> ET.Element:
    try:
        return ET.fromstring(answer.content)  # noqa: S314 - the operator's own store
    except ET.ParseError as error:
        raise BackupError(f"{answer.url}: its answer is not XML: {error}") from None


def _children(root: ET.Element, name: str) -> list[ET.Element]:
    """Those of this name, whatever namespace the store gives them."""
    return [one for one in root if one.tag.rpartition("}")[2] == name]


def _text(root: ET.Element, name: str) -> str:
    found = _children(root, name)
    return (found[0].text or "") if found else ""
