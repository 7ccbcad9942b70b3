"""Composes parallel sentences in English, French, Spanish and German from the lexicon.

``Composer(random.Random(1), load_lexicon(folder)).quad()`` gives ``{"en": ..., "fr": ..., "es": ..., "de": ...}``. Slots such as
``{person}`` stand as they are in all four. Run as a script to read some: ``python grammar.py 100``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from frames_being import Being  # noqa: E402
from frames_clauses import Clauses  # noqa: E402
from frames_nouns import Nouns  # noqa: E402
from frames_statements import Statements  # noqa: E402
from lexicon import Lexicon, LexiconError, load_lexicon  # noqa: E402
from sentence_parts import Quad  # noqa: E402

__all__ = ["Composer", "Lexicon", "LexiconError", "load_lexicon"]

_WEIGHTS = {
    "statement": 14,
    "people": 10,
    "fronted": 6,
    "passive": 5,
    "passive_agent": 3,
    "modal": 6,
    "copula": 6,
    "heading": 4,
    "label": 4,
    "question": 4,
    "because": 3,
    "exists": 3,
}


class Composer(Statements, Being, Clauses, Nouns):
    """Draws sentences. Not safe for use by several threads at once."""

    def __init__(self, rng: random.Random, lexicon: Lexicon) -> None:
        super().__init__(rng, lexicon)
        self._frames: list[Callable[[], Quad]] = []
        for name in dir(self):
            if name.startswith("frame_"):
                self._frames += [getattr(self, name)] * _WEIGHTS.get(name[6:], 2)

    def quad(self) -> dict[str, str]:
        """One sentence in the four languages."""
        return self.rng.choice(self._frames)()


if __name__ == "__main__":
    composer = Composer(random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0), load_lexicon(HERE / "world"))
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 20):
        print("\n".join(f"{lang}: {text}" for lang, text in composer.quad().items()), end="\n\n")
