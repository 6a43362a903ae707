"""Findings become pictures and files. Draws and writes; computes no science."""
