"""Check every bank against the format and say what is in them. Exit code 1 if one is broken."""

from __future__ import annotations

import sys
from random import Random

from recipe.bank import BANKS_FOLDER, Bank, BankError, read_bank
from recipe.conversation import request
from recipe.functions import offer


def problems(bank: Bank) -> list[str]:
    """What is wrong with a bank that reads well: too few wordings, no complete request, no missing-argument request."""
    found: list[str] = []
    rng = Random(1)
    for intent in bank.intents:
        where = f"{bank.domain}.{intent.id}"
        if len(intent.wordings) < 15 or len(intent.held_wordings) < 3:
            found.append(f"{where}: {len(intent.wordings)} wordings, {len(intent.held_wordings)} held out")
        function = offer(rng, intent, everywhere=True, taken=set(), flips=0)
        if function is None:
            found.append(f"{where}: argument names clash")
            continue
        if not any(request(rng, function, complete=True) for _ in range(5)):
            found.append(f"{where}: no wording gives every required argument")
        if any(argument.required for argument in function.arguments) and not any(
            request(rng, function, complete=False) for _ in range(5)
        ):
            found.append(f"{where}: no wording leaves a required argument out")
        if set(intent.names) & set(intent.held_names) or set(intent.wordings) & set(intent.held_wordings):
            found.append(f"{where}: a held-out name or wording is also trained on")
    return found


def main() -> None:
    broken = 0
    banks: list[Bank] = []
    for path in sorted(BANKS_FOLDER.glob("*.toml")):
        if path.stem == "builtins":
            continue
        try:
            banks.append(read_bank(path))
        except (BankError, KeyError, TypeError, AttributeError) as error:
            print(f"broken: {path.name}: {error}")
            broken += 1
    for bank in banks:
        for line in problems(bank):
            print(line)
    intents = [intent for bank in banks for intent in bank.intents]
    wordings = sum(len(intent.wordings) for intent in intents)
    print(
        f"{len(banks)} domains ({sum(bank.held_out for bank in banks)} held out), {len(intents)} intents, "
        f"{wordings} wordings, {sum(len(intent.held_wordings) for intent in intents)} held-out wordings"
    )
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
