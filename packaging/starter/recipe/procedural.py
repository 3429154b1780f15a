"""Invented intents: verb groups times nouns, slots generic and made up. Gives Intent values as a bank does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from recipe.bank import Intent, Slot
from recipe.phrases import invented
from recipe.words import WORDS_FOLDER, lists


@dataclass(frozen=True, slots=True)
class Attachment:
    """A generic slot: argument names, descriptions, type, values, and how a request says it."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    type: str
    values: str
    says: tuple[str, ...]


# Ways to say a flag that something is part of it, or that it is of a kind: yes | no.
PARTS = (
    "with {}|without {}",
    "with {}|with no {}",
    "including {}|excluding {}",
    ", {} included|, {} not included",
    "and {}|and no {}",
    "plus {}|but leave out the {}",
    ", I want {}|, I don't want {}",
    ", {}: yes|, {}: no",
    ", {} on|, {} off",
    ", I need the {}|, I don't need the {}",
    ", add {}|, skip the {}",
    "and use {}|and use no {}",
)
KINDS = (
    ", it is {}|, it is not {}",
    ", it's {}|, it isn't {}",
    "that is {}|that is not {}",
    ", make it {}|, don't make it {}",
    ", {}: yes|, {}: no",
    ", {}|, not {}",
    ", has to be {}|, need not be {}",
    "({})|(not {})",
)
FLAGS = [
    ("notify", "Whether to send a notification", "and notify me|without notification"),
    ("urgent", "Whether it is urgent", ", it is urgent|, it is not urgent"),
    ("public", "Whether everybody can see it", "so that everyone can see it|but keep it private"),
    ("recursive", "Also go through what is inside", "recursively|not recursively"),
    ("force", "Do it even if there are warnings", "by force|without forcing it"),
    ("include_archived", "Include archived ones", "including archived ones|without archived ones"),
    ("confirm", "Whether to ask before", "and ask me before|without asking me"),
    ("repeat", "Whether it repeats", "repeating|just once"),
    ("verbose", "Whether to give details", "with all details|without details"),
    ("gift", "Whether it is a gift", "as a gift|not as a gift"),
    ("insured", "Whether it is insured", "with insurance|without insurance"),
    ("overwrite", "Whether to overwrite", "overwriting the old one|without overwriting"),
]
CHOICES = [
    ("size", "The size", "small,medium,large"),
    ("priority", "How important it is", "low,normal,high"),
    ("format", "The format", "pdf,csv,json,xlsx"),
    ("mode", "The mode", "fast,careful,silent"),
    ("order", "The sort order", "ascending,descending"),
    ("status", "The status", "open,closed,pending"),
    ("units", "The units", "metric,imperial"),
    ("period", "The period", "day,week,month,year"),
    ("channel", "The channel", "email,sms,phone"),
    ("quality", "The quality", "draft,standard,best"),
    ("visibility", "Who can see it", "public,private,team"),
    ("level", "The level", "beginner,intermediate,expert"),
    ("seat", "The seat", "window,aisle,middle"),
    ("direction", "The direction", "north,south,east,west"),
    ("payment", "How it is paid", "cash,card,transfer"),
    ("side", "The side", "left,right"),
]
STRINGS = [
    "@word",
    "@topic",
    "@title",
    "@id",
    "@code",
    "@first",
    "@city",
    "@invented",
    "@sentence",
    "@filename",
    "@person",
    "@company",
    "@odd",
    "@odd",
    "@formula",
    "@url",
]


@lru_cache(maxsize=1)
def generic() -> tuple[Attachment, ...]:
    found = []
    for line in (WORDS_FOLDER / "attachments.txt").read_text(encoding="utf-8").splitlines():
        names, descriptions, kind, values, says = line.split("|")
        found.append(
            Attachment(tuple(names.split(",")), tuple(descriptions.split(";")), kind, values, tuple(says.split(";")))
        )
    return tuple(found)


@lru_cache(maxsize=1)
def verb_groups() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(group.split("/")) for group in lists()["verbs"])


def styled(rng: Random, words: list[str]) -> str:
    """Words as a name: snake, camel, Pascal, dotted, kebab-free."""
    flat = [part for word in words for part in word.replace("-", " ").replace("'", "").split()]
    style = rng.random()
    if style < 0.55 or len(flat) == 1:
        return "_".join(flat)
    if style < 0.8:
        return flat[0] + "".join(word.capitalize() for word in flat[1:])
    if style < 0.88:
        return "".join(word.capitalize() for word in flat)
    return f"{flat[-1]}.{'_'.join(flat[:-1])}"


