"""Makes typed values: made-up names, dates, numbers, amounts, each written in every language in the same style.

``Maker.value(type, field)`` gives a Value. Names and open values are split by hash into training ones and held-out ones
(about 5 %); closed lists cannot be split.
"""

from __future__ import annotations

import datetime
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

from world import LANGS, World

Split = Literal["train", "held"]
Texts = Callable[[str], str]

_GROUP = {"en": ",", "fr": " ", "es": ".", "de": "."}
_POINT = {"en": ".", "fr": ",", "es": ",", "de": ","}
_WORDS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve".split(),
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze".split(),
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce".split(),
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split(),
}
_SHORT_MONTHS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(),
    "fr": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.".split(),
    "es": "ene feb mar abr may jun jul ago sep oct nov dic".split(),
    "de": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.".split(),
}
_FIRST = """Mira Jonas Élodie Tomás Anke Ravi Soledad Björn Camille Ingrid Mateo Aïcha Pavel Nora Luca Freya Youssef Heike Paula
Sven Zoé Álvaro Klara Émile Beatriz Dmitri Salma Otto Noémie Rafael Greta Hugo Inés Lars Amélie Diego Ute François Lucía Jürgen
Sara Karim Martina Olaf Hélène Gonzalo Petra Idris Carmen Moritz Chloé Andrés Liese Théo Pilar Kaspar Maëlle Nuria Emil Agathe
Ramón Silke Gaël Teresa Finn Océane Javier Antje Cédric Rocío Wim Adèle Sergio Birgit Yanis Marisol Arne Léa Ignacio Katrin Bilal
Joana Malik Ayumi Kenji Mei Tariq Leila Oluwaseun Amara Chidi Priya Arjun Ananya Viktor Oksana Magda Zbigniew Ilona András Eszter
Niamh Siobhán Owen Rhys Fiona Callum Isla Rory Grace Henry Alice Oliver Ruth Samuel Eleanor Walter Maude Victor Irene Edgar Adam
Julia Peter Anna Thomas Maria Daniel Laura David Emma Paul Elena Martin Sophie Simon Eva Max Lena Felix Marie Leo Nina""".split()
_LAST_A = """Hol Bren Tar Vel Mor Dorn Kel Sab Lin Fer Gal Ost Wil Ren Cas Mon Del Zan Pas Bel Cor Nor Har Ver Sil Ald Ern Mül Köh
Schä Grü Bou Des Mar Lam Cha Gau Gar Her Igl Ram Nav Ort Vill Est Sán Ibá Qui Sza Kov Nov Dra Pet Sto Lind And Eri Hal Nys Oka
Tana Naka Kuma Adé Oko Mba Kha Rah Sin Pat Mac Don Ken O'Br Fitz Black Whit Ash Thorn Wood Red Lang Klein Roth Wein Baum Fisch""".split()
_LAST_B = """ton berg stein mann feld hofer ner ler dek kin sen son ström lund quist ard eau ier oux elle ette ange ault ez ero ado
illo ina osa anda ares uela ski wicz ova enko ić ák escu oğlu ama moto saki wa di ni li ri ford ley worth well ham by wick er
macher meyer bach hardt wald brück el ik os as is us aro ento erra ival eño alde iga urri etxe ó ö""".split()
_STEMS_A = """Vel Nov Ar Tor Lum Ori Zen Kal Mer Sol Ter Vor Alt Bri Cer Dal Eck Fal Gly Hex Iri Jov Kry Lyr Myr Nex Ost Pyr Quan
Rhe Syl Tal Umb Ves Wex Xan Yel Zep Aqu Bor Cyp Dri Elv Fjo Gra Hal Ixo Jas Kes Lod Mav Nim Oph Pol Qui Rov Ska Tri Ult Var Wol
Cir Dov Esp Flo Gen Hy In Kor Lex Mon Nor Op Par Ral Sen Tex Un Vi Wan Zor Béa Cé Él Mú Öst Ül Ña""".split()
_STEMS_B = """mora tek vex lia ndis vo rion tis dra gen lux nova phor quis rex sia tron via wyn xis zar lo mi na pha ro sa ta vara
bel cor dan fen gar hal jin kor len mar nor pel rin sol tar ven win yon zen ion era ium ea ora ys ax ix on um us ance elle ique
aldo ente ista ura enza wald heim stein burg""".split()
_ORG_TAILS = """Systems Labs Group GmbH Industries Foundation SARL S.A. Ltd Inc. AG Research Media Partners Studio Works Technologies
Networks Energy Press Institute Software Robotics Logistics Verlag Éditions Ediciones Holding Ventures Analytics & Co Cooperative
Design Foods Health AI KG SAS S.L. Collective Motors Marine Optics""".split()
_ORG_HEADS = [
    "Institut",
    "University of",
    "Universidad de",
    "Universität",
    "Groupe",
    "Grupo",
    "Atelier",
    "Studio",
    "Maison",
    "Casa",
    "Club",
    "Laboratoire",
    "Centro",
    "Haus",
    "Fundación",
    "Stiftung",
    "Bank of",
    "Ateliers",
    "Compagnie",
    "Editorial",
]
_TOWN_A = """Tar Bel Mont Saint- Lang Ober Unter Villa Puerto New Kirk Brad Nor Sud Ost West Kal Rav Mar Pont Chât Roc Font Val Alt
Neu Hoch Gram Stor Lil Gran San Santa Dun Inver Ash Elm Oak Thorn Wal Hel Gön Vik Ros Ler Mir Cas Bri Car Dol Fal""".split()
_TOWN_B = """vik mont heim burg ville bourg stadt dorf hausen bridge ford ton mouth field court bell ac ieux ay igny ance ona era illo
edo ada ares ejo alba ova ino ava eck see tal furt haven gate ness wick by thorpe combe ley reux lieu oire ella anto""".split()
_ADJ = """Quiet Hidden Broken Golden Silent Last Lost Distant Bright Hollow Winter Paper Burning Secret Long Empty Wild Slow Deep Crooked
Frozen Gentle Second Northern Restless Copper Velvet Invisible Open Ancient""".split()
_NOUN = """Rivers Gardens Letters Houses Clocks Mountains Mirrors Birds Roads Stars Islands Windows Ships Songs Bridges Doors Shadows Maps
Forests Lanterns Orchards Towers Harbours Voices Trains Seeds Bells Stones Echoes Umbrellas""".split()
_OF = """Glass Salt Ash Snow Smoke Iron Silence Sand Amber Light Memory Rain Dust Paper Sleep Time Honey Water Tomorrow Bone""".split()
_FR = [
    "Les Jardins de sel",
    "La Maison des vents",
    "Le Dernier Train pour {t}",
    "L'Été à {t}",
    "Les Ombres de {t}",
    "Une saison à {t}",
    "Le Silence des pierres",
    "Le Secret de {p}",
    "Lettres de {t}",
    "La Nuit de {p}",
    "Les Enfants de {t}",
    "Le Pont de {t}",
    "La Valise de {p}",
    "Les Horloges de {t}",
    "Nous étions {p}",
    "Avant {t}",
    "Le Vent de {t}",
    "Le Jardin de {p}",
]
_ES = [
    "La casa de {t}",
    "El último verano en {t}",
    "Las sombras de {t}",
    "Cartas desde {t}",
    "El secreto de {p}",
    "La noche de {p}",
    "Ríos de ceniza y {n}",
    "El jardín de {p}",
    "Los relojes de {t}",
    "Camino a {t}",
    "La maleta de {p}",
    "Viento de {t}",
]
_DE = [
    "Das Haus in {t}",
    "Die Gärten von {t}",
    "Der letzte Zug nach {t}",
    "Briefe aus {t}",
    "Das Geheimnis von {p}",
    "Die Nacht über {t}",
    "Im Schatten von {t}",
    "Der Koffer von {p}",
    "Die Uhren von {t}",
    "Sommer in {t}",
    "Weg nach {t}",
    "Die Brücke von {t}",
]
_EN = [
    "The {a} {n}",
    "{a} {n} of {o}",
    "The {n} of {t}",
    "{n} and {o}",
    "A House in {t}",
    "The Secret of {p}",
    "{n} for {p}",
    "Leaving {t}",
    "The {a} {n} of {t}",
    "{n} of {o}",
    "{p} and the {n}",
    "Beyond {t}",
    "Waiting for {p}",
    "What the {n} Said",
    "Under the {n}",
    "{t}",
]
_PAPER_A = """Learning Measuring Predicting Modelling Sparse Robust Efficient Adaptive Scalable Probabilistic Deep Unsupervised Causal
Fast Hierarchical Low-Cost Rethinking Towards Detecting Understanding Mapping""".split()
_PAPER_B = [
    "Attention",
    "Soil Moisture",
    "Graph Search",
    "River Flow",
    "Bird Song",
    "Protein Folds",
    "Speech",
    "Traffic",
    "Glacier Melt",
    "Crop Yield",
    "Time Series",
    "Retrieval",
    "Sleep Patterns",
    "Wind Fields",
    "Memory",
    "Enzymes",
    "Price Signals",
    "Coral Growth",
    "Dialogue",
    "Vision",
]
_PAPER_C = [
    "with Small Data",
    "from Noisy Labels",
    "in Mountain Valleys",
    "for Edge Devices",
    "under Uncertainty",
    "at Scale",
    "for Everyone",
    "in Old Archives",
    "without Supervision",
    "on a Budget",
    "using {s} Networks",
    "with {s}",
    "by the {s} Method",
    "across Languages",
]
_STREETS = [
    "{n} Rue {w}",
    "{n}, rue {w}",
    "{n} rue des {w}s",
    "{w}straße {n}",
    "{w}weg {n}",
    "{w}gasse {n}",
    "Calle {w} {n}",
    "Calle {w}, {n}",
    "Avenida {w}, {n}",
    "{n} {w} Street",
    "{n} {w} Road",
    "{n} {w} Lane",
    "{n} Avenue {w}",
    "Plaza {w}, {n}",
    "{n} bis, rue {w}",
    "Am {w}platz {n}",
    "{n} Place {w}",
    "{n} {w} Avenue",
    "{n} Boulevard {w}",
    "Paseo de {w}, {n}",
]
_DOMAINS = "com org net eu fr de es io ai dev example co.uk info".split()
_MODELS = ["{s}", "{s} {d}", "{s}-{d}", "{s} {u}", "{s}LM", "{s}-Chat", "{s} {g}", "{s}{d}", "{s}-{g}", "{s} {d}.{e}"]
_SUITE = ["Mini", "Pro", "Max", "Base", "Instruct", "Lite", "Plus", "XL", "Nano", "Ultra", "Large", "Small"]
_PLACE_OF = {
    "home": [
        "FC {t}",
        "SV {t}",
        "{t} United",
        "Real {t}",
        "AS {t}",
        "{t} Rovers",
        "{t} Wolves",
        "CD {t}",
        "{s} {t}",
        "{t}",
        "Racing {t}",
        "TSV {t}",
    ],
    "journal": [
        "Journal of {b}",
        "Annals of {b}",
        "{s} Letters",
        "{s} Review",
        "Revista {s}",
        "Zeitschrift {s}",
        "{s} Proceedings",
        "Acta {s}",
        "{s}",
    ],
    "venue": [
        "Palais {s}",
        "{s} Hall",
        "{s}halle",
        "Teatro {s}",
        "Centre {s}",
        "{s} Arena",
        "Salle {s}",
        "Haus {s}",
        "{s} Park",
        "Espacio {s}",
        "{s}",
    ],
    "stadium": ["Stade {s}", "{s} Arena", "Estadio {s}", "{s}-Stadion", "{s} Park", "{s} Stadium", "Campo {s}", "{s} Ground"],
    "dataset": ["{s}Set", "{s}-{d}", "{s}Bench", "{s} Corpus", "Open{s}", "{s}DB", "{s}Net", "{s} {d}k"],
    "river": ["{s}", "{s}a", "{t}", "{s}bach", "{s}e"],
}
_PLACE_OF["away"] = _PLACE_OF["home"]
_NAMES = {
    "restaurant": [
        "Chez {f}",
        "Le {s}",
        "La {s}",
        "Casa {l}",
        "{l}",
        "{s}",
        "Gasthaus {l}",
        "{f}'s Kitchen",
        "Zum {s}",
        "The {a} {v}",
        "Taverna {s}",
        "Bistro {s}",
        "El {s}",
        "Café {s}",
    ],
    "event": [
        "{s} {y}",
        "{s} Conference",
        "{s} Days",
        "{t} Festival",
        "Festival {s}",
        "{s}Con",
        "{s} Summit {y}",
        "Feria {s}",
        "Salon {s}",
        "{s} Forum",
        "{s} Fair",
        "Nuit {s}",
        "{s}",
    ],
    "job": ["{c}", "Ref. {c}", "Offer {c}", "{s} {c}", "Post {c}", "Job {c}"],
    "order": ["{c}", "{c}", "#{i}", "No. {i}", "Order {i}", "INV-{i}", "{k}{i}", "{y}/{i}", "PO-{i}"],
    "journey": [
        "{s} Express",
        "{s} {i2}",
        "Inter{s}",
        "{s} Line",
        "{t} Express",
        "{k}{k} {i2}",
        "Nightjet {s}",
        "Tren {s}",
        "Ligne {s}",
        "Bus {i2}",
        "{s}bus",
        "{s} Rail",
    ],
    "match": [
        "{s} Cup",
        "Coupe {s}",
        "Copa {s}",
        "{s}-Pokal",
        "{s} League",
        "{t} Derby",
        "{s} Trophy",
        "{s} Cup {y}",
        "Trofeo {s}",
        "{s} Masters",
        "Tournoi {s}",
        "{s} Final",
    ],
    "flat": [
        "Résidence {s}",
        "{s} House",
        "Residencia {s}",
        "Haus {s}",
        "{s} Court",
        "Villa {s}",
        "{c}",
        "Ref. {c}",
        "Les {s}s",
        "Edificio {s}",
        "{s} Tower",
        "{s}hof",
        "Apartment {i2}",
    ],
    "place": [
        "{t}",
        "{t}",
        "{t}",
        "{t}",
        "Fort {s}",
        "{s} Park",
        "Museo {s}",
        "Musée {s}",
        "Schloss {s}",
        "Lac de {t}",
        "Mount {s}",
        "{s}",
    ],
    "product": ["{s}", "{s} {d}", "{s} {g}", "{s}-{d}", "{s} {k}{d}", "{s} {t2}", "{s}Go", "{s}Pad", "{s}Mini", "{k}{k}-{i2}", "{s}{d}"],
    "software": ["{s}", "{s}", "{s}DB", "{s}Office", "{s}.js", "lib{z}", "{s} Studio", "Py{s}", "{s}-cli", "{z}", "{s} {t2}", "{s}Sync"],
}
_INTS: dict[str, tuple[int, int]] = {
    "rooms": (2, 9), "floor": (2, 40), "seats": (12, 400), "pages": (12, 1400), "bugs": (2, 900), "employees": (3, 250_000),
    "attendees": (20, 60_000), "spectators": (100, 95_000), "visitors": (500, 9_000_000), "context": (1024, 2_000_000),
}  # fmt: skip
_MONEY: dict[str, tuple[float, float]] = {
    "product.price": (4, 2500), "order.amount": (15, 25_000), "restaurant.menu": (9, 160), "company.revenue": (120_000, 90_000_000_000),
    "job.salary": (14_000, 190_000), "event.price": (5, 900), "journey.price": (4, 290), "book.price": (4, 90),
    "film.budget": (90_000, 300_000_000), "flat.rent": (260, 6200), "flat.deposit": (300, 9000),
}  # fmt: skip
_COUNTS: dict[str, tuple[float, float]] = {"parameters": (2e6, 9.9e11), "trained_on": (2e9, 9.9e11), "population": (2e3, 3.9e7)}
_AREAS = {"flat.area": ("m²", 14, 310)}
_SIGNS = {"euro": ("€", "EUR"), "dollar": ("$", "USD"), "pound": ("£", "GBP"), "franc": ("CHF", "CHF"), "yen": ("¥", "JPY")}


