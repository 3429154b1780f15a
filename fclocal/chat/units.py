"""Units, currencies and languages under all their names, and amounts converted between units of one kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from fclocal.chat.numbers import Said

# Kind of quantity -> names of a unit -> how many base units it is.
_UNITS: dict[str, dict[str, float]] = {
    "length": {
        "mm,millimeter,millimetre": 0.001,
        "cm,centimeter,centimetre": 0.01,
        "m,meter,metre": 1.0,
        "km,kilometer,kilometre,kms,k": 1000.0,
        "in,inch,inche": 0.0254,
        "ft,foot,feet": 0.3048,
        "yd,yard": 0.9144,
        "mi,mile": 1609.344,
        "nmi,nautical mile": 1852.0,
    },
    "mass": {
        "mg,milligram": 1e-6,
        "g,gram,gramme": 0.001,
        "kg,kilogram,kilo,kilogramme": 1.0,
        "t,tonne,metric ton,ton": 1000.0,
        "oz,ounce": 0.028349523,
        "lb,pound,lbs": 0.45359237,
        "st,stone": 6.35029318,
    },
    "time": {
        "ms,millisecond": 0.001,
        "s,second,sec": 1.0,
        "min,minute,mins": 60.0,
        "h,hour,hr,hrs": 3600.0,
        "d,day,night": 86400.0,
        "wk,week": 604800.0,
        "fortnight": 1209600.0,
        "month": 2629800.0,
        "yr,year,annum": 31557600.0,
        "decade": 315576000.0,
    },
    "volume": {
        "ml,milliliter,millilitre": 0.001,
        "cl,centiliter,centilitre": 0.01,
        "dl,deciliter,decilitre": 0.1,
        "l,liter,litre": 1.0,
        "gal,gallon": 3.785411784,
        "pt,pint": 0.473176473,
        "qt,quart": 0.946352946,
        "cup": 0.2365882365,
        "fl oz,fluid ounce": 0.0295735296,
        "tbsp,tablespoon": 0.0147867648,
        "tsp,teaspoon": 0.00492892159,
        "m3,cubic meter,cubic metre": 1000.0,
    },
    "data": {
        "bit": 0.125,
        "b,byte": 1.0,
        "kb,kilobyte": 1e3,
        "mb,megabyte,meg": 1e6,
        "gb,gigabyte,gig": 1e9,
        "tb,terabyte": 1e12,
        "kib,kibibyte": 1024.0,
        "mib,mebibyte": 1024.0**2,
        "gib,gibibyte": 1024.0**3,
    },
    "speed": {
        "m/s,meter per second,metre per second,mps": 1.0,
        "km/h,kilometer per hour,kilometre per hour,kph,kmh,kmph": 1 / 3.6,
        "mph,mile per hour,miles per hour": 0.44704,
        "kn,knot,kt": 0.514444444,
    },
    "area": {
        "m2,square meter,square metre,sqm": 1.0,
        "ha,hectare": 1e4,
        "km2,square kilometer,square kilometre": 1e6,
        "acre": 4046.8564224,
        "sq ft,ft2,square foot,square feet,sqft": 0.09290304,
    },
    "power": {"w,watt": 1.0, "kw,kilowatt": 1e3, "mw,megawatt": 1e6, "hp,horsepower,ps": 745.699872},
    "energy": {"j,joule": 1.0, "kj,kilojoule": 1e3, "cal,calorie": 4.184, "kcal,kilocalorie": 4184.0, "wh": 3600.0}
    | {"kwh,kilowatt hour": 3.6e6},
    "pressure": {"pa,pascal": 1.0, "hpa,hectopascal": 100.0, "kpa": 1e3, "bar": 1e5, "psi": 6894.757, "atm": 101325.0},
    "money": {"cent,ct": 0.01, "dollar,buck,euro,pound": 1.0},
    "angle": {"deg,degree": 1.0, "rad,radian": 57.29577951},
}
_TEMPERATURES = ("c,celsius,centigrade,°c,degree celsius", "f,fahrenheit,°f,degree fahrenheit", "k,kelvin")
_CURRENCIES = (
    "usd,$,dollar,us dollar,american dollar,buck,us$",
    "eur,€,euro",
    "gbp,£,pound,british pound,pound sterling,quid,sterling",
    "jpy,¥,yen,japanese yen",
    "cny,yuan,renminbi,rmb,chinese yuan",
    "chf,franc,swiss franc,sfr",
    "cad,canadian dollar,c$",
    "aud,australian dollar,a$",
    "nzd,new zealand dollar",
    "inr,₹,rupee,indian rupee",
    "krw,₩,won,korean won",
    "sek,swedish krona,krona,kronor",
    "nok,norwegian krone,krone,kroner",
    "dkk,danish krone,krone,kroner",
    "pln,zloty,polish zloty",
    "czk,koruna,czech koruna,czech crown",
    "huf,forint",
    "rub,ruble,rouble,₽",
    "try,lira,turkish lira",
    "brl,real,reai,brazilian real",
    "mxn,mexican peso,peso",
    "zar,rand",
    "ils,shekel",
    "thb,baht",
    "sgd,singapore dollar",
    "hkd,hong kong dollar",
    "btc,bitcoin,₿",
    "eth,ether,ethereum",
)
_LANGUAGES = (
    "en,eng,english,englisch",
    "de,deu,ger,german,deutsch",
    "fr,fra,fre,french,francais",
    "es,spa,spanish,espanol",
    "it,ita,italian,italiano",
    "pt,por,portuguese",
    "nl,nld,dutch",
    "sv,swe,swedish",
    "no,nb,nor,norwegian",
    "da,dan,danish",
    "fi,fin,finnish",
    "is,isl,icelandic",
    "pl,pol,polish",
    "cs,cze,czech",
    "sk,slovak",
    "hu,hungarian",
    "ro,romanian",
    "bg,bulgarian",
    "hr,croatian",
    "sr,serbian",
    "sl,slovene,slovenian",
    "el,greek",
    "tr,turkish",
    "ru,russian",
    "uk,ukrainian",
    "ar,arabic",
    "he,hebrew",
    "fa,persian,farsi",
    "hi,hindi",
    "ur,urdu",
    "bn,bengali",
    "ta,tamil",
    "th,thai",
    "vi,vietnamese",
    "id,indonesian",
    "ms,malay",
    "zh,chinese,mandarin,中文,zh-cn",
    "ja,japanese,日本語",
    "ko,korean,한국어",
    "la,latin",
    "ga,irish",
    "cy,welsh",
    "sw,swahili",
)
_DAYS = (
    *("mon,monday", "tue,tues,tuesday", "wed,weds,wednesday", "thu,thur,thurs,thursday", "fri,friday"),
    *("sat,saturday", "sun,sunday", "jan,january", "feb,february", "mar,march", "apr,april", "jun,june", "jul,july"),
    *("aug,august", "sep,sept,september", "oct,october", "nov,november", "dec,december"),
)
# "1m75" and 5'11": metres with centimetres, feet with inches.
_SHORTHANDS = (
    (re.compile(r"(?<![\w.])([12])\s?m\s?(\d{2})(?!\w)"), 1.0, 0.01),
    (re.compile(r"(?<![\w.])([3-8])\s?(?:'|ft)\s?(\d{1,2})(?![\w.])"), 0.3048, 0.0254),
)
MAX_SHORTHAND = 20_000
_TOLERANCE = 0.006
_ARTICLE = re.compile(r"(?:\s|-)?(?:an?\s|of an?\s|of a\s)?")
_BETWEEN = re.compile(r"\s*(?:,|and)?\s*")
_AND_A_HALF = re.compile(r" and an? (half|quarter)\b")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount with its unit, in base units of its kind, and its place in the folded text."""

    kind: str
    amount: float
    start: int
    end: int


