"""Ctrl-C while worker processes start: it reaches every process of a terminal, and must not end half-started ones."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType


@contextmanager
def interrupts_delayed() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block; processes that start in the block never receive it.

    A process that is still importing would print a traceback. The parent ends its workers itself.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # now, because starting it unblocks the signal that is blocked below
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # The system may deliver the signal to another thread, and Python then calls the handler in this one all the same.
    handler = signal.getsignal(signal.SIGINT)
    replaced = callable(handler) and threading.current_thread() is threading.main_thread()
    received: list[tuple[int, FrameType | None]] = []
    try:
        if replaced:
            signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
        yield
    finally:
        if replaced:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if received and callable(handler):
        handler(*received[0])
