"""Rooms become jobs: what the page, the command line and the API all call."""
