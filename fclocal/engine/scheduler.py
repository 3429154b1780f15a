"""The step loop: admit generations, decode all of them in one batch, sample, deliver. Runs on the owner thread.

Knows KV slots and batches; how a token is chosen is sequence.py's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeVar

from fclocal.engine.kv_files import MIN_TOKENS, KvFiles, worth_keeping
from fclocal.engine.prefix import Placement, Slot, common_prefix, place
from fclocal.engine.request import Prefilled, Request, Step, Stopped
from fclocal.engine.sequence import Running, Tools
from fclocal.errors import ContextFull, FclocalError
from fclocal.events import Timings
from fclocal.native.context import Batch, Context, Decode

# While others wait for their next token, a long prompt is read in pieces of about this many seconds.
PREFILL_SECONDS = 0.25
MIN_CHUNK = 32
MIN_REPLY = 16
T = TypeVar("T")


class Consumer(Protocol):
    """Where the steps of one generation go; called on the owner thread."""

    def deliver(self, outcome: Step | Exception) -> None: ...


@dataclass(slots=True, eq=False)
class Job:
    """A generation that was asked for."""

    request: Request
    end_tokens: frozenset[int]
    consumer: Consumer


@dataclass(slots=True, eq=False)
class Active:
    """A job that has a KV slot. `batched` tokens of it are in the batch, `row` is where its logits will be. After
    exactly `save_at` tokens its KV state goes to disk; 0 is never."""

    job: Job
    running: Running
    slot: Slot
    batched: int = 0
    row: int | None = None
    save_at: int = 0

    @property
    def pending(self) -> int:
        """Tokens that are not in KV memory yet."""
        return 0 if self.running.stopped else len(self.running.tokens) - len(self.slot.tokens)

    @property
    def reading(self) -> bool:
        """Whether the prompt is not in KV memory yet."""
        return len(self.slot.tokens) < self.running.prompt_size


class Scheduler:
    """Generations over one context. Not thread-safe: one thread calls everything."""

    def __init__(self, context: Context, *, tools: Tools, sharing: bool, files: KvFiles | None = None) -> None:
        self._context = context
        self._tools = tools
        self._sharing = sharing
        self._files = files
        self._batch = Batch(context.batch_size)
        self._slots = [Slot(id) for id in range(context.sequences)]
        self._waiting: deque[Job] = deque()
        self._active: dict[Job, Active] = {}
        self._clock = 0
        self._speed = 0.0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do until a command comes."""
        return not self._waiting_for_room() and not any(active.pending for active in self._active.values())

    def step(self) -> None:
        """Decode once: the pending tokens of every generation, as far as one batch holds them, then sample."""
        self._admit()
        rows = self._fill_batch()
        if not rows:
            return
        status = self._decode(rows)
        self._settle(rows, status)
        if status is not Decode.DONE:
            return
        for active in rows:
            if active.row is not None:
                self._sample(active, active.row)

    def add(self, job: Job) -> None:
        """Queue a generation."""
        self._waiting.append(job)

    def rewind(self, job: Job, keep: int, *, seen: int, grammar: str | None) -> None:
        """Go on from the first `keep` reply tokens; see Running.rewind."""
        active = self._active.get(job)
        if active is None:
            return
        try:
            active.running.rewind(keep, seen=seen, grammar=grammar)
        except FclocalError as error:
            self._fail(active, error)
            return
        self._cut(active.slot, common_prefix(active.slot.tokens, active.running.tokens[:-1]))
        self._flush(active)

    def release(self, job: Job) -> None:
        """Forget a generation. Its KV memory stays for prompts that begin alike."""
        if job in self._waiting:
            self._waiting.remove(job)
        active = self._active.pop(job, None)
        if active:
            self._clock += 1
            active.slot.busy, active.slot.used = False, self._clock

    def lend(self, function: Callable[[Context], T]) -> T:
        """Give `function` the context, after forgetting the memory of idle sequences."""
        self._forget_idle()
        self._context.abort(False)
        return function(self._context)

    def stop(self, error: Exception | None = None) -> None:
        """End every generation: cancelled, or with `error`."""
        for active in list(self._active.values()):
            if error:
                self._fail(active, error)
            else:
                active.running.cancel()
                self._flush(active)
        for job in self._waiting:
            job.consumer.deliver(error or Stopped("cancelled", Timings(prompt_tokens=len(job.request.prompt))))
        self._waiting.clear()

    # Admission

    def _admit(self) -> None:
        while self._waiting_for_room():
            job = self._waiting.popleft()
            try:
                self._start(job)
            except Exception as error:
                job.consumer.deliver(error)
                if not isinstance(error, FclocalError):
                    raise

    def _waiting_for_room(self) -> bool:
        """Whether the oldest waiting job can start now (or can be refused now)."""
        if not self._waiting:
            return False
        job = self._waiting[0]
        taken = sum(active.running.cells for active in self._active.values())
        free = any(not slot.busy for slot in self._slots)
        return not self._active or (free and taken + self._cells(job.request) <= self._context.size)

    def _cells(self, request: Request) -> int:
        return min(len(request.prompt) + request.max_tokens, self._context.size)

    def _start(self, job: Job) -> None:
        request, size = job.request, self._context.size
        need = len(request.prompt) + min(request.max_tokens, request.reserve + MIN_REPLY)
        if need > size:
            raise ContextFull(
                f"The prompt has {len(request.prompt):,} tokens and the context holds {size:,}, of which the reply "
                f"needs {need - len(request.prompt):,}.",
                "Shorten the prompt or raise --context.",
                parts={"prompt": len(request.prompt), "context": size},
            )
        placement = place(request.prompt, self._slots, sharing=self._sharing)
        assert placement is not None, "a job starts only when a slot is free"
        room = self._cells(request) - len(request.prompt)
        running = Running(request, tools=self._tools, end_tokens=job.end_tokens, room=room)
        slot = self._take(placement)
        self._active[job] = active = Active(job, running, slot)
        self._make_room()
        self._use_files(active)
        running.cached = len(slot.tokens)
        job.consumer.deliver(Prefilled(len(slot.tokens), len(request.prompt), len(slot.tokens)))
        self._flush(active)

    def _take(self, placement: Placement) -> Slot:
        slot = placement.slot
        slot.busy = True
        if placement.donor:
            self._cut(slot, 0)
            self._context.copy(placement.donor.id, slot.id, placement.keep)
            slot.tokens = placement.donor.tokens[: placement.keep]
        else:
            self._cut(slot, placement.keep)
        return slot

    def _make_room(self) -> None:
        """Forget idle KV memory, oldest first, until every active generation can grow to its full length."""
        taken = sum(active.running.cells for active in self._active.values())
        for slot in sorted(self._slots, key=lambda slot: -slot.used):
            if slot.busy:
                continue
            taken += len(slot.tokens)
            if taken > self._context.size:
                taken -= len(slot.tokens)
                self._cut(slot, 0)

    def _cut(self, slot: Slot, keep: int) -> None:
        """Keep the first `keep` tokens of a slot, or none where the model's memory cannot be cut."""
        if keep >= len(slot.tokens):
            return
        if not self._context.cut(slot.id, keep):
            self._context.cut(slot.id, keep := 0)
        del slot.tokens[keep:]

    # KV states on disk

    def _use_files(self, active: Active) -> None:
        """Load the stable part of the prompt from disk, or plan to save it, where memory does not have it."""
        slot, request = active.slot, active.job.request
        stable = min(request.stable, len(request.prompt) - 1)
        if not self._files or stable < MIN_TOKENS or len(slot.tokens) > stable - MIN_TOKENS // 2:
            return
        tokens = request.prompt[:stable]
        state = self._files.load(tokens)
        if state is None:
            active.save_at = stable
            return
        self._cut(slot, 0)
        if self._context.restore(slot.id, state) and self._context.length(slot.id) == stable:
            slot.tokens = list(tokens)
        else:
            self._context.cut(slot.id, 0)

    def _save(self, active: Active) -> None:
        active.save_at = 0
        state = self._context.save(active.slot.id)
        count = len(active.slot.tokens)
        if self._files and worth_keeping(tokens=count, tokens_per_second=self._speed, size=len(state)):
            self._files.save(active.slot.tokens, state)

    # One decode

    def _fill_batch(self) -> list[Active]:
        """Generations with rows in the batch: first all that write, then pieces of the prompts that are still read."""
        self._batch.clear()
        pending = [active for active in self._active.values() if active.pending]
        writing = [active for active in pending if not active.reading]
        reading = [active for active in pending if active.reading]
        for active in writing:
            self._add_rows(active, active.pending)
        left = self._batch.capacity - self._batch.rows
        if writing:
            left = min(left, max(MIN_CHUNK, int(self._speed * PREFILL_SECONDS)))
        for index, active in enumerate(reading):
            share = max(1, left // (len(reading) - index))
            left -= self._add_rows(active, share)
        return [active for active in pending if active.batched]

    def _add_rows(self, active: Active, most: int) -> int:
        begin = len(active.slot.tokens)
        count = min(active.pending, most, self._batch.capacity - self._batch.rows)
        if begin < active.save_at:
            count = min(count, active.save_at - begin)
        active.batched, active.row = count, None
        if count <= 0:
            return 0
        last = count == active.pending
        row = self._batch.add(
            active.running.tokens[begin : begin + count], sequence=active.slot.id, position=begin, output=last
        )
        active.row = row if last else None
        return count

    def _decode(self, rows: list[Active]) -> Decode:
        begin = perf_counter()
        try:
            status = self._context.decode(self._batch)
        except (FclocalError, RuntimeError) as error:
            for active in rows:
                self._fail(active, error)
            return Decode.ABORTED
        if status is Decode.DONE and self._batch.rows >= MIN_CHUNK:
            self._speed = self._batch.rows / (perf_counter() - begin)
        return status

    def _settle(self, rows: list[Active], status: Decode) -> None:
        """Bring the slots in line with what llama.cpp has in memory now."""
        for active in rows:
            slot, running = active.slot, active.running
            done = len(slot.tokens) + active.batched if status is Decode.DONE else self._context.length(slot.id)
            slot.tokens += running.tokens[len(slot.tokens) : done]
            del slot.tokens[done:]
            if status is Decode.DONE and active.save_at == len(slot.tokens):
                self._save(active)
            if not active.running.stopped and len(slot.tokens) - active.batched < running.prompt_size:
                done = min(len(slot.tokens), running.prompt_size)
                active.job.consumer.deliver(Prefilled(done, running.prompt_size, running.cached))
        if status is Decode.NO_ROOM and not self._forget_idle():
            self._fail(rows[-1], ContextFull("The KV cache is full.", "Raise --context, or run fewer at once."))

    def _forget_idle(self) -> bool:
        idle = [slot for slot in self._slots if not slot.busy and slot.tokens]
        for slot in idle:
            self._cut(slot, 0)
        return bool(idle)

    def _sample(self, active: Active, row: int) -> None:
        try:
            active.running.advance(self._context.logits(row))
        except FclocalError as error:
            self._fail(active, error)
        self._flush(active)

    def _flush(self, active: Active) -> None:
        for step in active.running.steps:
            active.job.consumer.deliver(step)
        active.running.steps.clear()

    def _fail(self, active: Active, error: Exception) -> None:
        active.running.stopped = True
        active.running.steps.clear()
        active.job.consumer.deliver(error)
