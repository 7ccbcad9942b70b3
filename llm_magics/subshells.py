"""Messages of a front end that must be heard while a cell runs."""

from __future__ import annotations

from typing import Any


def heard_at_once(comm: Any) -> None:
    """Leave it to the front end which shell of the kernel hears what it sends on ``comm``; to be called after each message to it.

    JupyterLab sends comm messages to a shell beside the one that runs cells. ipykernel 7.4 overrules that: it remembers which shell wrote
    to the comm last, and hands the answer to that one, where it waits for the end of the cell. Older ones remember nothing.
    """
    if comm is not None:
        vars(comm).pop("_reply_subshell_id", None)
