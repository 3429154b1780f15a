"""Receipts for people and for programs. Knows no screen."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from fclocal.events import Origin, Receipt
from fclocal.functions import Json, JsonObject
from fclocal.messages import FunctionCall


def call_object(call: FunctionCall) -> dict[str, Json]:
    """A call as a JSON object."""
    return {"function": call.name, "arguments": plain(call.arguments)}


def call_json(call: FunctionCall) -> str:
    """A call as one line of JSON."""
    return json.dumps(call_object(call), ensure_ascii=False)


def receipt_json(receipt: Receipt) -> JsonObject:
    """A receipt as a JSON object; probabilities are 0 to 1, log-probabilities natural."""
    return {
        "grammar": receipt.grammar,
        "valid": receipt.valid,
        "unenforced": plain(receipt.unenforced),
        "unchecked": plain(receipt.unchecked),
        "caps": plain(receipt.caps),
        "model": receipt.model,
        "sha256": receipt.sha256,
        "quant": receipt.quant,
        "dialect": receipt.dialect,
        "seed": receipt.seed,
        "tokens": {"sampled": receipt.tokens_sampled, "forced": receipt.tokens_forced},
        "name_logprob": receipt.name_logprob,
        "arguments": {name: _argument_json(receipt, name) for name in _arguments(receipt)},
        "retries": receipt.retries,
        "ms": round(receipt.ms, 1),
    }


def receipt_lines(receipt: Receipt) -> tuple[str, ...]:
    """A receipt as short lines: what was enforced, then one line an argument."""
    left = _keywords("checked afterwards", receipt.unenforced) + _keywords("CHECKED BY NOBODY", receipt.unchecked)
    again = f", {receipt.retries} retries" if receipt.retries else ""
    sure = "" if receipt.name_logprob is None else f", name p {math.exp(receipt.name_logprob):.2f}"
    first = (
        f"{'valid' if receipt.valid else 'NOT VALID'}, grammar {receipt.grammar}{left}; "
        f"{receipt.tokens_sampled} tokens sampled, {receipt.tokens_forced} forced{again}{sure}; {receipt.ms:.0f} ms"
    )
    model = f"{receipt.model} {receipt.quant}, sha256 {receipt.sha256[:12]}, {receipt.dialect}, seed {receipt.seed}"
    origins = (f"{name}: {origin_words(origin)}" for name, origin in receipt.origins.items())
    return (first, model, *origins)


def _keywords(fate: str, found: Mapping[str, str]) -> str:
    return f", {fate}: {', '.join(sorted(set(found.values())))}" if found else ""


def origin_words(origin: Origin) -> str:
    """Where a value came from, in words."""
    words = {
        "user": "from the user",
        "result": "from a result",
        "default": "the default",
        "inferred": "inferred",
        "unsupported": "UNSUPPORTED: nobody said this",
    }[origin.source]
    quoted = f" ({json.dumps(origin.text, ensure_ascii=False)})" if origin.text else ""
    sure = "" if origin.probability is None else f", p {origin.probability:.2f}"
    return f"{words}{quoted}{sure}"


def plain(value: Json) -> Json:
    """Nested mappings and sequences as dicts and lists, for encoders that know nothing else."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _arguments(receipt: Receipt) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*receipt.argument_logprobs, *receipt.origins)))


def _argument_json(receipt: Receipt, name: str) -> JsonObject:
    origin = receipt.origins.get(name)
    entry: dict[str, Json] = {"logprob": receipt.argument_logprobs.get(name)}
    if origin:
        entry |= {"from": origin.source, "text": origin.text, "message": origin.message}
        entry["span"] = list(origin.span) if origin.span else None
        entry["probability"] = origin.probability
    return entry
