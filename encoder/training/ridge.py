"""Delayed ridge regression, the baseline that every encoding model must beat (Huth et al. 2012; Dupré la Tour et al. 2022, himalaya)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DELAYS = range(9)
"""TRs; 0 to 12 s."""


def delayed(values: np.ndarray, delays: Sequence[int] = DELAYS) -> np.ndarray:
    """Copies of ``values`` [T, features] shifted later by each delay, side by side; rest (0) before the film: float32 [T, features * delays]."""
    steps, size = values.shape
    out = np.zeros((steps, len(delays), size), np.float32)
    for column, delay in enumerate(delays):
        if delay < steps:
            out[delay:, column] = values[: steps - delay]
    return out.reshape(steps, -1)


class DelayedRidge:
    """Linear map from delayed features to responses, its penalty chosen per target by cross-validation over folds of whole clips.

    With fewer rows than delayed features the same map is found from the rows' inner products, which is many times faster (Dupré la Tour et
    al. 2022).

    Parameters
    ----------
    alphas : sequence of float
        Penalties to choose from.
    folds : int
    """

    def __init__(self, *, alphas: Sequence[float] = tuple(np.logspace(3, 6.5, 8)), folds: int = 3):
        self.alphas, self.folds = tuple(alphas), folds

    def fit(self, inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], valid: Sequence[np.ndarray]) -> DelayedRidge:
        """Fit.

        Parameters
        ----------
        inputs : sequence of float32 [T, features]
            Standardised streams of each clip, not yet delayed.
        targets : sequence of float32 [T, targets]
        valid : sequence of bool [T]
        """
        from sklearn.model_selection import PredefinedSplit

        rows = np.concatenate([delayed(x)[v] for x, v in zip(inputs, valid, strict=True)])
        wanted = np.concatenate([y[v] for y, v in zip(targets, valid, strict=True)]).astype(np.float32)
        fold = np.concatenate([np.full(int(v.sum()), index % self.folds) for index, v in enumerate(valid)])
        self._mean_in, self._mean_out = rows.mean(0), wanted.mean(0)
        rows, wanted = rows - self._mean_in, wanted - self._mean_out
        how = {"alphas": self.alphas, "cv": PredefinedSplit(fold), "solver_params": {"n_targets_batch": 1000, "n_alphas_batch": 4}}
        if len(rows) < rows.shape[1]:
            from himalaya.kernel_ridge import KernelRidgeCV

            model = KernelRidgeCV(kernel="linear", **how).fit(rows, wanted)
            coef = rows.T @ model.dual_coef_
        else:
            from himalaya.ridge import RidgeCV

            model = RidgeCV(**how).fit(rows, wanted)
            coef = model.coef_
        self._coef = np.asarray(coef, np.float32)
        self.best_alphas = np.asarray(model.best_alphas_)
        return self

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Responses float32 [T, targets] to one clip's streams [T, features]."""
        return (delayed(values) - self._mean_in) @ self._coef + self._mean_out
