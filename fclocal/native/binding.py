"""Models and vocabularies over llama.cpp's low-level API: the only import of llama_cpp.

Knows files and tokens; not prompts, grammars or threads. KV memory and decoding are in context.py. A Model belongs to
one thread, except its Vocabulary: that is never written after loading, so any thread may tokenize with it.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

os.environ.setdefault("GGML_NO_BACKTRACE", "1")

from fclocal import paths
from fclocal.errors import FclocalError, ModelBroken, UsageError
from fclocal.native.cuda_libraries import preload
from fclocal.native.gguf import Header, read_header
from fclocal.native.hyperparameters import hyperparameters
from fclocal.native.llama_log import LogFile, LogSink
from fclocal.native.registry import load_backends

preload()
try:
    import llama_cpp.llama_cpp
except (ImportError, OSError, RuntimeError) as error:
    _reason = " ".join(str(error).split()).rstrip(".")
    raise FclocalError(f"llama.cpp does not load: {_reason}.", "Try: fclocal doctor --fix") from error

Override: TypeAlias = "bool | int | float | str"


# The low-level API, for the other files of this folder.
api: Final[Any] = llama_cpp.llama_cpp

_log_callback: Any = None
_backend_started = False
_backend_lock = threading.Lock()


class LoadCancelled(Exception):
    """The progress callback asked llama.cpp to stop loading."""


def send_log(sink: LogSink) -> None:
    """Send llama.cpp's log text to `sink` from now on; without this call it goes to `paths.log_file()`."""
    global _log_callback

    def forward(_level: int, text: bytes | None, _data: object) -> None:
        if text and not sys.is_finalizing():
            sink(text.decode("utf-8", "replace"))

    # llama.cpp keeps the pointer: the callback must outlive every model.
    _log_callback = api.llama_log_callback(forward)
    api.llama_log_set(_log_callback, None)


def version() -> str:
    """Version of the llama.cpp library."""
    return str(api.llama_version().decode())


def system_info() -> str:
    """The CPU features and backends that llama.cpp was built with, as llama.cpp words them."""
    start_backend()
    return str(api.llama_print_system_info().decode()).strip(" |")


def supports_gpu_offload() -> bool:
    """Whether a backend that can hold layers is built in."""
    start_backend()
    return bool(api.llama_supports_gpu_offload())


