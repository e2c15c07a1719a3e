"""`python -m bench.bare_list FD`: the least that a page costs: one query and one write to a socket.

Each request, whatever it says, is answered with the next hundred documents of the table.
"""

import os
import socket
import sys

import psycopg

PAGE = 100
_NEXT = "SELECT id, document FROM ocpi_locations_location WHERE id > %s ORDER BY id LIMIT %s"


def serve(listening: socket.socket, database: psycopg.Connection) -> None:
    """One connection after the other, until the process is ended."""
    while True:
        http, _ = listening.accept()
        row = 0
        with http, psycopg.Cursor(database) as cursor:
            while http.recv(65536):
                cursor.execute(_NEXT, [row, PAGE], prepare=True, binary=True)
                found = cursor.fetchall()
                row = found[-1][0] if len(found) == PAGE else 0
                body = b",".join(document for _, document in found)
                http.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                http.sendall(body)


if __name__ == "__main__":
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connected:
        serve(socket.socket(fileno=int(sys.argv[1])), connected)
