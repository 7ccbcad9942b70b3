"""How well set B can be translated at all, by chrF against its references: a large language model's blind translations, scored.

``ceiling.tsv`` holds 160 sentences of ``heldout/`` (direction, source) and what the model made of them without having seen the
references. A sentence has more than one good translation, so this is about what a good translator gets.
"""

from __future__ import annotations

import csv
from pathlib import Path

import sacrebleu

HERE = Path(__file__).resolve().parent


def references() -> dict[tuple[str, str, str], str]:
    """The references by language, target language and source sentence."""
    found: dict[tuple[str, str, str], str] = {}
    for path in sorted((HERE / "heldout").glob("*.toml")):
        quad: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            lang, colon, text = line.partition(": ")
            if lang in ("en", "fr", "es", "de") and colon:
                quad[lang] = text.strip()
            if len(quad) == 4:
                found |= {(one, other, quad[one]): quad[other] for one in quad for other in quad if one != other}
                quad = {}
    return found


def main() -> None:
    """Print the scores."""
    known = references()
    with (HERE / "ceiling.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for way in sorted({row["way"] for row in rows}) + ["all"]:
        some = [row for row in rows if way in (row["way"], "all")]
        wanted = [known[(*row["way"].split("-"), row["source"])] for row in some]
        score = sacrebleu.corpus_chrf([row["translation"] for row in some], [wanted]).score
        print(f"{way}: {len(some)} sentences, chrF {score:.1f}")


if __name__ == "__main__":
    main()
