"""Typed classes over llama.cpp's low-level API: the only import of llama_cpp.

Knows tokens, logits and KV memory; not prompts, grammars or threads. A Model and what it gives belong to one thread,
except its Vocabulary: that is never written after loading, so any thread may tokenize with it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

os.environ.setdefault("GGML_NO_BACKTRACE", "1")

import llama_cpp.llama_cpp as api
import numpy as np
import psutil
from numpy.typing import NDArray

from fclocal import paths
from fclocal.errors import ModelBroken, OutOfMemory, UsageError
from fclocal.native.gguf import Header, read_header
from fclocal.native.hyperparameters import hyperparameters
from fclocal.native.llama_log import LogFile, LogSink

Override: TypeAlias = "bool | int | float | str"

KV_TYPES: Final[Mapping[str, int]] = {
    "f32": api.GGML_TYPE_F32,
    "f16": api.GGML_TYPE_F16,
    "bf16": 30,
    "q8_0": api.GGML_TYPE_Q8_0,
    "q5_1": api.GGML_TYPE_Q5_1,
    "q5_0": api.GGML_TYPE_Q5_0,
    "q4_1": api.GGML_TYPE_Q4_1,
    "q4_0": api.GGML_TYPE_Q4_0,
}
SMALL_MODEL: Final = 64 << 20

_log_callback: Any = None
_backend_started = False


class LoadCancelled(Exception):
    """The progress callback asked llama.cpp to stop loading."""


class Decode(Enum):
    """How a decode ended: DONE; NO_ROOM in the KV cache, nothing changed; ABORTED, earlier micro-batches are kept."""

    DONE = 0
    NO_ROOM = 1
    ABORTED = 2


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
    return str(api.llama_print_system_info().decode()).strip(" |")


def supports_gpu_offload() -> bool:
    """Whether a backend that can hold layers is built in."""
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

    def control_texts(self) -> frozenset[str]:
        """The text of every control token."""
        controls = (token for token in range(self.size) if self.is_control(token))
        return frozenset(self.piece(token).decode("utf-8", "replace") for token in controls) - {""}

    def is_control(self, token: int) -> bool:
        """Whether `token` is a control token, which text can never contain."""
        return bool(api.llama_vocab_is_control(self.pointer, token))


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


class Batch:
    """Rows for one decode, in arrays that are allocated once and reused; `rows` of `capacity` are filled."""

    def __init__(self, capacity: int) -> None:
        self.capacity: Final = capacity
        self.rows = 0
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        self._counts = np.ones(capacity, np.int32)
        step = self._sequences.itemsize
        self._sequence_pointers = (self._sequences.ctypes.data + step * np.arange(capacity)).astype(np.uintp)
        self.native: Final = api.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._sequence_pointers),
            ("logits", self._outputs),
        ):
            kind = dict(api.llama_batch._fields_)[name]
            setattr(self.native, name, ctypes.cast(array.ctypes.data, kind))

    def clear(self) -> None:
        """Drop all rows."""
        self.rows = 0

    def add(self, tokens: Sequence[int], *, sequence: int, position: int, output: bool) -> int:
        """Append `tokens` of `sequence` from `position` on; with `output` the last one gets logits. Returns its row."""
        end = self.rows + len(tokens)
        at = slice(self.rows, end)
        self._tokens[at] = tokens
        self._positions[at] = np.arange(position, position + len(tokens))
        self._sequences[at] = sequence
        self._outputs[at] = 0
        self._outputs[end - 1] = output
        self.rows = end
        return end - 1


class Context:
    """KV memory and compute buffers for `sequences` sequences that share `size` cells. One thread only."""

    def __init__(
        self,
        model: Model,
        *,
        size: int,
        sequences: int = 1,
        batch: int = 512,
        micro_batch: int = 512,
        threads: int | None = None,
        kv_type: str = "f16",
    ) -> None:
        """Raises UsageError for an unknown KV type and OutOfMemory when the memory cannot be had."""
        if kv_type not in KV_TYPES:
            raise UsageError(f"There is no KV type {kv_type!r}.", f"Known are {', '.join(KV_TYPES)}.")
        params = api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = size, batch, micro_batch
        params.n_seq_max, params.kv_unified = sequences, True
        params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_AUTO
        params.type_k = params.type_v = KV_TYPES[kv_type]
        params.n_threads = params.n_threads_batch = threads or default_threads(model.size)
        # strlen as the abort callback: it answers "is the first byte set" in C, so that asking it before every graph
        # node never waits for Python's lock.
        self._abort_flag = ctypes.create_string_buffer(2)
        params.abort_callback = ctypes.cast(_c_library().strlen, api.ggml_abort_callback)
        params.abort_callback_data = ctypes.addressof(self._abort_flag)
        self._pointer: int | None = api.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise OutOfMemory(
                f"There is no memory for a context of {size:,} tokens of {model.path.name}.",
                "Use a smaller --context or fewer --gpu-layers.",
            )
        self._memory = api.llama_get_memory(self._pointer)
        self._vocabulary_size = model.vocabulary.size
        self._row = ctypes.c_float * model.vocabulary.size
        self.size: Final = size
        self.sequences: Final = sequences
        self.batch_size: Final = int(api.llama_n_batch(self._pointer))
        if model.adapters:
            self._set_adapters(model.adapters)

    def decode(self, batch: Batch) -> Decode:
        """Run `batch` through the model. Raises OutOfMemory or RuntimeError when llama.cpp gives up."""
        batch.native.n_tokens = batch.rows
        status = int(api.llama_decode(self._pointer, batch.native))
        if status == -2:
            raise OutOfMemory("llama.cpp ran out of memory while decoding.", "Use a smaller --context.")
        if status < 0:
            raise RuntimeError(f"llama_decode failed with status {status}")
        return Decode(status)

    def logits(self, row: int) -> NDArray[np.float32]:
        """Logits of a batch row that asked for them, shape (vocabulary,): a view that the next decode overwrites."""
        pointer = api.llama_get_logits_ith(self._pointer, row)
        return np.ctypeslib.as_array(self._row.from_address(ctypes.addressof(pointer.contents)))

    def abort(self, wanted: bool) -> None:
        """Ask the running decode to stop early, or take that back. Any thread may call this."""
        self._abort_flag[0] = b"\x01" if wanted else b"\x00"

    def cut(self, sequence: int, keep: int) -> bool:
        """Keep the first `keep` tokens of `sequence`; False when the model's memory cannot be cut there."""
        return bool(api.llama_memory_seq_rm(self._memory, sequence, keep, -1))

    def copy(self, source: int, target: int, count: int) -> None:
        """Let `target` share the first `count` cells of `source`."""
        api.llama_memory_seq_cp(self._memory, source, target, 0, count)

    def length(self, sequence: int) -> int:
        """Tokens of `sequence` in memory."""
        return int(api.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def save(self, sequence: int) -> bytes:
        """The KV state of `sequence`."""
        room = int(api.llama_state_seq_get_size(self._pointer, sequence))
        data = (ctypes.c_uint8 * room)()
        count = int(api.llama_state_seq_get_data(self._pointer, data, room, sequence))
        return bytes(memoryview(data)[:count])

    def restore(self, sequence: int, state: bytes) -> bool:
        """Replace the memory of `sequence` by a saved state; False (and an empty sequence) when it does not fit."""
        data = ctypes.cast(ctypes.c_char_p(state), ctypes.POINTER(ctypes.c_uint8))
        if api.llama_state_seq_set_data(self._pointer, data, len(state), sequence):
            return True
        self.cut(sequence, 0)
        return False

    def close(self) -> None:
        """Free the memory."""
        if self._pointer:
            api.llama_free(self._pointer)
            self._pointer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _set_adapters(self, adapters: Sequence[tuple[int, float]]) -> None:
        pointers = (api.llama_adapter_lora_p_ctypes * len(adapters))(*(pointer for pointer, _ in adapters))
        scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in adapters))
        if api.llama_set_adapters_lora(self._pointer, pointers, len(adapters), scales):
            raise RuntimeError("llama.cpp refused the adapters")


def default_threads(weights: int) -> int:
    """Threads for a model of `weights` bytes: the physical cores that this process may use, but one for a small model,
    where waiting for each other costs more than it saves (measured at 10 MB: 0.9 ms a token alone, up to 90 ms with two
    on a busy machine)."""
    if weights < SMALL_MODEL:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL("msvcrt") if sys.platform == "win32" else ctypes.CDLL(None)


def start_backend() -> None:
    """Prepare llama.cpp once: its log first, then its backends."""
    global _backend_started
    if _backend_started:
        return
    if _log_callback is None:
        send_log(LogFile(paths.log_file()))
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