def _names(group: str) -> tuple[str, ...]:
    return tuple(group.split(","))


def _plurals(name: str) -> tuple[str, ...]:
    return (name, f"{name}s") if len(name) > 3 or name in ("day",) else (name,)


_FACTORS = {
    spelled: (kind, factor)
    for kind, units in _UNITS.items()
    for group, factor in units.items()
    for name in _names(group)
    for spelled in _plurals(name)
}
_GROUPS: tuple[tuple[str, ...], ...] = tuple(
    _names(group)
    for groups in (*(units.keys() for units in _UNITS.values()), _TEMPERATURES, _CURRENCIES, _LANGUAGES, _DAYS)
    for group in groups
    if group != "dollar,buck,euro,pound"
)
_ALIASES: dict[str, frozenset[str]] = {}
for _group in _GROUPS:
    for _name in _group:
        for _spelled in _plurals(_name):
            _ALIASES[_spelled] = _ALIASES.get(_spelled, frozenset()) | frozenset(
                plural for other in _group for plural in _plurals(other)
            )
_UNIT = re.compile("|".join(sorted(map(re.escape, _FACTORS), key=len, reverse=True)))
_ONE_UNIT = re.compile(r"\b(?:an?|one|per|every|each) (" + _UNIT.pattern + r")(?![^\W_])")


