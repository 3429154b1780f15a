"""Intents and slots, and the reader of banks/*.toml. Knows the file format, not what is said with it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from recipe.values import Json, Value, known, sample

BANKS_FOLDER = Path(__file__).resolve().parent.parent / "banks"
TYPES = {"string", "integer", "number", "boolean", "array", "enum"}


class BankError(ValueError):
    """A bank that does not follow the format; says file, intent and slot."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One argument of an intent. `values` is a kind (`@city`) or a tuple of literal values; `ask` is the
    question of a function of the product's own."""

    key: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    type: str
    values: str | tuple[Json, ...] = ()
    choices: tuple[str, ...] = ()
    say: dict[str, tuple[str, ...]] = field(default_factory=dict)
    required: bool = True
    default: Json = None
    ask: str = ""

    def sample(self, rng: Random) -> Value:
        """A value of this slot; arrays say one to four items."""
        if self.type == "boolean":
            truth = rng.random() < 0.5
            return Value("true" if truth else "false", truth)
        if self.type == "enum":
            choice = rng.choice(self.choices)
            return Value(rng.choice(self.say.get(choice, (choice,))), choice)
        if self.type == "array":
            items: list[Value] = []
            for _ in range(rng.choice([1, 2, 2, 3, 3, 4])):
                item = self.one(rng)
                if all(item.json != other.json for other in items):
                    items.append(item)
            words = [item.said for item in items]
            said = (
                words[0]
                if len(words) == 1
                else ", ".join(words[:-1]) + rng.choice([" and ", " and ", ", and ", ", "]) + words[-1]
            )
            return Value(said, [item.json for item in items])
        return self.one(rng)

    def one(self, rng: Random) -> Value:
        drawn = (
            sample(rng, self.values)
            if isinstance(self.values, str)
            else Value(str(literal := rng.choice(self.values)), literal)
        )
        if self.type in {"integer", "number"}:
            return as_number(drawn, integer=self.type == "integer")
        if self.type == "array" and not isinstance(drawn.json, str) and isinstance(self.values, str):
            return Value(str(drawn.json), drawn.json)
        return (
            drawn
            if isinstance(drawn.json, str)
            else Value(drawn.said, drawn.said if self.type == "string" else drawn.json)
        )


def as_number(drawn: Value, *, integer: bool) -> Value:
    if isinstance(drawn.json, str):
        plain = "".join(char for char in drawn.json if char.isdigit() or char == ".")
        drawn = Value(drawn.said, float(plain) if "." in plain else int(plain or 0))
    if integer and isinstance(drawn.json, float):
        return Value(str(int(drawn.json)), int(drawn.json))
    return drawn


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing a user can want: names and descriptions of its function, wordings, slots and what it returns."""

    id: str
    domain: str
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    wordings: tuple[str, ...]
    slots: tuple[Slot, ...] = ()
    result: dict[str, Json] = field(default_factory=dict)
    held_names: tuple[str, ...] = ()
    held_wordings: tuple[str, ...] = ()
    verbatim: bool = False
    fixed: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class Bank:
    """All intents of one domain; a held-out domain is for evaluation only."""

    domain: str
    held_out: bool
    intents: tuple[Intent, ...]


def read_slot(data: dict[str, object], where: str) -> Slot:
    kind = str(data.get("type"))
    if kind not in TYPES:
        raise BankError(f"{where}: type {kind!r}")
    values = data.get("values", ())
    items = data.get("items")
    if kind == "array" and not values and isinstance(items, str):
        values = items
    if isinstance(values, str) and values and not known(values):
        raise BankError(f"{where}: unknown value kind {values!r}")
    if kind not in {"boolean", "enum"} and not values:
        raise BankError(f"{where}: no values")
    if kind == "enum" and not data.get("choices"):
        raise BankError(f"{where}: enum without choices")
    say = {
        str(key): tuple([words] if isinstance(words, str) else words)
        for key, words in dict(data.get("say", {})).items()
    }  # type: ignore[call-overload]  # TOML
    names = tuple(data.get("names", ()) or (data["key"],))  # type: ignore[call-overload]  # TOML
    return Slot(
        key=str(data["key"]),
        names=names,
        descriptions=tuple(data.get("descriptions", ()) or ("",)),
        type=kind,  # type: ignore[call-overload]  # TOML
        values=values if isinstance(values, str) else tuple(values),
        choices=tuple(data.get("choices", ())),
        say=say,  # type: ignore[call-overload]  # TOML
        required=bool(data.get("required", True)),
        default=data.get("default"),
        ask=str(data.get("ask", "")),
    )


def read_bank(path: Path) -> Bank:
    """One bank file; raises BankError with the place."""
    from recipe.wording import slots_of

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BankError(f"{path.name}: {error}") from error
    intents: list[Intent] = []
    for raw in data.get("intent", []):
        where = f"{path.name}: {raw.get('id')}"
        slots = tuple(read_slot(slot, f"{where}.{slot.get('key')}") for slot in raw.get("slot", []))
        keys = {slot.key for slot in slots}
        intent = Intent(
            id=raw["id"],
            domain=data["domain"],
            names=tuple(raw["names"]),
            descriptions=tuple(raw["descriptions"]),
            wordings=tuple(raw["wordings"]),
            slots=slots,
            result=dict(raw.get("result", {})),
            held_names=tuple(raw.get("held_names", ())),
            held_wordings=tuple(raw.get("held_wordings", ())),
        )
        for wording in (*intent.wordings, *intent.held_wordings):
            try:
                missing = slots_of(wording) - keys
            except ValueError as error:
                raise BankError(f"{where}: {error} in {wording!r}") from error
            if missing:
                raise BankError(f"{where}: unknown slot {sorted(missing)} in {wording!r}")
        for spec in intent.result.values():
            if isinstance(spec, str) and spec.startswith("@") and not known(spec):
                raise BankError(f"{where}: unknown result kind {spec!r}")
        intents.append(intent)
    return Bank(str(data["domain"]), bool(data.get("held_out", False)), tuple(intents))


def read_banks(folder: Path = BANKS_FOLDER, *, strict: bool = False) -> list[Bank]:
    """Every readable bank; a broken one is left out with a note unless strict."""
    banks: list[Bank] = []
    for path in sorted(folder.glob("*.toml")):
        if path.stem == "builtins":
            continue
        try:
            banks.append(read_bank(path))
        except (BankError, KeyError, TypeError, AttributeError) as error:
            if strict:
                raise
            print(f"left out: {path.name}: {error}", flush=True)
    return banks
