"""The product's own functions as intents, and results of them with answers. Knows builtins.json and builtins.toml."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random

from recipe.bank import BANKS_FOLDER, Intent, read_slot
from recipe.phrases import DAYS, file_name
from recipe.values import Json, Value, sample

METADATA = Path(__file__).resolve().parents[3] / "fclocal" / "tools" / "builtins.json"
DEFAULT_SIX = ("calculator", "convert_units", "current_time", "weather", "search_arxiv", "search_web")
SKY = [
    "light rain",
    "clear sky",
    "overcast",
    "heavy snow",
    "scattered clouds",
    "fog",
    "sunny",
    "thunderstorm",
    "drizzle",
    "partly cloudy",
    "mist",
    "windy",
    "hail",
]


@lru_cache(maxsize=1)
def builtins() -> tuple[Intent, ...]:
    """The ten intents in the order of builtins.json."""
    wordings = {
        raw["id"]: raw for raw in tomllib.loads((BANKS_FOLDER / "builtins.toml").read_text(encoding="utf-8"))["intent"]
    }
    found: list[Intent] = []
    for function in json.loads(METADATA.read_text(encoding="utf-8")):
        raw = wordings[function["function"]]
        described = {argument["name"]: argument["description"] for argument in function["arguments"]}
        slots = tuple(
            replace(read_slot(slot, raw["id"]), descriptions=(described[slot["key"]],)) for slot in raw["slot"]
        )
        found.append(
            Intent(
                id=raw["id"],
                domain="builtins",
                names=(function["function"],),
                descriptions=(function["description"],),
                wordings=tuple(raw["wordings"]),
                held_wordings=tuple(raw["held_wordings"]),
                slots=slots,
                verbatim=True,
            )
        )
    return tuple(found)


def number_of(text: str) -> Json:
    """The value of a generated expression, or a stand-in where it has none."""
    try:
        names = {"__builtins__": {}, "sqrt": lambda x: x**0.5}
        value = eval(text.replace("^", "**"), names)  # only generated arithmetic
    except (ArithmeticError, SyntaxError, TypeError, ValueError):
        return 0
    if isinstance(value, complex) or abs(value) > 1e12:
        return 12
    return int(value) if value == int(value) else round(float(value), 4)


def result_of(rng: Random, name: str, arguments: dict[str, Json]) -> tuple[Json, str]:
    """A result of a built-in function and a sentence that answers with it."""
    match name:
        case "calculator":
            value = number_of(str(arguments["expression"]))
            return {"result": value}, f"{arguments['expression']} = {value}."
        case "convert_units":
            value = round(
                float(str(arguments["value"]))
                * rng.choice([0.6214, 1.6093, 2.2046, 0.4536, 3.7854, 0.3048, 1000, 0.001, 60]),
                4,
            )
            shown = int(value) if value == int(value) else value
            unit = arguments["to_unit"]
            said = f"{arguments['value']} {arguments['from_unit']} = {shown} {unit}."
            return {"value": shown, "unit": unit}, said
        case "current_time":
            zone = arguments.get("timezone") or rng.choice(["local", "Europe/Berlin", "UTC"])
            day_part = f"{rng.randint(2024, 2031)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
            clock = f"{day_part} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
            day = rng.choice(DAYS)
            place = "" if zone == "local" else f" in {zone}"
            return {"timezone": zone, "time": clock, "weekday": day}, f"It is {day}, {clock}{place}."
        case "weather":
            city, degrees, sky, wind = (
                arguments["city"],
                round(rng.uniform(-15, 40), 1),
                rng.choice(SKY),
                rng.randint(0, 80),
            )
            unit = "C" if rng.random() < 0.85 else "F"
            return {
                "city": city,
                "temperature": degrees,
                "unit": unit,
                "description": sky,
                "wind": wind,
            }, f"In {city} it is {degrees} {unit} with {sky}, wind {wind}."
        case "search_arxiv" | "search_web":
            hits = [
                {"title": sample(rng, "@title").said, "url": sample(rng, "@url").said}
                for _ in range(rng.choice([1, 2, 2, 3, 3, 4]))
            ]
            if rng.random() < 0.06:
                return {"results": []}, "I found nothing."
            return {"results": list(hits)}, "I found: " + "; ".join(hit["title"] for hit in hits) + "."
        case "list_files":
            names = [file_name(rng) for _ in range(rng.randint(0, 5))]
            return list(names), f"The files are: {', '.join(names)}." if names else "The folder is empty."
        case "read_file":
            text = sample(rng, "@text").said
            return text, f"The file says: {text}"
        case "save_chat":
            path = f"{sample(rng, '@folder').said}/{arguments['fileName']}.txt"
            return {"saved": path}, f"Saved to {path}."
        case "delete_file":
            gone = arguments["fileNames"]
            assert isinstance(gone, list)
            return {"deleted": gone}, f"Deleted: {', '.join(map(str, gone))}."
    raise KeyError(name)


def paired_units(rng: Random, values: dict[str, Value]) -> dict[str, Value]:
    """Two units of one kind most of the time, as people ask."""
    kinds = [
        [
            "km",
            "miles",
            "meters",
            "m",
            "feet",
            "ft",
            "inches",
            "cm",
            "mm",
            "yards",
            "kilometers",
            "centimeters",
            "nautical miles",
            "mi",
        ],
        ["kg", "pounds", "lbs", "grams", "g", "ounces", "oz", "stone", "tons", "kilograms", "lb", "kilos", "mg"],
        [
            "liters",
            "gallons",
            "ml",
            "cups",
            "pints",
            "l",
            "litres",
            "teaspoons",
            "tablespoons",
            "fluid ounces",
            "quarts",
        ],
        ["celsius", "fahrenheit", "kelvin", "C", "F", "degrees celsius", "degrees fahrenheit", "Celsius", "Fahrenheit"],
        ["hours", "minutes", "seconds", "days", "weeks", "h", "min", "years", "months", "ms"],
        ["km/h", "mph", "knots", "m/s"],
        ["MB", "GB", "bytes", "KB", "TB", "megabytes", "gigabytes", "MiB"],
        ["joules", "calories", "kWh", "kcal", "kJ"],
        ["acres", "hectares", "square meters", "square feet"],
        ["bar", "psi", "pascal", "atm"],
        ["watts", "horsepower", "kW"],
    ]
    if rng.random() < 0.08:
        return values
    weights = [8, 8, 5, 5, 4, 3, 3, 1, 1, 1, 1]
    first, second = rng.sample(rng.choices(kinds, weights)[0], 2)
    return {**values, "from_unit": Value(first, first), "to_unit": Value(second, second)}
