"""The same hop by nginx: one process, kept-alive connections on both sides, one log line each."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import MEASURED_CORE, Program, free_port

_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log; keepalive_requests 100000000; client_body_buffer_size 64k;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream receiver {{ server 127.0.0.1:{target}; keepalive 1024; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://receiver; proxy_http_version 1.1; proxy_set_header Connection "";
    }}
  }}
}}
"""


@contextmanager
def served(target: int, folder: Path) -> Iterator[tuple[Program, int] | None]:
    """The program and its port; None when nginx is not installed."""
    binary = shutil.which("nginx")
    if binary is None:
        yield None
        return
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, target=target, port=port))
    command = [binary, "-p", str(folder), "-c", str(configuration)]
    with Program("nginx", command, folder, core=MEASURED_CORE) as program:
        yield program, port
