"""The curves of a result: means over the parcels of networks, groups, and their halves. The player draws the same ones under the same ids."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from encoder.atlas import NETWORK_NAMES, load_atlas


@lru_cache(maxsize=1)
def curve_masks() -> dict[str, np.ndarray]:
    """Parcels of every curve, bool [1000] each: networks ("Vis"), groups ("Auditory"), and the sides that have parcels ("Vis-L", "Auditory-R")."""
    atlas = load_atlas()
    masks = {}
    for name in (*NETWORK_NAMES, *(group.id for group in atlas.groups)):
        masks[name] = atlas.mask(name)
        for side in "LR":
            half = masks[name] & (atlas.hemispheres == side)
            if half.any():
                masks[f"{name}-{side}"] = half
    return masks


def curve_ids() -> tuple[str, ...]:
    """Ids of all curves, in the order of :func:`curve_means`."""
    return tuple(curve_masks())


def curve_means(values: np.ndarray) -> np.ndarray:
    """Mean over the parcels of each curve: float [..., 1000] becomes float32 [..., curves]."""
    masks = np.stack(list(curve_masks().values())).astype(np.float32)
    return (values @ (masks / masks.sum(1, keepdims=True)).T).astype(np.float32)
