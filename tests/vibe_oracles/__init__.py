"""Slow, plain computations of each published stream, written from the reference alone: one window at a time, nothing shared."""
