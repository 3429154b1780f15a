"""Hold a generation to a grammar with llguidance. Knows tokens and masks, not JSON, logits or llama.cpp's memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from llguidance import LLMatcher, LLTokenizer

from fclocal.engine.pieces import Pieces
from fclocal.engine.sampling import Allowed
from fclocal.errors import FclocalError
from fclocal.native.binding import Vocabulary


class GrammarError(FclocalError):
    """The grammar of a request cannot be compiled, grew too complex, or refused a token."""


class Constraint:
    """The state of one generation in its grammar. Every operation raises GrammarError when llguidance gives up."""

    def __init__(self, matcher: LLMatcher, size: int) -> None:
        self._matcher = matcher
        self._size = size
        self._bits = np.zeros((size + 31) // 32, np.int32)
        self._refuse_error("does not compile")

    @property
    def accepting(self) -> bool:
        """Whether the reply may end here."""
        return bool(self._matcher.is_accepting())

    @property
    def stopped(self) -> bool:
        """Whether nothing but the end may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> Allowed:
        """A fresh mask of the tokens that may come next, shape (vocabulary,)."""
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._refuse_error("has no next token")
        return np.unpackbits(self._bits.view(np.uint8), count=self._size, bitorder="little").view(np.bool_)

    def forced(self) -> list[int]:
        """The tokens that must come next; empty when there is a choice."""
        tokens: list[int] = self._matcher.compute_ff_tokens()
        self._refuse_error("has no next token")
        return tokens

    def consume(self, tokens: Sequence[int]) -> None:
        """Move on by `tokens`."""
        if not self._matcher.consume_tokens(list(tokens)):
            self._refuse_error("refused a token")

    def copy(self) -> Self:
        """An independent constraint in the same state."""
        return type(self)(self._matcher.deep_copy(), self._size)

    def _refuse_error(self, what: str) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().strip().splitlines()
            raise GrammarError(f"The grammar {what}: {reason[0][:200] if reason else 'no reason given'}.")


class Grammars:
    """Makes constraints for one vocabulary. A tokenizer is built once for each set of end tokens: 0.1 s for 32,000
    tokens."""

    def __init__(self, vocabulary: Vocabulary, pieces: Pieces) -> None:
        self._vocabulary = vocabulary
        self._pieces = pieces
        self._tokenizers: dict[frozenset[int], LLTokenizer] = {}

    def constraint(self, grammar: str, end_tokens: frozenset[int], consumed: Sequence[int] = ()) -> Constraint:
        """Compile the Lark text `grammar` and move on by `consumed`. Raises GrammarError."""
        tokenizer = self._tokenizers.get(end_tokens)
        if tokenizer is None:
            tokenizer = self._tokenizers[end_tokens] = self._tokenizer(end_tokens)
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar), log_level=0)
        constraint = Constraint(matcher, self._vocabulary.size)
        if consumed:
            constraint.consume(consumed)
        return constraint

    def _tokenizer(self, end_tokens: frozenset[int]) -> LLTokenizer:
        """What llguidance.llamacpp builds, without the deprecation warning that it gives for each token. A byte 0xFF
        in front marks special tokens."""
        special = self._pieces.special
        return LLTokenizer.from_llamacpp(
            tokens=[
                b"\xff" + special[token] if token in special else text for token, text in enumerate(self._pieces.text)
            ],
            vocab_ptr=self._vocabulary.pointer,
            tokenize_fptr=self._vocabulary.tokenizer_address,
            eos_token=sorted(end_tokens, key=lambda token: (token != self._vocabulary.eos, token)),
            slices=None,
        )
