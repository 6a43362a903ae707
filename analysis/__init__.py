"""Responses become findings: arrays in, arrays out."""

from analysis.accuracy import mean_correlation, pearson, pooled_slope, slope
from analysis.agreement import pairwise_agreement, sliding_agreement
from analysis.association import Association, circular_shift
from analysis.calibration import caption_for
from analysis.ceiling import known_ceiling, repeat_ceiling
from analysis.contrasts import Beyond, beyond, change, interval, spectra
from analysis.factorial import Effect, TwoByTwo, two_by_two
from analysis.intervals import block_bootstrap
from analysis.permutation import PermutationResult, label_permutation, sign_flip

__all__ = [
    "Association",
    "Beyond",
    "Effect",
    "PermutationResult",
    "TwoByTwo",
    "beyond",
    "block_bootstrap",
    "caption_for",
    "change",
    "circular_shift",
    "interval",
    "known_ceiling",
    "label_permutation",
    "mean_correlation",
    "pairwise_agreement",
    "pearson",
    "pooled_slope",
    "repeat_ceiling",
    "sign_flip",
    "sliding_agreement",
    "slope",
    "spectra",
    "two_by_two",
]
