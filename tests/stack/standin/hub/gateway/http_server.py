"""Stands in for hub/gateway/http_server.py: what the runner gives uvicorn by name."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Protocol(HttpToolsProtocol):
    """uvicorn's own."""
