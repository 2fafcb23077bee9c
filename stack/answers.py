"""Does a server really answer? One question to each kind, in its own protocol, with a short patience."""

import http.client
import socket
from urllib.parse import urlsplit

import pymongo
from pymongo.errors import PyMongoError

PATIENCE_S = 1.0

AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
# A method frame on channel 0 (type, channel, then four bytes of size) carrying connection.start (10, 10).
AMQP_START = (b"\x01\x00\x00", b"\x00\x0a\x00\x0a")


def amqp(port: int) -> bool:
    reply = _ask(port, AMQP_HEADER, 11)
    return reply[:3] == AMQP_START[0] and reply[7:11] == AMQP_START[1]


def redis(port: int) -> bool:
    """False also while Redis still loads its data, when it answers "-LOADING"."""
    return _ask(port, b"PING\r\n", 5) == b"+PONG"


def epmd(port: int) -> bool:
    """Epmd answers NAMES_REQ ("n") with its own port number in four bytes."""
    return _ask(port, b"\x00\x01n", 4) == port.to_bytes(4, "big")


def mongodb(port: int) -> bool:
    if not _listens(port):  # pymongo would spend its whole patience on asking again
        return False
    patience_ms = int(PATIENCE_S * 1000)
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=patience_ms, timeoutMS=patience_ms
    )
    with client:
        try:
            return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False


def http_ok(url: str) -> bool:
    """True for status 200. Never through a proxy: it is our own machine that is asked."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", where.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True


def _ask(port: int, question: bytes, length: int) -> bytes:
    """The first `length` bytes of the reply; fewer when the server is not there or hangs up."""
    reply = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            connection.settimeout(PATIENCE_S)
            connection.sendall(question)
            while len(reply) < length and (more := connection.recv(length - len(reply))):
                reply += more
    except OSError:
        pass
    return reply
