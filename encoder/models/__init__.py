"""Encoding models, one file per architecture."""
