"""The last touch to a sentence: elision, contraction, capitals and marks."""

from __future__ import annotations

import re

from inflection import Irregular

_FR_ELIDED = re.compile(
    r"\b([Ll]e|[Ll]a|[Dd]e|[Qq]ue|[Nn]e|[Jj]e|[Ss]e|[Mm]e|[Ll]orsque|[Pp]uisque|jusque) (?=([aeiouâàéèêîïôœAEIOUÉÊÎ]|h)(\w*))"
)
_FR_JOINED = re.compile(r"\b([Dd]e|[Àà]) (le|les) (?=\S)")
_FR = {"de le": "du", "de les": "des", "à le": "au", "à les": "aux"}
_EN_A = re.compile(r"\b([Aa]) (?=(hour|honest|[aeiou])(\w*))")
_DE_JOINED = re.compile(r"(?<!,) \b(in dem|an dem|zu dem|bei dem|von dem|zu der|in das|an das) ")
_DE = {
    "in dem": "im",
    "an dem": "am",
    "zu dem": "zum",
    "bei dem": "beim",
    "von dem": "vom",
    "zu der": "zur",
    "in das": "ins",
    "an das": "ans",
}
_COMMA = re.compile(r",(?=[,.?!:])")


class Finish:
    """Elision, contraction, capitals and marks of a sentence."""

    def __init__(self, irregular: Irregular) -> None:
        self.aspirate = irregular.aspirate

    def _elide(self, match: re.Match[str]) -> str:
        if (match[2] == "h" and match[2] + match[3] in self.aspirate) or match[2] + match[3] == "onze":
            return match[0]
        return match[1][:-1] + "'"

    def fr(self, text: str) -> str:
        """French: l', d', qu', du, des, au, aux, s'il."""
        text = _FR_ELIDED.sub(self._elide, text)
        if " si il" in text:
            text = text.replace(" si il", " s'il")
        text = text.replace("de des ", "de ").replace("Si il", "S'il") if "de des " in text or "Si il" in text else text
        text = _FR_ELIDED.sub(self._elide, text) if " de " in text else text
        return _FR_JOINED.sub(lambda m: _cased(m[1], _FR[f"{m[1].lower()} {m[2]}"]) + " ", text)

    @staticmethod
    def en(text: str) -> str:
        """English: a, an."""
        return _EN_A.sub(lambda m: m[0] if re.match(r"(uni|use|eu|one)", m[2] + m[3]) and not m[3].startswith("nin") else m[1] + "n ", text)

    @staticmethod
    def es(text: str) -> str:
        """Spanish: al, del, e, u."""
        text = text.replace(" a el ", " al ").replace(" de el ", " del ")
        if text.startswith("A el "):
            text = "Al" + text[4:]
        text = re.sub(r" y (?=(i|hi(?!e))\w)", " e ", text) if " y i" in text or " y hi" in text else text
        return re.sub(r" o (?=(o|ho)\w)", " u ", text) if " o o" in text or " o ho" in text else text

    @staticmethod
    def de(text: str) -> str:
        """German: im, am, zum, zur, beim, vom, ins, ans; no doubled commas."""
        text = _DE_JOINED.sub(lambda m: f" {_DE[m[1]]} ", " " + text)[1:]
        return _COMMA.sub("", text) if "," in text else text

    def __call__(self, en: str, fr: str, es: str, de: str, mark: str = ".") -> dict[str, str]:
        """The four sentences."""
        if mark == "?":
            es, fr_mark = "¿" + es, " ?"
        else:
            fr_mark = mark if mark not in ("!", ":") else " " + mark
            es = "¡" + es if mark == "!" else es
        return {
            "en": _capital(self.en(en)) + mark,
            "fr": _capital(self.fr(fr)) + fr_mark,
            "es": _capital(self.es(es)) + mark,
            "de": _capital(self.de(de + mark)),
        }


def _cased(old: str, new: str) -> str:
    return new.capitalize() if old[0].isupper() else new


def _capital(text: str) -> str:
    at = 1 if text[:1] in "¿¡" else 0
    return text[:at] + text[at : at + 1].upper() + text[at + 1 :]