def aliases(name: str) -> frozenset[str]:
    """Every name of the unit, currency, language, weekday or month called `name` (folded); empty for anything else."""
    return _ALIASES.get(name) or _ALIASES.get(name.removesuffix("s"), frozenset())


def says_alias(folded: str, name: str) -> tuple[int, int] | None:
    """Where `folded` has another name of the unit `name`. Names of one or two letters count only after a number."""
    found = aliases(name)
    if not found:
        return None
    spelled = sorted(found, key=len, reverse=True)
    long = [re.escape(one) for one in spelled if len(one) > 2 or not one.isascii() or not one.isalnum()]
    short = [re.escape(one) for one in spelled if len(one) <= 2 and one.isascii() and one.isalnum()]
    parts = [rf"(?<![^\W\d_])(?:{'|'.join(long)})(?![^\W_])" if long else "", ""]
    if any(not one.isalnum() for one in found):
        parts[0] = rf"(?:{'|'.join(long)})"
    if short:
        parts[1] = rf"(?<=\d)\s?-?(?:{'|'.join(short)})(?![^\W_])|(?<=°)\s?(?:{'|'.join(short)})(?![^\W_])"
        parts.append(rf"(?<=\bto )(?:{'|'.join(short)})(?![^\W_])|(?<=\bin )(?:{'|'.join(short)})(?![^\W_])")
    match = re.search("|".join(filter(None, parts)), folded)
    return match.span() if match else None


def quantities(
    folded: str, numbers: Sequence[Said], within: Sequence[tuple[int, int]] | None = None
) -> Iterator[Quantity]:
    """Amounts with units in `folded`: "5 km", "half an hour", "a week", "1 h 20 min" (also as one sum).

    `within` are the stretches to look at beside the numbers; None is the whole text.
    """
    found: list[Quantity] = []
    for said in numbers:
        if not said.exact and not folded[said.start].isdigit():
            continue
        article = _ARTICLE.match(folded, said.end)
        unit = _UNIT.match(folded, article.end() if article else said.end)
        if unit and not folded[unit.end() : unit.end() + 1].isalnum():
            kind, factor = _FACTORS[unit.group()]
            found.append(Quantity(kind, said.value * factor, said.start, unit.end()))
    for pattern, large, small in _SHORTHANDS:
        for match in pattern.finditer(folded[:MAX_SHORTHAND]):
            amount = float(match[1]) * large + float(match[2]) * small
            found.append(Quantity("length", amount, match.start(), match.end()))
    counted = [(quantity.start, quantity.end) for quantity in found]
    stretches = within if within is not None else ((0, len(folded)),)
    for one in chain.from_iterable(_ONE_UNIT.finditer(folded, *stretch) for stretch in stretches):
        if any(start <= one.start() < end for start, end in counted):
            continue
        kind, factor = _FACTORS[one.group(1)]
        more = _AND_A_HALF.match(folded, one.end())
        part = {"half": 0.5, "quarter": 0.25}[more.group(1)] if more else 0
        found.append(Quantity(kind, factor * (1 + part), one.start(), more.end() if more else one.end()))
    yield from found
    yield from _sums(folded, found)


def converted(amount: float, kind: str) -> Iterable[float]:
    """`amount` base units of `kind` in each of its units."""
    return (amount / factor for factor in _UNITS[kind].values())


def close(value: float, other: float) -> bool:
    """Whether two numbers are the same up to the rounding of a conversion."""
    return abs(value - other) <= _TOLERANCE * max(abs(value), abs(other), 1e-12)


def kind_of(name: str) -> str | None:
    """What the unit called `name` measures, or None when it is no unit."""
    found = _FACTORS.get(name)
    return found[0] if found else None


def factors_of(kind: str) -> frozenset[int]:
    """Whole numbers that lead from one unit of `kind` to another, such as 60 and 24."""
    values = sorted(_UNITS[kind].values())
    ratios = (high / low for low in values for high in values if high > low)
    return frozenset(round(ratio) for ratio in ratios if close(ratio, round(ratio)) and ratio < 1e7)


def _sums(folded: str, found: Sequence[Quantity]) -> Iterator[Quantity]:
    """Neighbours of one kind, the larger unit first, as one amount."""
    ordered = sorted(found, key=lambda quantity: quantity.start)
    for first, second in pairwise(ordered):
        between = folded[first.end : second.start]
        if first.kind == second.kind and first.amount > second.amount and _BETWEEN.fullmatch(between):
            yield Quantity(first.kind, first.amount + second.amount, first.start, second.end)
