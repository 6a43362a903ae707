"""Visitors who come back: to Gradio a reloaded page is a new visitor, yet its clips are still this person's, to run and to delete.

The browser tab keeps a secret (``sessionStorage``), never the address: a link can be passed on, the right to delete cannot.
"""

from __future__ import annotations

import secrets
from typing import Any

from ui.sessions import TOKEN, Visit

MOST_VISITS = 1000
"""Visits that are remembered; of older ones the clips go when their time is over."""


class Returning:
    """Visits that brought something here, by the secret of their tab."""

    def __init__(self):
        self._keys: dict[str, str] = {}
        self._visits: dict[str, Visit] = {}

    def open(self, session: str, said: Any) -> tuple[str, Visit | None]:
        """A page was opened.

        Parameters
        ----------
        session : str
            Gradio's name of the visitor.
        said : object
            What the browser says its tab's secret is.

        Returns
        -------
        key : str
            The tab's secret from now on.
        visit : Visit or None
            The visit as it was left; None for a tab that brought nothing here.
        """
        known = isinstance(said, str) and TOKEN.fullmatch(said) is not None and said in self._visits
        key = said if known else secrets.token_hex(16)
        _put(self._keys, session, key)
        return key, self._visits.get(key)

    def keep(self, session: str, visit: Visit) -> None:
        """Remember a visit as it now is."""
        key = self._keys.get(session)
        if key is None:
            return
        if visit.owns:
            _put(self._visits, key, visit)
        else:
            self._visits.pop(key, None)


def _put(table: dict[str, Any], name: str, value: Any) -> None:
    table.pop(name, None)
    table[name] = value
    for oldest in list(table)[:-MOST_VISITS]:
        del table[oldest]
