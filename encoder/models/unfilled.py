"""Building a module whose weights will come from a file: it gets shapes but neither memory nor first values."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Unfilled(TorchFunctionMode):
    """Inside this block ``torch.nn`` layers put their parameters on the meta device and draw no first values.

    ``with torch.device("meta")`` would do the same, but sends every other operation there too, and then torch loads its compiler, which takes
    longer than the embedded model.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)