def noun(rng: Random) -> str:
    roll = rng.random()
    base = rng.choice(lists()["nouns"]) if roll < 0.8 else invented(rng)
    return f"{rng.choice(lists()['modifiers'])} {base}" if rng.random() < 0.12 else base


def flag(rng: Random, used: set[str]) -> tuple[Slot, list[str]]:
    """A boolean: a listed one, something that is part of it, or a kind that it is of."""
    roll = rng.random()
    if roll < 0.3:
        name, description, words = rng.choice([one for one in FLAGS if one[0] not in used] or FLAGS)
        says = [words]
    elif roll < 0.7:
        thing = rng.choice([*lists()["thing"], *lists()["nouns"], *lists()["word"], invented(rng)])
        name = rng.choice(["include_{}", "with_{}", "{}", "add_{}", "use_{}", "{}_included", "has_{}", "needs_{}"])
        name = name.format(thing.replace(" ", "_"))
        description = rng.choice(
            ["Whether {} is included", "With {}", "Whether to add {}", "If {} is wanted", "Use {}"]
        )
        description, says = description.format(thing), [way.replace("{}", thing) for way in rng.sample(PARTS, 4)]
    else:
        kind = rng.choice([*lists()["adjective"], *lists()["modifiers"], invented(rng)])
        name = rng.choice(["{}", "is_{}", "make_{}", "{}_only"]).format(kind)
        description = rng.choice(["Whether it is {}", "Make it {}", "If it should be {}", "It must be {}"]).format(kind)
        says = [way.replace("{}", kind) for way in rng.sample(KINDS, 4)]
    return Slot(name, (name,), (description,), "boolean"), ["{" + name + "?" + way + "}" for way in says]


def choice(rng: Random, used: set[str]) -> tuple[Slot, list[str]]:
    """An enum: a listed one, or of words drawn by lot."""
    if rng.random() < 0.5:
        name, description, choices = rng.choice([one for one in CHOICES if one[0] not in used] or CHOICES)
        options = choices.split(",")
    else:
        thing = rng.choice([*lists()["thing"], *lists()["nouns"], invented(rng)])
        name = rng.choice(["{}", "{}_type", "{}_kind", "{}_mode", "{}_class"]).format(thing.replace(" ", "_"))
        description = rng.choice(["The kind of {}", "Which {}", "{} to use"]).format(thing)
        source = rng.choice(["adjective", "word", "colour", "genre", "vehicle", "ingredient", "hobby"])
        options = [option.lower().replace(" ", "_") for option in rng.sample(lists()[source], 4)]
    rng.shuffle(options)
    words = name.replace("_", " ")
    says = [f"with {words} {{}}", f", {words} {{}}", f", {words}: {{}}", "as {}", "({})", ", {} please", ", the {} one"]
    options = options[: rng.randint(2, 4)]
    said = {option: (option.replace("_", " "),) for option in options}
    return Slot(name, (name,), (description,), "enum", choices=tuple(options), say=said), says


def made_slot(rng: Random, used: set[str]) -> tuple[Slot, list[str]]:
    """A slot and its ways to be said; kinds: generic, flag, choice, made-up name."""
    roll = rng.random()
    if roll < 0.5:
        attachment = rng.choice([option for option in generic() if not used & set(option.names)] or generic())
        fresh = tuple(name for name in attachment.names if name not in used) or (invented(rng),)
        name = rng.choice(fresh)
        words = name.replace("_", " ")
        says = [*attachment.says, f"with {words} {{}}", f", {words} {{}}", f", {words}: {{}}"]
        slot = Slot(name, (name,), attachment.descriptions, attachment.type, attachment.values)
    elif roll < 0.66:
        slot, says = flag(rng, used)
    elif roll < 0.8:
        slot, says = choice(rng, used)
    else:
        words = rng.choice(
            [
                invented(rng),
                f"{rng.choice(lists()['adjective'])} {rng.choice(lists()['thing'])}",
                rng.choice(lists()["thing"]),
                f"{rng.choice(lists()['thing'])} {rng.choice(['name', 'code', 'number', 'type', 'value'])}",
            ]
        )
        name = words.replace(" ", "_")
        kind = rng.choice(["string", "string", "string", "integer", "number", "array"])
        values = {
            "string": rng.choice(STRINGS),
            "integer": "@int(1,999)",
            "number": "@number(0,500)",
            "array": rng.choice(["@word", "@first", "@int(1,99)", "@invented"]),
        }[kind]
        slot = Slot(
            name,
            (name,),
            (f"The {words}", f"The {words} to use", f"{words.capitalize()} of it"),
            kind,
            values,
        )
        says = [
            f"with {words} {{}}",
            f"with the {words} {{}}",
            f", {words} {{}}",
            f", {words}: {{}}",
            f"and the {words} is {{}}",
            f"using {{}} as the {words}",
            f"where the {words} is {{}}",
        ]
    return slot, [say.replace("{}", "{" + slot.key + "}") for say in says]