class Value:
    """A value: its text in each language, and its typed form where it has one (int, float, ISO date, list of Values)."""

    __slots__ = ("type", "typed", "parts", "word", "_texts", "_write")

    def __init__(self, type: str, write: Texts | str, typed: Any = None, parts: Sequence[Value] = (), word: bool = False) -> None:
        self.type = type
        self.typed = typed
        self.parts = parts
        self.word = word  # a count in words ("70 billion"), which French and Spanish follow with "de"
        self._write = write
        self._texts: dict[str, str] = {}

    def text(self, lang: str) -> str:
        """The value as written in ``lang``."""
        write = self._write
        if isinstance(write, str):
            return write
        found = self._texts.get(lang)
        if found is None:
            found = self._texts[lang] = write(lang)
        return found

    def located(self, lang: str) -> str:
        """A country with its preposition; only values of type country have it."""
        return self.text("in " + lang)


def held_out(text: str) -> bool:
    """Whether a name or value is kept from training (about 5 %)."""
    return zlib.crc32(text.encode()) % 20 == 0


def number(value: float, lang: str, style: str, digits: int = 0) -> str:
    """``value`` with the language's separators. Styles: sep, plain, nbsp (French)."""
    text = f"{value:,.{digits}f}" if style != "plain" else f"{value:.{digits}f}"
    group = "\u202f" if style == "nbsp" and lang == "fr" else _GROUP[lang]
    if lang == "es" and value < 10_000:
        text = text.replace(",", "")
    return text.replace(",", "\x00").replace(".", _POINT[lang]).replace("\x00", group)


