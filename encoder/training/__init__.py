"""Simulated subjects and the training of the embedded model."""