def make_intent(rng: Random, thing: str, group: tuple[str, ...], taken: frozenset[str]) -> Intent:
    """One invented intent about `thing` with the verb group."""
    verb = rng.choice(group)
    name = styled(rng, [verb, thing] if rng.random() < 0.85 else [thing, verb])
    if name in taken:
        name = styled(rng, [verb, thing, invented(rng)])
    count = rng.choices([0, 1, 2, 3, 4], [5, 30, 34, 21, 10])[0]
    used: set[str] = set()
    slots: list[Slot] = []
    says: dict[str, list[str]] = {}
    for index in range(count):
        slot, ways = made_slot(rng, used)
        if slot.key in used:
            continue
        used.add(slot.key)
        if index and rng.random() < 0.3:
            slot = Slot(
                slot.key,
                slot.names,
                slot.descriptions,
                slot.type,
                slot.values,
                slot.choices,
                slot.say,
                required=False,
                default=default_of(rng, slot),
            )
        slots.append(slot)
        says[slot.key] = ways
    article = rng.choice(["a", "the", "one"])
    descriptions = [
        f"{other.capitalize()} {an(article, thing)}"
        + rng.choice([".", "", " in the system.", f" of the {rng.choice(lists()['thing'])} service."])
        for other in rng.sample(group, min(2, len(group)))
    ]
    wordings = tuple(wording(rng, thing, group, slots, says) for _ in range(6))
    return Intent(
        name,
        thing,
        (name,),
        tuple(descriptions),
        wordings,
        tuple(slots),
        result={"status": "@status", "id": "@id"},
    )


def default_of(rng: Random, slot: Slot) -> str | int | float | bool | None:
    if rng.random() < 0.5 or slot.type == "array":
        return None
    value = slot.sample(rng).json
    return value if isinstance(value, str | int | float | bool) else None


def an(article: str, thing: str) -> str:
    if article == "a" and thing[0] in "aeiou":
        article = "an"
    return f"{article} {thing}"


def wording(rng: Random, thing: str, group: tuple[str, ...], slots: list[Slot], says: dict[str, list[str]]) -> str:
    order = list(slots)
    if rng.random() < 0.5:
        rng.shuffle(order)
    opener = rng.choice(lists()["openers"]) if rng.random() < 0.6 else ""
    verb = rng.choice(group)
    head = f"{verb} {an(rng.choice(['the', 'a', 'my', 'the', 'our', 'this']), thing)}"
    text = f"{opener} {head}".strip()
    if rng.random() < 0.75:
        text = text[0].upper() + text[1:]
    for slot in order:
        way = rng.choice(says[slot.key])
        way = way if way.startswith((",", ":")) or "?," in way else f" {way}"
        text += f"[{way}]"
    if rng.random() < 0.2:
        closer = rng.choice(lists()["closers"])
        text += closer if closer.startswith(",") else f" {closer}"
    return text + rng.choice(["", "", ".", "?" if opener.startswith(("Could", "Can", "Would")) else "."])


def family(rng: Random, count: int, taken: frozenset[str]) -> list[Intent]:
    """Intents that are each other's hard negatives: one or two nouns, different verb groups."""
    things = [noun(rng) for _ in range(max(1, rng.choice([1, 2, 2, 3]) if count > 2 else 1))]
    groups = rng.sample(verb_groups(), min(count + 2, 8))
    made: list[Intent] = []
    seen: set[tuple[str, int]] = set()
    tries = 0
    while len(made) < count and tries < 40:
        tries += 1
        thing, index = rng.choice(things), rng.randrange(len(groups))
        if (thing, index) in seen:
            continue
        seen.add((thing, index))
        made.append(make_intent(rng, thing, groups[index], taken))
    return made
