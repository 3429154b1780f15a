"""A JSON Schema as numbered places: each subschema with its JSON pointer, its references resolved, nothing fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it ships no types
from referencing import Registry
from referencing._core import Resolver
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from fclocal.errors import UsageError
from fclocal.functions import Json, JsonObject
from fclocal.grammar.keywords import ASSERTIONS, MAX_LEVELS, draft, fault, subschemas
from fclocal.grammar.pointers import pointer

MAX_PLACES = 40_000


class BrokenSchema(UsageError):
    """A schema that no call can be checked against; `reason` is half a sentence for the tool's status."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The schema cannot be used: {reason}.")
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One schema at one place, there once, so that identity is equality. `made` ones come from rewriting."""

    number: int
    schema: JsonObject
    pointer: str
    resolver: Resolver[Json]
    made: bool = False

    def at(self, *path: str) -> str:
        """The pointer of a keyword at this place."""
        return self.pointer + pointer(path)


# A conjunction: all of these schemas hold of the same value.
Conjunction: TypeAlias = "tuple[Place, ...]"

ALWAYS: JsonObject = {}
NEVER: JsonObject = {"not": ALWAYS}


class Source:
    """The places of one schema. `root` is the schema itself, `draft` the metaschema it follows; in a `legacy` draft a
    reference hides the keywords beside it."""

    def __init__(self, schema: Json) -> None:
        if (wrong := fault(schema)) is not None:
            raise BrokenSchema(wrong)
        self.draft = uri = draft(schema)
        self.legacy = any(f"draft-0{number}" in uri for number in (3, 4, 6, 7))
        self._places: dict[tuple[int, str], Place] = {}
        self._made: dict[tuple[object, ...], JsonObject] = {}
        self._kept: list[Json] = [schema]
        self._settled: dict[Place, Place] = {}
        specification = specification_with(uri, default=DRAFT202012)
        registry: Registry[Json] = REGISTRY
        resource = specification.create_resource(schema)
        identifier = resource.id() or ""
        resolver = registry.with_resource(identifier, resource).resolver(base_uri=identifier)
        self._specification = specification
        self.root = self._walk(schema, resolver)

    def child(self, parent: Place, *path: str) -> Place:
        """The place of the subschema of `parent` at `path`."""
        value: Json = parent.schema
        for part in path:
            value = value[int(part)] if isinstance(value, Sequence) and not isinstance(value, str) else value[part]  # type: ignore[index]  # the walk has seen that it is there
        return self._place(value, parent.at(*path), parent.resolver, made=parent.made)

    def made(self, parent: Place, key: str, make: Callable[[], JsonObject], *path: str) -> Place:
        """The place of a schema that rewriting makes out of `parent`, the same one for the same key."""
        identity = (parent.number, key)
        if identity not in self._made:
            self._made[identity] = make()
        return self._place(self._made[identity], parent.at(*path), parent.resolver, made=True)

    def target(self, place: Place, keyword: str) -> Place:
        """The place that a reference points to. Raises BrokenSchema when there is none."""
        reference = str(place.schema[keyword])
        try:
            found = place.resolver.lookup(reference)
        except (Unresolvable, ValueError) as error:
            raise BrokenSchema(
                f"{keyword} at {place.pointer or 'its root'} points to {reference[:80]!r}, which is not in it"
            ) from error
        if (wrong := fault(found.contents)) is not None:
            raise BrokenSchema(f"{wrong} (at {reference[:80]})")
        local = reference[1:] if reference.startswith("#") else place.at(keyword)
        return self._place(found.contents, local, found.resolver)

    def settled(self, place: Place) -> Place:
        """Where a place that says nothing but `$ref` leads to in the end. Raises BrokenSchema for a circle."""
        found = self._settled.get(place)
        if found is None:
            seen = {place}
            found = place
            while "$ref" in found.schema and (self.legacy or not (found.schema.keys() & ASSERTIONS) - {"$ref"}):
                found = self.target(found, "$ref")
                if found in seen:
                    raise BrokenSchema(f"its reference at {place.pointer or 'the root'} leads back to itself")
                seen.add(found)
            self._settled[place] = found
        return found

    def _place(self, schema: Json, where: str, resolver: Resolver[Json], *, made: bool = False) -> Place:
        known: JsonObject = schema if isinstance(schema, Mapping) else ALWAYS if schema else NEVER
        base = resolver._base_uri
        found = self._places.get((id(known), base))
        if found is None:
            if len(self._places) >= MAX_PLACES:
                raise BrokenSchema("it is too big")
            if isinstance(schema, Mapping) and isinstance(schema.get("$id"), str):
                resolver = resolver.in_subresource(self._specification.create_resource(schema))
            self._kept.append(known)
            found = Place(len(self._places), known, where, resolver, made)
            self._places[id(known), base] = found
        return found

    def _walk(self, schema: Json, resolver: Resolver[Json]) -> Place:
        """Visit every subschema level by level, so that each has the pointer of where it stands."""
        root = self._place(schema, "", resolver)
        level = [root]
        for _ in range(MAX_LEVELS + 1):
            below: list[Place] = []
            for place in level:
                for inner in subschemas(place.schema):
                    where = place.at(*inner.path)
                    if (wrong := fault(inner.schema)) is not None:
                        raise BrokenSchema(f"{wrong} (at {where})")
                    if isinstance(inner.schema, Mapping):
                        below.append(self._place(inner.schema, where, place.resolver))
            if not below:
                return root
            level = below
        raise BrokenSchema(f"it is nested more than {MAX_LEVELS} levels deep")
