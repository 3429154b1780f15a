"""A scripted engine: says what it is told, one character a token. The standard fake for everything above the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence

from fclocal.chat.model import Model
from fclocal.dialects.select import pick
from fclocal.engine.request import Decoded, Prefilled, Request, Step, Stopped, Token
from fclocal.events import Timings


class ScriptedGeneration:
    """Plays one text; a rewind plays the next text of the script after the kept tokens."""

    def __init__(self, engine: ScriptedEngine, text: str) -> None:
        self.engine = engine
        self.tokens = [Token(ord(char), char.encode("utf-8", "surrogatepass"), -0.1, False) for char in text]
        self.at = 0
        self.stopped = False
        self.prefilled = False

    def __aiter__(self) -> AsyncIterator[Step]:
        return self

    async def __anext__(self) -> Step:
        if not self.prefilled:
            self.prefilled = True
            return Prefilled(1, 1, 0)
        if self.at < len(self.tokens):
            self.at += 1
            return Decoded(self.at - 1, (self.tokens[self.at - 1],))
        if self.stopped:
            raise StopAsyncIteration
        self.stopped = True
        return Stopped("end", Timings(sampled_tokens=len(self.tokens)))

    def rewind(self, keep: int, *, grammar: str | None = None) -> None:
        again = ScriptedGeneration(self.engine, self.engine.texts.popleft())
        self.tokens = self.tokens[:keep] + again.tokens
        self.at = keep
        self.stopped = False
        self.engine.rewinds.append(keep)

    async def aclose(self) -> None:
        self.engine.closed += 1


class ScriptedEngine:
    """`texts` are the replies in order; `requests` keeps what was asked."""

    eos = "</s>"
    special_texts = frozenset({"<s>", "</s>"})

    def __init__(self, texts: Iterable[str], *, context: int = 100_000, repeat: bool = False) -> None:
        self.texts = deque(texts)
        self.context = context
        self.repeat = repeat
        self.requests: list[Request] = []
        self.rewinds: list[int] = []
        self.closed = 0

    def bos(self) -> tuple[int, ...]:
        return (1,)

    def tokenize(self, text: str, *, special: bool) -> tuple[int, ...]:
        if special and text in self.special_texts:
            return (1 if text == "<s>" else 2,)
        return tuple(1000 + byte for byte in text.encode("utf-8", "replace"))

    def detokenize(self, tokens: Sequence[int]) -> bytes:
        return b"".join(bytes([token - 1000]) if token >= 1000 else b"</s>" for token in tokens)

    def generate(self, request: Request, *, stop_tokens: frozenset[int] = frozenset()) -> ScriptedGeneration:
        self.requests.append(request)
        text = self.texts[0] if self.repeat else self.texts.popleft()
        return ScriptedGeneration(self, text)


def scripted_model(*texts: str, context: int = 100_000, repeat: bool = False) -> Model:
    """A model that replies with `texts`, in the card's Llama form and the one-line layout."""
    engine = ScriptedEngine(texts, context=context, repeat=repeat)
    dialect = pick("trelis-llama", layout="one-line")
    return Model("scripted", engine, dialect, "0" * 64, "F16")  # type: ignore[arg-type]  # the same seam as the engine
