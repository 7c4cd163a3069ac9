"""Lets a request end in a question mark.

IPython reads a line that ends in a word and `?` as a call for help on that word, before any magic sees it: `%agent
which region grew fastest?` would show the help of `fastest`. A blank behind the question mark, which a request loses
again, keeps the line ours. `%agent?` still shows our help.
"""

from __future__ import annotations

import re
from typing import Any

_QUESTION = re.compile(r"(\s*(?:[^\n%=]*=\s*)?%agent\s+\S.*\?)(\s*)\Z")


def kept(cell: list[str]) -> list[str]:
    """The lines of a cell, with a blank behind the question mark of each of our requests."""
    if cell and cell[0].startswith("%%"):  # all that follows is text of its own
        return cell
    return [_QUESTION.sub(r"\1 \2", line) for line in cell]


def install(shell: Any) -> None:
    """Keep our questions from now on; a second time changes nothing."""
    uninstall(shell)
    shell.input_transformers_cleanup.append(kept)


def uninstall(shell: Any) -> None:
    """Leave them to IPython again."""
    shell.input_transformers_cleanup[:] = [one for one in shell.input_transformers_cleanup if one is not kept]
