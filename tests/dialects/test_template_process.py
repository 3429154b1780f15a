"""Foreign templates are stopped: payloads, bombs, and what an honest template needs."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from fclocal.dialects.template_process import MEMORY, SECONDS, TemplateRefusal, render_template
from fclocal.errors import ModelBroken


def render(template: str, **variables: object) -> str:
    return render_template(template, json.dumps(variables), "mark")


PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ strftime_now.__globals__ }}",
    "{{ strftime_now.__code__ }}",
    "{{ ''|attr('__class__') }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ ''['__class__'] }}",
    "{{ 'x'['format']['__func__'] }}",
    "{% set x = [] %}{{ x.append(1) }}",
    "{% set x = {} %}{{ x.update(a=1) }}",
    "{% import 'os' as os %}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{{ lipsum.__globals__['os'] }}",
    "{{ range(3).__class__ }}",
    "{{ ().__class__.__base__ }}",
    "{{ messages.__class__ }}",
    "{{ dict.__base__ }}",
    "{{ {}.__init__.__globals__ }}",
    "{{ [].sort() }}",
    "{% for k in [1]|map(attribute='__class__') %}{{ k.mro() }}{% endfor %}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ ''|map(attribute='__class__')|list|string|attr('x') }}{{ [''.format]|first|attr('__self__') }}{{ x() }}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_reach_nothing(payload: str) -> None:
    try:
        rendered = render(payload, messages=[])
    except ModelBroken:
        return
    assert not any(sign in rendered for sign in ("class", "uid=", "root:", "built-in", "module", "function", "0x"))


BOMBS = [
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ 'a' * 10**12 }}",
    "{% set x = 'a' * 10**6 %}{% for i in range(9000) %}{{ x }}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ 10**(10**9) }}",
    "{{ '%1000000000s' % 'a' }}",
    "{{ 'x'|center(10**9) }}",
    "{{ ['x']|batch(10**9, 1)|list|length }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_stopped(bomb: str) -> None:
    began = time.monotonic()
    with pytest.raises(ModelBroken) as stopped:
        render(bomb)
    # The limit counts from when the process is ready to render.
    assert time.monotonic() - began < SECONDS + 3
    assert "--dialect" in stopped.value.cure


BOMB = """
import resource
from fclocal.dialects.template_process import render_template
from fclocal.errors import ModelBroken
template = (
    "{% set ns = namespace(x='a' * 1000) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"
)
try:
    render_template(template, "{}", "mark")
except ModelBroken as error:
    assert "memory" in str(error), error
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_of_a_bomb_stays_in_its_limit() -> None:
    """In a process of its own, because the peak is that of the largest child a process ever had."""
    pytest.importorskip("resource", reason="peak memory of children is known on POSIX only")
    done = subprocess.run([sys.executable, "-c", BOMB], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert int(done.stdout) * 1024 < MEMORY * 1.25


def test_what_honest_templates_use() -> None:
    template = (
        "{%- for m in messages %}\n    {%- if loop.index > 2 %}{% break %}{% endif %}\n"
        "    {{- m['role'] + ':' + m.content | trim }}|\n{%- endfor %}"
        "{% generation %}reply{% endgeneration %} {{ tool | tojson }} {{ {'é': [1, none]} | tojson(indent=2) }}"
        " {{ strftime_now('%%') }}"
    )
    messages = [{"role": "user", "content": f" {n} "} for n in range(4)]
    rendered = render(template, messages=messages, tool={"a": "<'é>"})
    assert rendered == 'user:0|user:1|reply {"a": "<\'é>"} {\n  "é": [\n    1,\n    null\n  ]\n} %'


def test_tools_are_marked() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    written = render("[{{ tools[0] | tojson }}]{{ 'x' | tojson }}", tools=[tool])
    assert written == f'[markb{json.dumps(tool)}marke]"x"'


def test_refusal_keeps_its_words() -> None:
    with pytest.raises(TemplateRefusal, match="refuses this conversation: Roles must alternate"):
        render("{{ raise_exception('Roles must alternate!') }}")


@pytest.mark.parametrize("template", ["{% if %}", "{{ x.y.z }}", "{{ messages[0].content + 1 }}", "{% nope %}"])
def test_broken_templates_are_one_sentence(template: str) -> None:
    with pytest.raises(ModelBroken) as broken:
        render(template, messages=[{"content": "a"}])
    assert "\n" not in str(broken.value)
    assert "cannot be rendered" in broken.value.sentence


def test_environment_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSTARTUP", "/nonexistent")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    assert render("ok {{ n }}", n="\ud800") == "ok \ud800"
