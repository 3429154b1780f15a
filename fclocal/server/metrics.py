"""Counters as Prometheus text. Knows numbers and names, not what is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from time import time

from fclocal.events import Timings


@dataclass(slots=True)
class Metrics:
    """What happened since the start."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    replies: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    sampled_tokens: int = 0
    forced_tokens: int = 0
    prompt_seconds: float = 0.0
    reply_seconds: float = 0.0
    started: float = field(default_factory=time)

    def count_reply(self, timings: Timings) -> None:
        """Add one finished generation."""
        self.replies += 1
        self.prompt_tokens += timings.prompt_tokens
        self.cached_tokens += timings.cached_tokens
        self.sampled_tokens += timings.sampled_tokens
        self.forced_tokens += timings.forced_tokens
        self.prompt_seconds += timings.prompt_ms / 1000
        self.reply_seconds += timings.reply_ms / 1000

    def text(self, *, serving: int, waiting: int, loaded: bool) -> str:
        """The exposition format, version 0.0.4."""
        lines = [
            "# HELP fclocal_requests_total HTTP requests by route and status.",
            "# TYPE fclocal_requests_total counter",
        ]
        for (route, status), count in sorted(self.requests.items()):
            lines.append(f'fclocal_requests_total{{route="{route}",status="{status}"}} {count}')
        counters: list[tuple[str, str, float]] = [
            ("replies_total", "Generations that ended.", self.replies),
            ("calls_total", "Valid calls that were made.", self.calls),
            ("prompt_tokens_total", "Prompt tokens.", self.prompt_tokens),
            ("cached_tokens_total", "Prompt tokens that were in the KV cache already.", self.cached_tokens),
            ("sampled_tokens_total", "Reply tokens that were sampled.", self.sampled_tokens),
            ("forced_tokens_total", "Reply tokens that the grammar forced.", self.forced_tokens),
            ("prompt_seconds_total", "Seconds spent reading prompts.", self.prompt_seconds),
            ("reply_seconds_total", "Seconds spent writing replies.", self.reply_seconds),
        ]
        gauges: list[tuple[str, str, float]] = [
            ("serving", "Requests that are being answered.", serving),
            ("waiting", "Requests that wait for their turn.", waiting),
            ("model_loaded", "Whether a model is in memory.", int(loaded)),
            ("start_time_seconds", "When the server started, Unix time.", self.started),
        ]
        for kind, rows in (("counter", counters), ("gauge", gauges)):
            for name, help_text, value in rows:
                lines += [
                    f"# HELP fclocal_{name} {help_text}",
                    f"# TYPE fclocal_{name} {kind}",
                    f"fclocal_{name} {value}",
                ]
        return "\n".join(lines) + "\n"
