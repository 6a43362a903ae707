"""Responses become findings: arrays in, arrays out."""
