"""Completions for bash, zsh and fish, made of the help pages: they start no Python, so they answer at once."""

from __future__ import annotations

from collections.abc import Iterator

from pages import Entry, Page

BASH = """# bash completion for fclocal
_fclocal() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command="" word next
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        next="${{command:+$command }}$word"
        case "$next" in
            {commands}) command=$next ;;
        esac
    done
    local -A words=(
{words}
    )
    local -A choices=(
{choices}
    )
    case "$previous" in
        {paths}) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -*)
            if [[ -v choices["$command $previous"] ]]; then
                mapfile -t COMPREPLY < <(compgen -W "${{choices["$command $previous"]}}" -- "$cur")
                return
            fi ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "${{words["=$command"]}}" -- "$cur")
}}
complete -o default -o nosort -F _fclocal fclocal
"""
ZSH = """#compdef fclocal
_fclocal() {{
    local command="" word next
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        next="${{command:+$command }}$word"
        case "$next" in
            ({commands}) command=$next ;;
        esac
    done
    local -a options names
    case "$command" in
{cases}
    esac
    if (( $#names )) && [[ $PREFIX != -* ]]; then
        _describe command names
    else
        _arguments -s $options '*:file:_files'
    fi
}}
_fclocal "$@"
"""


def bash(pages: tuple[Page, ...]) -> str:
    """The file /usr/share/bash-completion/completions/fclocal."""
    words = [f'        ["={page.words}"]="{" ".join(_all_words(page))}"' for page in pages]
    fixed = [
        f'        ["{page.words} {flag}"]="{" ".join(option.choices)}"'
        for page in pages
        for option in page.options
        for flag in option.flags
        if option.choices
    ]
    paths = sorted({flag for page in pages for option in page.options if option.is_path for flag in option.flags})
    return BASH.format(
        commands="|".join(f'"{page.words}"' for page in pages[1:]),
        words="\n".join(words),
        choices="\n".join(fixed),
        paths="|".join(paths),
    )


def zsh(pages: tuple[Page, ...]) -> str:
    """The file /usr/share/zsh/vendor-completions/_fclocal."""
    cases = []
    for page in pages:
        options = " ".join(_quoted(spec) for option in page.options for spec in _zsh_specs(option))
        names = " ".join(_quoted(f"{name}:{text}") for name, text in _below(page, pages))
        cases.append(f'        ("{page.words}") options=({options}); names=({names}) ;;')
    return ZSH.format(commands="|".join(f'"{page.words}"' for page in pages[1:]), cases="\n".join(cases))


def fish(pages: tuple[Page, ...]) -> str:
    """The file /usr/share/fish/vendor_completions.d/fclocal.fish."""
    lines = ["# fish completion for fclocal"]
    for page in pages:
        condition = _fish_condition(page, pages)
        for name, text in _below(page, pages):
            lines.append(f"complete -c fclocal -f -n {condition} -a {name} -d {_fish_quoted(text)}")
        for option in page.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            needs = " -r" if option.value else ""
            given = f" -f -a {_fish_quoted(' '.join(option.choices))}" if option.choices and not option.is_path else ""
            lines.append(f"complete -c fclocal -n {condition} {flags}{needs}{given} -d {_fish_quoted(option.text)}")
    return "\n".join(lines) + "\n"


def _all_words(page: Page) -> Iterator[str]:
    yield from (entry.names for entry in page.commands)
    yield from (flag for option in page.options for flag in option.flags)


def _below(page: Page, pages: tuple[Page, ...]) -> Iterator[tuple[str, str]]:
    """Each command of a group with its summary, which the group's own page may have cut."""
    summaries = {other.words: other.summary for other in pages}
    for entry in page.commands:
        yield entry.names, summaries[f"{page.words} {entry.names}".strip()]


def _zsh_specs(option: Entry) -> Iterator[str]:
    text = option.text.translate(str.maketrans({"[": "(", "]": ")", ":": " "}))
    value = ""
    if option.value:
        action = "_files" if option.is_path else f"({' '.join(option.choices)})"
        value = f":{option.value.translate(str.maketrans(':', ' '))}:{action}"
    for flag in option.flags:
        yield f"*{flag}[{text}]{value}"


def _fish_condition(page: Page, pages: tuple[Page, ...]) -> str:
    """When the words of `page` were typed and none of those below it."""
    parts = [f"__fish_seen_subcommand_from {word}" for word in page.words.split()]
    below = [entry.names for entry in page.commands]
    if not page.words:
        return "__fish_use_subcommand"
    if below:
        parts.append(f"not __fish_seen_subcommand_from {' '.join(below)}")
    elif " " not in page.words:
        groups = [other.words for other in pages[1:] if other.commands]
        parts += [f"not __fish_seen_subcommand_from {' '.join(groups)}"]
    return _fish_quoted("; and ".join(parts))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
