"""A search in the background: the page looks at it now and then, and may stop it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from drs.errors import DrsError
from drs.result import Result
from drs.stop import OnProgress, Progress, Stop

log = logging.getLogger(__name__)

Search = Callable[[Stop, OnProgress], Result]


class Job:
    """Runs a search in a thread of its own. It touches nothing of the page.

    Parameters
    ----------
    search : takes a stop and a progress callback, returns a result.
    time_s : the search's budget.
    """

    def __init__(self, search: Search, time_s: float) -> None:
        self.stop = Stop(time_s)
        self.progress: Progress | None = None
        self.result: Result | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(search,), name="drs-search", daemon=True)
        self._thread.start()

    def _run(self, search: Search) -> None:
        try:
            self.result = search(self.stop, self._note)
        except Exception as error:  # shown by the page, never a traceback
            if not isinstance(error, DrsError):
                log.error("the search failed", exc_info=True)
            self.error = error

    def _note(self, progress: Progress) -> None:
        self.progress = progress

    @property
    def done(self) -> bool:
        """Whether it has ended, with a result or an error."""
        return not self._thread.is_alive()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; returns `done`."""
        self._thread.join(timeout_s)
        return self.done


__all__ = ["Job"]
