"""Loaded backbones that stay in memory between runs, within a budget.

A module is lent to one user at a time. What was used longest ago goes first when another module needs the room; a module that is not to be kept
is freed as soon as nobody waits for it.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extractors.in_thread import Tell
from extractors.memory import free_bytes, total_bytes

if TYPE_CHECKING:
    from torch import nn

WAIT_S = 0.2
"""How often somebody who waits for a module asks whether to go on waiting."""

SHARE = {"cpu": 0.5, "cuda": 0.9, "mps": 0.6}
"""Share of a device's whole memory that warm modules may fill."""


@dataclass(eq=False)
class _Entry:
    key: Hashable
    device: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    module: nn.Module | None = None
    size: int = 0
    users: int = 0  # whoever holds or awaits it


class WarmPool:
    """Modules in memory, by key.

    Parameters
    ----------
    budgets : mapping of str to int, optional
        Bytes that idle modules may fill per kind of device ("cpu", "cuda", "mps"); by default a share of its whole memory.

    Attributes
    ----------
    loads : int
        Modules loaded so far.
    """

    def __init__(self, budgets: Mapping[str, int] | None = None):
        self._budgets = dict(budgets or {})
        self._entries: dict[Hashable, _Entry] = {}  # in order of use, the oldest first
        self._guard = threading.RLock()
        self._loading = threading.Lock()
        self.loads = 0

    @contextmanager
    def lease(self, key: Hashable, load: Callable[[], nn.Module], *, device: str, keep: bool, tell: Tell, size: int = 0) -> Iterator[nn.Module]:
        """The module of a key, for this user alone until the block ends.

        Parameters
        ----------
        key : hashable
            Everything that decides the module.
        load : callable
            Makes it when it is not here; two loads never overlap.
        device : str
            Where it lives.
        keep : bool
            Keep it warm afterwards. A module that is not kept also makes the idle ones on its device leave before it is loaded.
        tell : callable
            Called while waiting for another user; may raise.
        size : int
            Bytes it will need, as far as known.
        """
        with self._guard:
            entry = self._entries.setdefault(key, _Entry(key, device))
            entry.users += 1
        try:
            _acquire(entry.lock, tell, "Waiting until another run is done with this part of the model")
            try:
                if entry.module is None:
                    _acquire(self._loading, tell, "Waiting until another run has loaded its part of the model")
                    try:
                        self._make_room(device, size, everything=not keep)
                        entry.module = load()
                        entry.size = bytes_of(entry.module)
                        self.loads += 1
                    finally:
                        self._loading.release()
                yield entry.module
            finally:
                entry.lock.release()
        finally:
            with self._guard:
                entry.users -= 1
                self._entries[key] = self._entries.pop(key)  # used last
                if not entry.users and (not keep or entry.module is None or entry.size > self.budget(device)):
                    self._forget(entry)
            self._make_room(device, 0)

    def drop(self, key: Hashable) -> None:
        """Free a module at once, also while it is lent; the next user loads it again."""
        with self._guard:
            entry = self._entries.get(key)
            if entry is not None:
                self._empty(entry)
                if not entry.users:
                    del self._entries[key]

    def clear(self) -> None:
        """Free every module that nobody uses."""
        with self._guard:
            for entry in [entry for entry in self._entries.values() if not entry.users]:
                self._forget(entry)

    def held(self, device: str | None = None) -> int:
        """Bytes of the modules in memory, on one kind of device or on all."""
        with self._guard:
            return sum(entry.size for entry in self._entries.values() if device is None or _kind(entry.device) == _kind(device))

    def has(self, key: Hashable) -> bool:
        """Whether a module is in memory."""
        with self._guard:
            return key in self._entries and self._entries[key].module is not None

    def budget(self, device: str) -> int:
        """Bytes that warm modules may fill on a device."""
        kind = _kind(device)
        if kind not in self._budgets:
            self._budgets[kind] = int(SHARE.get(kind, 0.5) * total_bytes(device))
        return self._budgets[kind]

    def _make_room(self, device: str, size: int, *, everything: bool = False) -> None:
        with self._guard:
            for entry in [entry for entry in self._entries.values() if not entry.users and _kind(entry.device) == _kind(device)]:
                if everything or self.held(device) + size > self.budget(device) or free_bytes(device) < size:
                    self._forget(entry)

    def _forget(self, entry: _Entry) -> None:
        self._empty(entry)
        self._entries.pop(entry.key, None)

    def _empty(self, entry: _Entry) -> None:
        module, entry.module, entry.size = entry.module, None, 0
        if module is not None:
            free(module, entry.device)


def bytes_of(module: nn.Module) -> int:
    """Bytes of a module's parameters and buffers; shared ones count once."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def free(module: nn.Module, device: str) -> None:
    """Give a module's memory back, even if somebody (a traceback, for instance) still holds on to the module itself."""
    import torch

    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    empty_cache(device)


def empty_cache(device: str | None = None) -> None:
    """Give back what torch holds on a device, or on all, without using it."""
    import torch

    gc.collect()
    if (device is None or _kind(device) == "cuda") and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if (device is None or _kind(device) == "mps") and torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _acquire(lock: threading.Lock, tell: Tell, message: str) -> None:
    while not lock.acquire(timeout=WAIT_S):
        tell(None, message)
    try:
        tell()
    except BaseException:
        lock.release()
        raise


def _kind(device: str) -> str:
    return device.partition(":")[0]


POOL = WarmPool()
"""The pool of this process."""
