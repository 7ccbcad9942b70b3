"""The tasks, as data. A new task is a row here and a template a language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import unknown
from .records import Sampling

GREEDY = Sampling()


@dataclass(frozen=True)
class Task:
    """What is asked of a text.

    ``fields`` are the values its template takes beside ``text``; ``answer`` says how the reply is read; ``lead_in`` is
    true where ``<name>_start.j2`` holds a sentence that the reply is made to begin with.
    """

    name: str
    purpose: str
    fields: tuple[str, ...] = ()
    answer: Literal["text", "label", "json"] = "text"
    lead_in: bool = False
    sampling: Sampling = GREEDY


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("answer", "Answer a question or a request, over a text or over none."),
        Task("translate", "Translate a text.", fields=("to",), lead_in=True, sampling=Sampling(max_new_tokens=1024)),
        Task("reformulate", "Rewrite a text in better style and grammar.", sampling=Sampling(max_new_tokens=1024)),
        Task("summarize", "Summarize a text and keep what matters."),
        Task("describe", "Say in a sentence or two what a text is and what it is about."),
        Task("classify", "Choose the label that fits a text.", fields=("labels",), answer="label", sampling=Sampling(max_new_tokens=64)),
        Task(
            "extract", "Find values in a text, as typed data.", fields=("entities",), answer="json", sampling=Sampling(max_new_tokens=1024)
        ),
    )
}


def find(name: str) -> Task:
    """The task of that name; OptionError with the list and the nearest one otherwise."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]