class Vocabulary:
    """The tokens of a model. Safe to use from any thread while the model lives."""

    def __init__(self, pointer: int) -> None:
        self.pointer: Final = pointer
        self.size: Final = int(api.llama_vocab_n_tokens(pointer))
        self.bos: Final = int(api.llama_vocab_bos(pointer))
        self.eos: Final = int(api.llama_vocab_eos(pointer))
        self.eot: Final = int(api.llama_vocab_eot(pointer))
        self.add_bos: Final = bool(api.llama_vocab_get_add_bos(pointer))
        self.end_tokens: Final = frozenset(
            token for token in range(self.size) if api.llama_vocab_is_eog(pointer, token)
        )

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, without BOS or EOS. With `special`, the text of control tokens becomes those tokens;
        without, it stays text. Lone surrogates are replaced by U+FFFD."""
        data = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
        if not data:
            return []
        room = len(data) + 8
        ids = (api.llama_token * room)()
        count = int(api.llama_tokenize(self.pointer, data, len(data), ids, room, False, special))
        if count < 0:
            ids = (api.llama_token * -count)()
            count = int(api.llama_tokenize(self.pointer, data, len(data), ids, -count, False, special))
        return list(ids[:count])

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for; control tokens give their text."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = int(api.llama_token_to_piece(self.pointer, token, buffer, size, 0, True))
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_special(self, token: int) -> bool:
        """Whether `token` is never a part of ordinary text: a control token, or an added one in angle brackets, such as
        `<tool_call>`."""
        attributes = int(api.llama_vocab_get_attr(self.pointer, token))
        if attributes & api.LLAMA_TOKEN_ATTR_CONTROL:
            return True
        if not attributes & api.LLAMA_TOKEN_ATTR_USER_DEFINED:
            return False
        piece = self.piece(token)
        return piece.startswith(b"<") and piece.endswith(b">")

    @property
    def tokenizer_address(self) -> int:
        """The address of `llama_tokenize`, for native code that tokenizes with `pointer`."""
        return ctypes.cast(api._lib.llama_tokenize, ctypes.c_void_p).value or 0


class Model:
    """Weights in memory. A context manager; contexts must be closed before it."""

    def __init__(self, pointer: int, path: Path, header: Header) -> None:
        self.pointer = pointer
        self.path: Final = path
        self.header: Final = header
        self.vocabulary: Final = Vocabulary(api.llama_model_get_vocab(pointer))
        self._adapters: list[tuple[int, float]] = []

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        gpu_layers: int = -1,
        mmap: bool = True,
        overrides: Mapping[str, Override] | None = None,
        extra_buffers: bool = True,
        progress: Callable[[float], bool] | None = None,
    ) -> Self:
        """Load the GGUF file at `path`.

        `gpu_layers` -1 means all; `overrides` replace metadata; `extra_buffers` repacks weights for this CPU.
        `progress` gets 0 to 1 and cancels the load (LoadCancelled) by returning False. Raises ModelMissing and
        ModelBroken.
        """
        header = read_header(path)
        hyperparameters(header, name=path.name)
        start_backend()
        params = api.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.load_mode = api.LLAMA_LOAD_MODE_MMAP if mmap else api.LLAMA_LOAD_MODE_NONE
        params.use_extra_bufts = extra_buffers
        keep = _override_array(overrides or {})
        if keep is not None:
            params.kv_overrides = keep
        cancelled = False

        def report(done: float, _data: object) -> bool:
            nonlocal cancelled
            cancelled = cancelled or (progress is not None and not progress(done))
            return not cancelled

        callback = api.llama_progress_callback(report)
        params.progress_callback = callback
        pointer = api.llama_model_load_from_file(os.fsencode(path), params)
        if cancelled:
            if pointer:
                api.llama_model_free(pointer)
            raise LoadCancelled
        if not pointer:
            raise ModelBroken(
                f"llama.cpp cannot load {path.name} (architecture {header.architecture or 'not stated'}).",
                f"The reason is in {paths.log_file()}.",
            )
        if not api.llama_model_has_decoder(pointer) or api.llama_model_has_encoder(pointer):
            api.llama_model_free(pointer)
            raise ModelBroken(f"{path.name} is not a model that writes text.", "Choose a decoder-only language model.")
        return cls(pointer, path, header)

    @property
    def description(self) -> str:
        """For example `llama 1B Q4_K - Medium`."""
        buffer = ctypes.create_string_buffer(256)
        api.llama_model_desc(self.pointer, buffer, 256)
        return buffer.value.decode("utf-8", "replace")

    @property
    def trained_context(self) -> int:
        """Tokens of context that the model was trained for."""
        return int(api.llama_model_n_ctx_train(self.pointer))

    @property
    def layers(self) -> int:
        """Number of transformer blocks."""
        return int(api.llama_model_n_layer(self.pointer))

    @property
    def size(self) -> int:
        """Bytes of all weights."""
        return int(api.llama_model_size(self.pointer))

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return int(api.llama_model_n_params(self.pointer))

    @property
    def keeps_state(self) -> bool:
        """Whether (a part of) the model is recurrent, so that its memory cannot be cut back to a prefix."""
        return bool(api.llama_model_is_recurrent(self.pointer) or api.llama_model_is_hybrid(self.pointer))

    def add_adapter(self, path: Path, *, scale: float = 1.0) -> None:
        """Load a LoRA adapter for contexts made from now on. Raises ModelBroken when it does not fit the model."""
        read_header(path)
        adapter = api.llama_adapter_lora_init(self.pointer, os.fsencode(path))
        if not adapter:
            raise ModelBroken(f"The adapter {path.name} does not fit {self.path.name}.", "Use one made for this model.")
        self._adapters.append((adapter, scale))

    @property
    def adapters(self) -> Sequence[tuple[int, float]]:
        """Native pointer and scale of each adapter."""
        return self._adapters

    def close(self) -> None:
        """Free the weights. Adapters are freed with the model."""
        if self.pointer:
            api.llama_model_free(self.pointer)
            self.pointer = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()


def start_backend() -> None:
    """Prepare llama.cpp once: its log first, then its backends."""
    global _backend_started
    with _backend_lock:
        if _backend_started:
            return
        if _log_callback is None:
            send_log(LogFile(paths.log_file()))
        load_backends(api._lib)
        api.llama_backend_init()
        _backend_started = True


def _override_array(overrides: Mapping[str, Override]) -> Any:
    """A native array that ends with an empty key, or None when there is nothing to override."""
    if not overrides:
        return None
    array = (api.llama_model_kv_override * (len(overrides) + 1))()
    for entry, (key, value) in zip(array, overrides.items(), strict=False):
        if len(key.encode()) > 127 or (isinstance(value, str) and len(value.encode()) > 127):
            raise UsageError(f"The override {key[:60]!r} is too long.", "Keys and texts have at most 127 bytes.")
        entry.key = key.encode()
        match value:
            case bool():
                entry.tag, entry.value.val_bool = api.LLAMA_KV_OVERRIDE_TYPE_BOOL, value
            case int():
                entry.tag, entry.value.val_i64 = api.LLAMA_KV_OVERRIDE_TYPE_INT, value
            case float():
                entry.tag, entry.value.val_f64 = api.LLAMA_KV_OVERRIDE_TYPE_FLOAT, value
            case str():
                entry.tag, entry.value.val_str = api.LLAMA_KV_OVERRIDE_TYPE_STR, value.encode()
    return array
