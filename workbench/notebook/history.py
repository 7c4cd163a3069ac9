"""What `%workbench` says of a run's past: why a result is what it is, and the run as a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.bridge import wait

if TYPE_CHECKING:
    from workbench.why import Account
    from workbench.workbench import Workbench


def why(workbench: Workbench, rest: str) -> Account:
    """From a result back to all that it is made of: `RUN.step`, or `RUN` for every result of the run."""
    return wait(workbench.record.why(rest))
