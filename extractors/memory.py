"""How much memory a device has, and how much of it is free. Only a CUDA or MPS device loads torch."""

from __future__ import annotations

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use (cgroup v2)."""


def free_bytes(device: str = "cpu", *, cgroup: Path = CGROUP) -> int:
    """Bytes that can be taken now on "cpu" (a container's limit counts), "cuda" or "mps"."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        import torch

        number = int(index or 0)
        unused = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)  # torch's own, still to be used
        return torch.cuda.mem_get_info(number)[0] + unused
    if kind == "mps":
        import torch

        # the GPU shares the host's memory; Metal recommends a part of it
        return max(0, min(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory(), free_bytes("cpu")))
    import psutil

    free = psutil.virtual_memory().available
    limit = _number(cgroup / "memory.max")
    if limit is not None:
        used = (_number(cgroup / "memory.current") or 0) - _reclaimable(cgroup)
        free = min(free, max(0, limit - used))
    return free


def total_bytes(device: str = "cpu", *, cgroup: Path = CGROUP) -> int:
    """All bytes of a device, or what a container may use of them."""
    kind, _, index = device.partition(":")
    if kind == "cuda":
        import torch

        return torch.cuda.mem_get_info(int(index or 0))[1]
    if kind == "mps":
        import torch

        return torch.mps.recommended_max_memory()
    import psutil

    total = psutil.virtual_memory().total
    limit = _number(cgroup / "memory.max")
    return total if limit is None else min(total, limit)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max": no limit


def _reclaimable(cgroup: Path) -> int:
    # pages of files count as used, yet Linux gives them up when somebody needs memory
    try:
        lines = (cgroup / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(value) for name, _, value in (line.partition(" ") for line in lines) if name in ("inactive_file", "active_file"))