def tidy(value: float) -> int | float:
    """An int where the float is whole."""
    return int(value) if float(value).is_integer() else value


def shown_digits(value: float) -> int:
    """How many decimals a value rounded to two needs."""
    return 0 if float(value).is_integer() else 1 if round(value * 10, 6).is_integer() else 2


def join(items: Sequence[str], lang: str, style: str, conjunction: str) -> str:
    """A list in words (style ``and``), or with another separator."""
    if style != "and" or len(items) < 2:
        return (", " if style == "and" else style).join(items)
    if lang == "es" and items[-1].lower().startswith(("i", "hi", "í")) and not items[-1].lower().startswith("hie"):
        conjunction = "e"
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"


class Maker:
    """Makes values for one split from one random source."""

    def __init__(self, rng: random.Random, world: World, split: Split) -> None:
        self.rng = rng
        self.world = world
        self.held = split == "held"
        self._makers: dict[str, Callable[[str], Value]] = {
            "person": lambda f: Value("person", self.name(self._person)), "org": lambda f: Value("org", self.name(self._org)),
            "thing": self._thing, "city": lambda f: Value("city", self.city()), "country": self._country,
            "street": lambda f: Value("street", self.name(self._street)), "date": self._date, "month": self._month, "year": self._year,
            "time": self._time, "int": self._int, "float": self._float, "percent": self._percent, "money": self._money,
            "mass": self._mass, "length": self._length, "area": self._area, "data": self._data, "duration": self._duration,
            "count": self._count, "email": lambda f: Value("email", self.name(self._email)),
            "url": lambda f: Value("url", self.name(self._url)), "phone": lambda f: Value("phone", self.name(self._phone)),
            "code": self._code, "version": lambda f: Value("version", self.name(self._version)),
            "title": lambda f: Value("title", self.name(self._title)), "score": self._score,
        }  # fmt: skip

    def value(self, type: str, field: str = "") -> Value:
        """A value of a field's type; ``field`` is ``kind.field`` and narrows its range."""
        group, _, listed = type.partition(":")
        if group == "choice":
            return self._choice(listed)
        if group == "list":
            return self._list(listed)
        return self._makers[type](field)

    def subject(self, kind: str) -> Value:
        """The name of a thing of that kind."""
        if kind == "person":
            return Value("person", self.name(self._person))
        if kind == "company":
            return Value("org", self.name(self._org))
        if kind in ("book", "film"):
            return Value("title", self.name(self._title))
        if kind == "paper":
            return Value("title", self.name(self._paper))
        if kind == "model":
            return Value("thing", self.name(lambda: self._shaped(_MODELS)))
        shapes = _NAMES.get(kind, ["{s}", "{s} {d}"])
        return Value("thing", self.name(lambda: self._shaped(shapes)))

    def name(self, make: Callable[[], str]) -> str:
        """What ``make`` gives, from this split."""
        while True:
            text = make()
            if held_out(text) == self.held:
                return text

    def _open(self, draw: Callable[[], Any], count: int) -> Any:
        """A drawn value from this split, where the range is wide enough to be split."""
        if count < 150:
            return draw()
        while True:
            value = draw()
            if held_out(repr(value)) == self.held:
                return value

    # names

    def _stem(self) -> str:
        rng = self.rng
        text = rng.choice(_STEMS_A) + rng.choice(_STEMS_B)
        return text + rng.choice(_STEMS_B) if rng.random() < 0.15 else text

    def _last(self) -> str:
        rng = self.rng
        return rng.choice(_LAST_A) + rng.choice(_LAST_B)

    def _person(self) -> str:
        rng = self.rng
        roll = rng.random()
        first = rng.choice(_FIRST) if rng.random() < 0.7 else self._made_first()
        last = self._last()
        if roll < 0.72:
            return f"{first} {last}"
        if roll < 0.76:
            return f"{first} {rng.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
        if roll < 0.80:
            return f"{first} {last}-{self._last()}"
        if roll < 0.84:
            return f"{first}-{rng.choice(_FIRST)} {last}"
        if roll < 0.89:
            return f"{first} {rng.choice(['de', 'de la', 'van der', 'von', 'van', 'del', 'di', 'le', 'Ben', 'El', 'da', 'dos'])} {last}"
        if roll < 0.93:
            return f"{first} {last} {self._last()}"
        if roll < 0.96:
            return f"{rng.choice(['Dr.', 'Dr', 'Prof.'])} {first} {last}"
        if roll < 0.98:
            return f"{first} {last.upper()}"
        return f"{first[0]}. {last}"

    def person_part(self, part: str) -> str:
        """The ``first`` or the ``last`` name alone."""
        if part == "last":
            return self._last()
        return self.rng.choice(_FIRST) if self.rng.random() < 0.7 else self._made_first()

    def _made_first(self) -> str:
        return (
            (
                self.rng.choice(_LAST_A)
                + self.rng.choice(["a", "o", "in", "is", "el", "e", "ra", "ian", "ette", "io", "us", "ine", "an", "y"])
            )
            .replace("'", "")
            .capitalize()
        )

    def _org(self) -> str:
        rng = self.rng
        roll = rng.random()
        if roll < 0.45:
            return f"{self._stem()} {rng.choice(_ORG_TAILS)}"
        if roll < 0.62:
            return self._stem()
        if roll < 0.70:
            return f"{self._last()} & {self._last()}"
        if roll < 0.78:
            head = rng.choice(_ORG_HEADS)
            return f"{head} {self._town() if head.endswith((' of', ' de')) else self._stem()}"
        if roll < 0.84:
            return f"{self._last()} {rng.choice(_ORG_TAILS)}"
        if roll < 0.88:
            return "".join(rng.choice("ABCDEFGHIKLMNOPRSTVWX") for _ in range(rng.choice((3, 3, 4))))
        if roll < 0.94:
            return self._stem() + rng.choice(["Tech", "Soft", "Net", "Bank", "Lab", "Works", "Air", "Care"])
        return f"{self._stem()} {self._stem()}"

    def _town(self) -> str:
        rng = self.rng
        head, tail = rng.choice(_TOWN_A), rng.choice(_TOWN_B)
        if head in ("Puerto", "New", "San", "Santa", "Villa") and rng.random() < 0.7:
            return f"{head} {rng.choice(_TOWN_A).rstrip('-')}{tail}".replace("Saint", "Mal")
        if head == "Saint-":
            return head + (rng.choice(_STEMS_A) + tail)
        if rng.random() < 0.06:
            return f"{head}{tail}-{rng.choice(['sur-Mer', 'les-Bains', 'am See', 'on-Sea', 'le-Haut'])}"
        return head + tail

    def city(self) -> str:
        """A real city's name or a made-up one."""
        rng = self.rng
        if rng.random() < 0.3:
            return rng.choice(self.world.cities)
        return self.name(self._town)

    def _shaped(self, shapes: Sequence[str]) -> str:
        rng = self.rng
        shape = rng.choice(shapes)
        parts: dict[str, Any] = {}
        for slot in ("s", "t", "d", "e", "u", "g", "b", "f", "l", "a", "v", "y", "c", "i", "i2", "k", "z", "t2"):
            if "{" + slot + "}" in shape:
                parts[slot] = self._part(slot)
        if shape.count("{k}") > 1:
            shape = shape.replace("{k}{k}", rng.choice("ABCDEFGHKLMNPRSTVX") + rng.choice("ABCDEFGHKLMNPRSTVX"))
        return shape.format(**parts)

    def _part(self, slot: str) -> Any:
        rng = self.rng
        if slot == "s":
            return self._stem()
        if slot in ("t", "d", "e"):
            return self._town() if slot == "t" else rng.randint(2, 9)
        if slot in ("u", "g", "t2"):
            return rng.choice(_SUITE)
        if slot == "b":
            return rng.choice(["Applied ", "Modern ", "Rural ", "Digital ", ""]) + rng.choice(_PAPER_B)
        if slot in ("f", "l"):
            return rng.choice(_FIRST) if slot == "f" else self._last()
        if slot == "a":
            return rng.choice(_ADJ)
        if slot == "v":
            return rng.choice(["Fork", "Goose", "Kettle", "Table", "Lantern", "Oven", "Barrel", "Fig", "Anchor"])
        if slot == "y":
            return rng.randint(2018, 2031)
        if slot == "c":
            return self._code_text()
        if slot in ("i", "i2"):
            return rng.randint(1000, 99_999) if slot == "i" else rng.randint(20, 999)
        if slot == "z":
            return self._stem().lower()
        return rng.choice("ABCDEFGHKLMNPRSTVX")

    def _thing(self, field: str) -> Value:
        shapes = _PLACE_OF.get(field.partition(".")[2], ["{s}", "{s} {d}", "{s} {s}", "{s}{g}"])
        return Value("thing", self.name(lambda: self._shaped(shapes).replace("{s}", "")))

    def _title(self) -> str:
        rng = self.rng
        shape = rng.choice(_EN if rng.random() < 0.5 else rng.choice((_FR, _ES, _DE)))
        if "{" not in shape:
            shape += " de {t}" if shape[:2] in ("Le", "La") else ""
        town, person = self._town(), rng.choice(_FIRST) if rng.random() < 0.4 else f"{rng.choice(_FIRST)} {self._last()}"
        return shape.format(t=town, p=person, a=rng.choice(_ADJ), n=rng.choice(_NOUN), o=rng.choice(_OF))

    def _paper(self) -> str:
        rng = self.rng
        body = f"{rng.choice(_PAPER_A)} {rng.choice(_PAPER_B)} {rng.choice(_PAPER_C)}".format(s=self._stem())
        return f"{self._stem()}: {body}" if rng.random() < 0.35 else body

    def _street(self) -> str:
        rng = self.rng
        word = rng.choice(
            (
                self._last,
                self._stem,
                lambda: rng.choice("Linden Oak Rosen Haupt Molino Berg Mill Church Victor Garten Station Moulin Sol".split()),
            )
        )()
        return rng.choice(_STREETS).format(n=rng.randint(2, 180), w=word)

    def _host(self) -> str:
        rng = self.rng
        stem = _ascii(self._stem().lower())
        return f"{stem}{rng.choice(['', '', '', '-' + _ascii(self._stem().lower()), 'online', 'hq'])}.{rng.choice(_DOMAINS)}"

    def _email(self) -> str:
        rng = self.rng
        first, last = _ascii(rng.choice(_FIRST).lower()), _ascii(self._last().lower())
        box = rng.choice(
            [
                f"{first}.{last}",
                f"{first[0]}.{last}",
                last,
                f"{first}_{last}",
                f"{first}{rng.randint(2, 99)}",
                "contact",
                "jobs",
                "info",
                "hr",
                f"{last}.{first}",
            ]
        )
        return f"{box}@{self._host()}"

    def _url(self) -> str:
        rng = self.rng
        path = rng.choice(["", "", "", "/en", "/about", f"/{_ascii(self._stem().lower())}", "/download"])
        return rng.choice(["https://", "https://www.", "www.", "", "http://"]) + self._host() + path

    def _phone(self) -> str:
        rng = self.rng
        two = lambda: f"{rng.randint(0, 99):02d}"  # noqa: E731
        three = lambda: f"{rng.randint(0, 999):03d}"  # noqa: E731
        return rng.choice((
            lambda: f"+33 {rng.randint(1, 7)} {two()} {two()} {two()} {two()}", lambda: f"0{rng.randint(1, 7)} {two()} {two()} {two()} {two()}",
            lambda: f"+34 {rng.randint(600, 799)} {three()} {three()}", lambda: f"{rng.randint(600, 999)} {three()} {three()}",
            lambda: f"+49 {rng.randint(30, 89)} {three()}{two()}{two()}", lambda: f"0{rng.randint(150, 179)} {three()}{three()}{rng.randint(0, 9)}",
            lambda: f"({rng.randint(201, 989)}) {three()}-{two()}{two()}", lambda: f"+44 20 {two()}{two()} {two()}{two()}",
            lambda: f"0{rng.randint(1, 7)}.{two()}.{two()}.{two()}.{two()}", lambda: f"{three()}-{two()}{two()}",
        ))()  # fmt: skip

    def _code_text(self) -> str:
        rng = self.rng
        letters = lambda n: "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(n))  # noqa: E731
        return rng.choice((
            lambda: f"{letters(2)}-{rng.randint(100, 999)}", lambda: f"{letters(3)}-{rng.randint(10, 9999)}", lambda: f"{letters(1)}{rng.randint(100, 99999)}",
            lambda: f"{rng.randint(2019, 2029)}-{rng.randint(10, 9999):04d}", lambda: f"{letters(2)}{rng.randint(10, 99)}{letters(1)}",
            lambda: f"{letters(2)}/{rng.randint(10, 99)}/{rng.randint(100, 999)}", lambda: f"{rng.randint(10, 99)}-{letters(3)}-{rng.randint(2, 99)}",
        ))()  # fmt: skip

    def _code(self, field: str) -> Value:
        rng = self.rng
        name = field.partition(".")[2]
        if name == "platform":
            return Value(
                "code",
                rng.choice(
                    (
                        str(rng.randint(2, 24)),
                        f"{rng.randint(2, 24)}{rng.choice('ABCD')}",
                        f"{rng.choice('ABCDEF')}{rng.randint(2, 12)}",
                        rng.choice("ABCDEFG"),
                    )
                ),
            )
        if name == "isbn":
            make = lambda: (
                f"978-{rng.randint(0, 9)}-{rng.randint(10, 999)}-{rng.randint(10_000, 99_999)}-{rng.randint(0, 9)}"
                if rng.random() < 0.7
                else f"978{rng.randint(10**9, 10**10 - 1)}"
            )  # noqa: E731
        elif name == "doi":
            make = lambda: f"10.{rng.randint(1000, 9999)}/{rng.choice(['', _ascii(self._stem().lower()) + '.'])}{rng.randint(100, 999_999)}"  # noqa: E731
        elif name == "tracking":
            make = lambda: rng.choice(
                (
                    f"{rng.choice('ABCDEFGHLRZ')}{rng.choice('ABXYZ')}{rng.randint(10**6, 10**9)}{rng.choice(['FR', 'DE', 'ES', 'GB'])}",
                    str(rng.randint(10**9, 10**11)),
                    self._code_text(),
                )
            )  # noqa: E731
        else:
            make = self._code_text
        return Value("code", self.name(make))

    def _version(self) -> str:
        rng = self.rng
        base = f"{rng.randint(0, 24)}.{rng.randint(0, 30)}"
        return rng.choice(
            (
                base,
                f"{base}.{rng.randint(0, 20)}",
                f"{base}.{rng.randint(0, 20)}",
                f"v{base}",
                f"{base}-rc{rng.randint(2, 4)}",
                f"{rng.randint(2019, 2029)}.{rng.randint(2, 12)}",
                f"{base}.{rng.randint(0, 9)}-beta",
            )
        )

    # typed values

    def _country(self, field: str) -> Value:
        plain, located = self.rng.choice(self.world.countries)
        return Value("country", lambda lang: located[lang[3:]] if lang.startswith("in ") else plain[lang])

    def _choice(self, name: str) -> Value:
        row = self.rng.choice(self.world.choices[name])
        return Value(f"choice:{name}", lambda lang: row[lang].source)

    def _list(self, name: str) -> Value:
        rng = self.rng
        count = rng.choices((2, 3, 4, 5), (40, 35, 17, 8))[0]
        if name in ("person", "city"):
            parts = [self.value(name) for _ in range(count)]
        elif name == "country":
            parts = [
                Value("country", lambda lang, row=row: row[0][lang.removeprefix("in ")]) for row in rng.sample(self.world.countries, count)
            ]
        else:
            parts = [Value(f"choice:{name}", lambda lang, row=row: row[lang].source) for row in rng.sample(self.world.choices[name], count)]
        style = rng.choices(("and", ", ", " / ", "; "), (70, 20, 7, 3))[0]
        return Value(
            f"list:{name}", lambda lang: join([part.text(lang) for part in parts], lang, style, self.world.joins[lang]), parts=parts
        )

    def _day(self) -> datetime.date:
        rng = self.rng
        return self._open(
            lambda: datetime.date(
                rng.randint(1930, 2031) if rng.random() < 0.4 else rng.randint(2018, 2031), rng.randint(1, 12), rng.randint(1, 28)
            ),
            9999,
        )

    def _date(self, field: str) -> Value:
        rng, months = self.rng, self.world.months
        day = self._day()
        if field.endswith(".birth") and day.year > 2008:
            day = day.replace(year=day.year - 60)
        style = rng.choices(("long", "us", "ordinal", "iso", "slash", "dot", "short", "dash"), (40, 14, 5, 14, 10, 7, 7, 3))[0]

        def write(lang: str) -> str:
            d, m, y = day.day, day.month, day.year
            if style == "iso":
                return day.isoformat()
            if style in ("slash", "dot", "dash"):
                mark = "." if style == "dot" or (style == "slash" and lang == "de") else "/" if style == "slash" else "-"
                return f"{d:02d}{mark}{m:02d}{mark}{y}"
            if style == "short":
                month = _SHORT_MONTHS[lang][m - 1]
                return f"{d}. {month} {y}" if lang == "de" else f"{d} {month} {y}"
            month = months[m - 1][lang]
            if lang == "en":
                suffix = ("th" if 10 < d < 14 else {1: "st", 2: "nd", 3: "rd"}.get(d % 10, "th")) if style == "ordinal" else ""
                return f"{month} {d}, {y}" if style == "us" else f"{d}{suffix} {month} {y}"
            if lang == "fr":
                return f"{'1er' if d == 1 else d} {month} {y}"
            return f"{d} de {month} de {y}" if lang == "es" else f"{d}. {month} {y}"

        return Value("date", write, day.isoformat())

    def _month(self, field: str) -> Value:
        rng = self.rng
        year, month = rng.randint(2017, 2030), rng.randint(1, 12)
        name = self.world.months[month - 1]
        return Value("month", lambda lang: f"{name[lang]} de {year}" if lang == "es" else f"{name[lang]} {year}", f"{year}-{month:02d}")

    def _year(self, field: str) -> Value:
        rng = self.rng
        low = {"place.founded": 1010, "restaurant.opened": 1890, "company.founded": 1880, "film.year": 1935}.get(field, 1900)
        year = self._open(lambda: rng.randint(low, 2027) if rng.random() < 0.5 else rng.randint(1980, 2027), 150)
        return Value("year", str(year), year)

    def _time(self, field: str) -> Value:
        rng = self.rng
        hour, minute = rng.randint(2, 23), rng.choice((0, 0, 15, 30, 30, 45, 5, 10, 20, 25, 40, 50, rng.randint(0, 59)))
        style = rng.choices(("colon", "native", "padded"), (55, 30, 15))[0]

        def write(lang: str) -> str:
            if style == "native" and lang == "en":
                half = "am" if hour < 12 else "pm"
                clock = (hour - 1) % 12 + 1
                return f"{clock}:{minute:02d} {half}" if minute else f"{clock} {half}"
            if style == "native" and lang == "fr":
                return f"{hour} h {minute:02d}" if minute else f"{hour} h"
            if style == "native" and lang == "de":
                return f"{hour}.{minute:02d} Uhr" if minute else f"{hour} Uhr"
            return f"{hour:02d}:{minute:02d}" if style == "padded" else f"{hour}:{minute:02d}"

        return Value("time", write)

    def _int(self, field: str) -> Value:
        rng = self.rng
        low, high = _INTS.get(field.partition(".")[2], (2, 20_000))
        if field.endswith(".context") and rng.random() < 0.6:
            value = rng.choice((1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 128_000, 131_072, 200_000, 256_000, 262_144, 1_000_000))
        else:
            value = self._open(lambda: self._spread(low, high), high - low)
        roll = rng.random()
        style = "word" if value < 13 and roll < 0.2 else "sep" if roll < 0.6 else "nbsp" if roll < 0.66 else "plain"
        return Value("int", (lambda lang: _WORDS[lang][value]) if style == "word" else (lambda lang: number(value, lang, style)), value)

    def _spread(self, low: float, high: float) -> int:
        """An int between the two, even on the log scale, sometimes round."""
        value = int(low * (high / low) ** self.rng.random())
        if value > 200 and self.rng.random() < 0.4:
            unit = 10 ** (len(str(value)) - 2)
            value = max(int(low), value // unit * unit)
        return max(2, value)

    def _decimal(self, low: float, high: float, digits: int) -> float:
        rng = self.rng
        return self._open(lambda: round(rng.uniform(low, high), rng.randint(0, digits)), int((high - low) * 10**digits)) or low

    def _float(self, field: str) -> Value:
        value = round(self.rng.uniform(2.1, 9.9), 1)
        return Value("float", lambda lang: number(value, lang, "plain", 1), tidy(value))

    def _percent(self, field: str) -> Value:
        value = self._decimal(5, 99.9, 1)
        style = self.rng.choice((" %", "%", "word"))
        words = {"en": " percent", "fr": " pour cent", "es": " por ciento", "de": " Prozent"}

        def write(lang: str) -> str:
            return number(value, lang, "plain", shown_digits(value)) + (
                words[lang] if style == "word" else "%" if lang == "en" or style == "%" else " %"
            )

        return Value("percent", write, tidy(value))

    def _money(self, field: str) -> Value:
        rng, units = self.rng, self.world.units
        low, high = _MONEY.get(field, (5, 5000))
        currency = rng.choices(("euro", "dollar", "pound", "franc", "yen"), (58, 22, 10, 6, 4))[0]
        sign, code = _SIGNS[currency]
        value: float = self._open(lambda: self._spread(low, high), 9999)
        if value < 2000 and rng.random() < 0.35:
            value += rng.choice((0.99, 0.5, 0.95, 0.9, rng.randint(1, 99) / 100))
            value = round(value, 2)
        style = rng.choices(("sign", "word", "code"), (50, 40, 10))[0]
        grouping = rng.choices(("sep", "plain", "nbsp"), (70, 22, 8))[0]
        big = value >= 2_000_000 and rng.random() < 0.8
        if big:
            scale, unit = (1e9, "billion") if value >= 2e9 else (1e6, "million")
            small = max(2, round(value / scale, rng.choice((0, 1))))
            value = round(small * scale)

        def write(lang: str) -> str:
            if big:
                amount = f"{number(small, lang, 'plain', shown_digits(small))} {units[unit][lang]}"
                if style == "sign" and lang == "en" and len(sign) == 1:
                    return sign + amount
                if style == "code":
                    return f"{amount} {code}"
                of = " " if lang in ("en", "de") else " d'" if lang == "fr" and currency == "euro" else " de "
                return f"{amount}{of}{units[currency][lang]}"
            digits = 0 if float(value).is_integer() else 2
            amount = number(value, lang, grouping, digits)
            if style == "word":
                return f"{amount} {units[currency][lang]}"
            if style == "code":
                return f"{amount} {code}"
            return f"{sign}{amount}" if lang == "en" and len(sign) == 1 else f"{amount} {sign}"

        return Value("money", write, tidy(value))

    def _measure(self, type: str, value: float, units: dict[str, str] | str) -> Value:
        tight = self.rng.random() < 0.15 and value < 10_000

        def write(lang: str) -> str:
            unit = units if isinstance(units, str) else units[lang]
            return number(value, lang, "sep", shown_digits(value)) + ("" if tight else " ") + unit

        return Value(type, write, tidy(value))

    def _mass(self, field: str) -> Value:
        unit = self.rng.choice(("kg", "kg", "g"))
        return self._measure("mass", self._decimal(2, 90, 2) if unit == "kg" else self._open(lambda: self.rng.randint(20, 980), 900), unit)

    def _length(self, field: str) -> Value:
        if self.rng.random() < 0.75:
            return self._measure("length", self._open(lambda: self.rng.randint(3, 3900), 3900), "m")
        if self.rng.random() < 0.4:
            words = {"en": "metres", "fr": "mètres", "es": "metros", "de": "Meter"}
            return self._measure("length", self._open(lambda: self.rng.randint(3, 3900), 3900), words)
        return self._measure("length", self._decimal(2, 400, 1), "km")

    def _area(self, field: str) -> Value:
        rng = self.rng
        if field == "flat.area":
            return self._measure("area", self._decimal(14, 310, rng.choice((0, 0, 1))), rng.choice(("m²", "m²", "m2")))
        return self._measure(
            "area",
            self._decimal(2, 900, 1),
            rng.choice(("km²", "ha", "km²", {"en": "hectares", "fr": "hectares", "es": "hectáreas", "de": "Hektar"})),
        )

    def _data(self, field: str) -> Value:
        big = self.rng.choice("GGMMT")
        value = (
            self.rng.choice((2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 128, 256, 512)) if self.rng.random() < 0.5 else self._decimal(2, 900, 1)
        )
        return self._measure("data", value, {"en": big + "B", "fr": big + "o", "es": big + "B", "de": big + "B"})

    def _duration(self, field: str) -> Value:
        rng = self.rng
        unit, low, high = {
            "product.warranty": rng.choice((("month", 3, 72), ("year", 2, 12))), "product.battery": rng.choice((("hour", 3, 90), ("day", 2, 40))),
            "job.experience": rng.choice((("year", 2, 15), ("month", 3, 48))), "journey.delay": ("minute", 2, 190),
            "film.runtime": ("minute", 61, 240),
        }.get(field, ("hour", 2, 90))  # fmt: skip
        value = rng.randint(low, high)
        words = self.world.units[unit]
        short = {"minute": "min", "hour": "h"}.get(unit)
        if short and rng.random() < 0.25:
            return Value("duration", f"{value} {short}", value)
        spelled = value < 13 and rng.random() < 0.25
        return Value("duration", lambda lang: f"{_WORDS[lang][value] if spelled else value} {words[lang]}", value)

    def _count(self, field: str) -> Value:
        rng, units = self.rng, self.world.units
        low, high = _COUNTS.get(field.partition(".")[2], (2e3, 9e9))
        value = self._open(lambda: self._spread(low, high), 9999)
        style = rng.choices(("letter", "word", "digits"), (40, 40, 20) if "population" not in field else (4, 36, 60))[0]
        if value < 2_000_000 and style == "word":
            style = "digits"
        if style == "digits" and value >= 1e9:
            style = "word"
        if style == "digits":
            grouping = rng.choices(("sep", "plain", "nbsp"), (75, 20, 5))[0]
            return Value("count", lambda lang: number(value, lang, grouping), value)
        scale, unit, letter = (1e9, "billion", "B") if value >= 2e9 else (1e6, "million", "M") if value >= 2e6 else (1e3, "", "K")
        small = max(2, round(value / scale, rng.choice((0, 0, 1))))
        typed = round(small * scale)
        if style == "letter":
            gap, mark = rng.choice(("", "", "", " ")), letter if rng.random() < 0.85 else letter.lower()
            point = rng.random() < 0.5
            return Value(
                "count",
                lambda lang: (
                    (f"{small:.{shown_digits(small)}f}" if point else number(small, lang, "plain", shown_digits(small))) + gap + mark
                ),
                typed,
            )
        return Value("count", lambda lang: f"{number(small, lang, 'plain', shown_digits(small))} {units[unit][lang]}", typed, word=True)

    def _score(self, field: str) -> Value:
        rng = self.rng
        a, b = (rng.randint(0, 7), rng.randint(0, 7)) if rng.random() < 0.7 else (rng.randint(8, 120), rng.randint(8, 120))
        mark = rng.choice(("-", "-", "-", "–", ":", " - "))
        return Value("score", f"{a}{mark}{b}")


_ASCII = str.maketrans("áàâäãåéèêëíìîïóòôöõúùûüñçćğ", "aaaaaaeeeeiiiiooooouuuunccg")


def _ascii(text: str) -> str:
    return "".join(char for char in text.translate(_ASCII) if char.isascii() and (char.isalnum() or char in "-."))


__all__ = ["LANGS", "Maker", "Value", "held_out", "join", "number"]
