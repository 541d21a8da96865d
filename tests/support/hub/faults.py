"""The request log and the ways in which a request can be made to fail, around the application proper."""

import asyncio
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PIECES = 16


@dataclass
class Call:
    """One request as it came in, and the status it got: None while it runs and when it was never answered."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    size: int = 0
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """What goes wrong, for which requests: those whose method is `method` and whose quoted path matches `path`.

    The first `skip` matching requests pass, the next `times` (None: all) are hit. Effects may be combined:

    status   answer with this status, and these `headers`, and do nothing
    delay    wait so many seconds first
    drop     close the connection without an answer, "before" or "after" the request has taken effect
    pace     spread the body over so many seconds
    cut      close the connection after so many body bytes
    short    send so many body bytes and call that complete
    flip     invert the byte at this offset of the body
    hook     call this function with the Call, in the server's thread (to kill a client, say): when the whole request is
             there and nothing has happened yet; with drop="after", when it has taken effect
    """

    path: str = ""
    method: str = ""
    skip: int = 0
    times: int | None = 1
    status: int | None = None
    drop: str | None = None
    delay: float = 0.0
    pace: float = 0.0
    cut: int | None = None
    short: int | None = None
    flip: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hook: Callable[[Call], None] | None = None
    seen: int = 0
    hits: int = 0

    def strikes(self, call: Call) -> bool:
        """Whether this request is hit; counts it."""
        if (self.method and self.method != call.method) or not re.search(self.path, call.path):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


@dataclass
class Answer:
    """A response held back until it is known in which form it leaves."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    async def collect(self, message: Message) -> None:
        """Stand in for `send` while the application runs."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")

    def resize(self) -> None:
        """Make Content-Length agree with the body."""
        self.headers = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        self.headers.append((b"content-length", str(len(self.body)).encode()))


class Frontier:
    """The outermost application: logs each request, lets it fail if a fault strikes, routes by the quoted path else.

    A request that the loopback Hub itself fails on gets a 500 and is kept in `crashes`: a bug here, not a client's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.crashes: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = _call(scope)
        self.calls.append(call)
        # Starlette would split "refs%2Fpr%2F1" at the slashes it stands for.
        scope["path"] = call.path
        fault = next((fault for fault in self.faults if fault.strikes(call)), Fault())
        await asyncio.sleep(fault.delay)
        body = await _read(receive)
        if body is None:
            return
        call.size = len(body)
        if fault.hook and fault.drop != "after":
            fault.hook(call)
        answer = Answer() if fault.drop == "before" else await self._answer(scope, body, fault)
        if fault.hook and fault.drop == "after":
            fault.hook(call)
        if fault.drop:
            await _hang_up(send)
        else:
            call.status = answer.status
            await _deliver(answer, fault, send, bodiless=call.method == "HEAD")

    async def _answer(self, scope: Scope, body: bytes, fault: Fault) -> Answer:
        answer = Answer(
            fault.status or 500, [(b"x-error-message", b"injected"), (b"content-type", b"application/json")]
        )
        answer.headers += [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
        if fault.status:
            answer.body = b'{"error": "injected"}'
            answer.resize()
            return answer
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        try:
            await self.app(scope, _replay(messages), answer.collect)
        except Exception:  # noqa: BLE001 - whatever it is, it is kept and told at the end
            self.crashes.append(traceback.format_exc())
            answer.body = b'{"error": "the loopback Hub failed"}'
            answer.resize()
        return answer


def _call(scope: Scope) -> Call:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Call(scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), headers)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None if the client went away in the middle of it: half a request must not take effect."""
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _replay(messages: list[Message]) -> Receive:
    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


async def _hang_up(send: Send) -> None:
    # ASGI has no word for closing a connection in the middle; `send` is a method of uvicorn's request cycle, which has.
    cycle: Any = getattr(send, "__self__", None)
    cycle.transport.close()
    while not cycle.disconnected:
        await asyncio.sleep(0)


def _spoil(answer: Answer, fault: Fault) -> None:
    if fault.flip is not None and fault.flip < len(answer.body):
        flipped = bytearray(answer.body)
        flipped[fault.flip] ^= 0xFF
        answer.body = bytes(flipped)
    if fault.short is not None:
        answer.body = answer.body[: fault.short]
        answer.resize()


async def _deliver(answer: Answer, fault: Fault, send: Send, bodiless: bool) -> None:
    if not bodiless and answer.status < 300:
        _spoil(answer, fault)
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    if fault.cut is not None and not bodiless and fault.cut < len(answer.body):
        await send({"type": "http.response.body", "body": answer.body[: fault.cut], "more_body": True})
        await _hang_up(send)
        return
    step = -(-len(answer.body) // _PIECES)
    while fault.pace and answer.body:
        await send({"type": "http.response.body", "body": answer.body[:step], "more_body": True})
        answer.body = answer.body[step:]
        await asyncio.sleep(fault.pace / _PIECES)
    await send({"type": "http.response.body", "body": answer.body})
