"""Responses become findings: arrays in, arrays out."""

from analysis.accuracy import mean_correlation, pearson, pooled_slope, slope
from analysis.ceiling import known_ceiling, repeat_ceiling
from analysis.intervals import block_bootstrap

__all__ = ["block_bootstrap", "known_ceiling", "mean_correlation", "pearson", "pooled_slope", "repeat_ceiling", "slope"]
