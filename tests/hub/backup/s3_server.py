"""An S3-like store on loopback that checks each signature by its own reading of Signature V4."""

import hashlib
import hmac
import threading
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit

ACCESS, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-test-1"


class Store:
    """What the store holds, what it was asked, and how it is to fail."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.asked: list[str] = []
        self.fail_next: list[int] = []  # HTTP status of the next PUTs
        self.leads_to = ""  # of a redirect
        self.drops = False  # says that it has taken an object, and does not keep it
        self.page = 2  # objects of one page of a list
        self.endpoint = ""


def signature(method, target, headers, body_sha256):
    """The signature that these headers should have; docs: Signature Version 4 for S3."""
    scheme, _, rest = headers["Authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    access, date, region, service, end = fields["Credential"].split("/")
    assert (access, region, service, end) == (ACCESS, REGION, "s3", "aws4_request")
    signed = fields["SignedHeaders"].split(";")
    assert {"host", "x-amz-content-sha256", "x-amz-date"} <= set(signed)
    url = urlsplit(target)
    pairs = sorted(parse_qsl(url.query, keep_blank_values=True))
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs)
    told = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed)
    request = "\n".join([method, url.path, query, told, ";".join(signed), body_sha256])
    scope = f"{date}/{region}/{service}/{end}"
    asked = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join([scheme, headers["x-amz-date"], scope, asked])
    key = f"AWS4{SECRET}".encode()
    for part in (date, region, service, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex(), fields["Signature"]


class _Handler(BaseHTTPRequestHandler):
    # Each connection ends with its answer: none is left to wait for at the end.
    protocol_version = "HTTP/1.0"
    store: Store

    def log_message(self, *_):
        pass

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status, code):
        self._answer(status, f"<Error><Code>{code}</Code><Message>so</Message></Error>".encode())

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hashed = hashlib.sha256(body).hexdigest()
        url = urlsplit(self.path)
        asked = dict(parse_qsl(url.query, keep_blank_values=True))
        self.store.asked.append(f"{self.command} {url.path} {' '.join(sorted(asked))}".strip())
        expected, given = signature(self.command, self.path, self.headers, hashed)
        if expected != given or self.headers["x-amz-content-sha256"] != hashed:
            self._refuse(403, "SignatureDoesNotMatch")
            return
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket != "vault":
            self._refuse(404, "NoSuchBucket")
            return
        self._object(key, asked, body) if key else self._list(asked)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - names of http.server

    def _list(self, asked):
        keys = sorted(key for key in self.store.objects if key.startswith(asked["prefix"]))
        begun = int(asked.get("continuation-token", 0))
        page, end = keys[begun : begun + self.store.page], begun + self.store.page
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.store.objects[key])}</Size></Contents>"
            for key in page
        )
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < len(keys) else ""
        cut = "true" if more else "false"
        space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        told = f"<R {space}><IsTruncated>{cut}</IsTruncated>{rows}{more}</R>"
        self._answer(200, told.encode())

    def _fails(self):
        store = self.store
        if not store.fail_next or (status := store.fail_next.pop(0)) == 200:
            return False
        if store.leads_to:
            self._answer(status, Location=store.leads_to)
        else:
            self._refuse(status, "SlowDown" if status == 503 else "AccessDenied")
        return True

    def _object(self, key, asked, body):
        store, upload = self.store, asked.get("uploadId", "")
        match self.command:
            case "PUT" if upload:
                if self._fails():
                    return
                store.uploads[upload][int(asked["partNumber"])] = body
                self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')
            case "PUT":
                if self._fails():
                    return
                if not store.drops:
                    store.objects[key] = body
                self._answer(200, ETag='"x"')
            case "POST" if "uploads" in asked:
                store.uploads["up 1+/"] = {}
                self._answer(200, b"<R><UploadId>up 1+/</UploadId></R>")
            case "POST":
                parts = store.uploads.pop(upload)
                for number, part in parts.items():
                    tag = hashlib.md5(part).hexdigest()
                    assert f'<PartNumber>{number}</PartNumber><ETag>"{tag}"</ETag>'.encode() in body
                store.objects[key] = b"".join(parts[number] for number in sorted(parts))
                self._answer(200, b"<R/>")
            case "DELETE" if upload:
                del store.uploads[upload]
                self._answer(204)
            case "DELETE":
                store.objects.pop(key, None)
                self._answer(204)
            case _:
                self._answer(200, store.objects[key])


@contextmanager
def serving():
    """A store that has the bucket `vault`; its socket and threads end with the block."""
    store = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store}))
    server.daemon_threads = False
    store.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
