"""Responses become findings: arrays in, arrays out."""

from analysis.accuracy import mean_correlation, pearson, pooled_slope, slope
from analysis.agreement import pairwise_agreement, sliding_agreement
from analysis.ceiling import known_ceiling, repeat_ceiling
from analysis.contrasts import Beyond, beyond, change, interval, spectra
from analysis.intervals import block_bootstrap

__all__ = [
    "Beyond",
    "beyond",
    "block_bootstrap",
    "change",
    "interval",
    "known_ceiling",
    "mean_correlation",
    "pairwise_agreement",
    "pearson",
    "pooled_slope",
    "repeat_ceiling",
    "sliding_agreement",
    "slope",
    "spectra",
]
