"""What the commands in a cell do with the files that they name, by their words; nothing is executed.

A child process opens files without an event of Python. Its command shows which ones it makes anew
(`> out.txt`, `cp a b`, `-o out.txt`), which it adds to or finds in its way (`>> out.txt`, `gunzip a.gz`,
`mkdir d`), and which it lists. What a word of another program means is not known: it counts as named.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from respawn_kernels.cell_code.syntax import tree_of, without_magics

_LINE = re.compile(r"^\s*(?:[\w, ]+=\s*)?(?:!|%sx\s|%system\s)(!?.*)$")
_SCRIPT = re.compile(r"\s*%%(?:(?:bash|sh|script|system|sx)\b.*|!.*)$")
_CALLED = frozenset(
    [
        *("run", "call", "check_call", "check_output", "Popen", "system", "popen", "getoutput"),
        *("getstatusoutput", "create_subprocess_exec", "create_subprocess_shell", "spawn"),
    ]
)
_MAKES = frozenset([">", ">|", "&>", "<>&"])
_ENDS = frozenset(["|", "||", "&&", ";", "&", "(", ")", "|&", ";;", "\n"])
_BEFORE = frozenset(["sudo", "env", "time", "nohup", "nice", "command", "exec", "then", "do", "else", "if"])
_COPIES = frozenset(["cp", "install", "rsync", "scp"])
_LISTS = frozenset(["ls", "find", "tree", "du"])
_SAYS = frozenset(["echo", "printf", "cd", "export", "set", "which", "pip", "pip3", "conda", "kill"])
_READS = frozenset(
    [
        *("cat", "head", "tail", "wc", "grep", "sort", "uniq", "cut", "diff", "date"),
        *("uname", "env", "pwd", "df", "free", "stat", "nvidia-smi"),
    ]
)
_CHANGES = frozenset(["sed", "mv", "rm", "tee", "touch", "chmod", "true", "false", "sleep", "test"])
_IN_THE_WAY = frozenset(
    ["gzip", "gunzip", "bzip2", "bunzip2", "xz", "unxz", "zstd", "unzip", "zip", "mkdir", "ln"]
)
"""What fails, asks or adds where a file that it would make is there, unless an option says otherwise."""
_FORCED = re.compile(r"-(?!-)\w*[fp]\w*$|--(force|parents)$|-o$|-\w*o\w*$")
_OUTPUT = re.compile(r"-o$|-O$|--out\w*$|--output-\w+$")
_OUTPUT_WITH = re.compile(r"--out[\w-]*=(.+)$")
_UNKNOWN = "\x00"
"""In the place of what is filled in when the cell runs."""


@dataclass(frozen=True)
class Commands:
    """The words of commands that may be files, as they are given."""

    makes: set[str] = field(default_factory=set)
    """Made anew whatever was there."""
    goes_on: set[str] = field(default_factory=set)
    """Added to, or in the way where they are there."""
    names: set[str] = field(default_factory=set)
    """Used in another way."""
    lists: set[str] = field(default_factory=set)
    """Directories that are listed, and patterns."""

    programs: set[str] = field(default_factory=set)
    """Those that may change files which their words do not name."""

    def add(self, command: str | Sequence[str]) -> None:
        """Read one more command: a text for a shell, or a program with its arguments."""
        words = _words(command) if isinstance(command, str) else [str(word) for word in command]
        if words[1:2] == ["-c"] and words[0].rpartition("/")[2] in ("sh", "bash", "dash", "zsh"):
            words = _words(" ".join(words[2:3]))
        part: list[str] = []
        for word in [*words, ";"]:
            if word in _ENDS:
                self._simple(part)
                part = []
            else:
                part.append(word)

    def _simple(self, words: list[str]) -> None:
        rest = list(self._without_redirections(words))
        while rest and (rest[0] in _BEFORE or re.match(r"\w+=", rest[0])):
            rest.pop(0)
        if not rest:
            return
        program, given = rest[0].rpartition("/")[2], rest[1:]
        if program not in _SAYS | _LISTS | _READS | _COPIES | _IN_THE_WAY | _CHANGES:
            self.programs.add(program)
        files = list(self._without_outputs(given)) if program not in _IN_THE_WAY else given
        files = [word for word in files if not word.startswith("-")]
        if program in _SAYS:
            return
        if program in _LISTS:
            self.lists.update(_files(files) or ({"."} if not files else set()))
        elif program in _COPIES or program == "mv":
            self.makes.update(_files(files[-1:]))
            self.names.update(_files(files[:-1]))
        elif program == "tee":
            (self.goes_on if {"-a", "--append"} & set(given) else self.makes).update(_files(files))
        elif program in _IN_THE_WAY and not any(map(_FORCED.match, given)):
            self.goes_on.update(_files(files))
            self.goes_on.update(re.sub(r"\.(gz|bz2|xz|zst)$", "", word) for word in _files(files))
        elif program not in ("mkdir", "touch") and not (program == "rm" and any(map(_FORCED.match, given))):
            self.names.update(_files(files))
        self.lists.update(word for word in _files(files) if re.search(r"[*?\[]", word))

    def _without_redirections(self, words: Iterable[str]) -> Iterator[str]:
        waiting: set[str] | None = None
        for word in words:
            if waiting is not None:
                waiting.update(_files([word]))
                waiting = None
            elif word in (">>", "&>>"):
                waiting = self.goes_on
            elif word in _MAKES or word == ">&":
                waiting = self.makes
            elif word == "<":
                waiting = self.names
            elif not re.fullmatch(r"[<>&|]+", word):
                yield word

    def _without_outputs(self, words: Iterable[str]) -> Iterator[str]:
        output = False
        for word in words:
            if output:
                self.makes.update(_files([word]))
            elif found := _OUTPUT_WITH.match(word):
                self.makes.update(_files([found[1]]))
            elif not _OUTPUT.match(word):
                yield word
            output = not output and _OUTPUT.match(word) is not None


def commands_of(source: str) -> Commands:
    """Return what the commands do that a cell's source holds: its magics, and calls that start processes."""
    found = Commands()
    lines = source.lstrip("\n").splitlines()
    if lines and _SCRIPT.match(lines[0]):
        found.add("\n".join([*_rest_of(lines[0]), *lines[1:]]))
        return found
    for line in lines:
        if command := _LINE.match(line):
            found.add(command[1].lstrip("!").replace("{{", "\1").replace("}}", "\2"))
    tree = tree_of(without_magics(source))
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and _name_of(node.func) in _CALLED and node.args:
            _add_call(found, node)
    return found


def _rest_of(line: str) -> list[str]:
    return [line.partition("!")[2]] if "%%!" in line else []


def _add_call(found: Commands, node: ast.Call) -> None:
    first = node.args[0]
    if isinstance(first, ast.List | ast.Tuple):
        found.add([_text(one) for one in first.elts])
    elif (text := _text(first)) != _UNKNOWN:
        several = [_text(one) for one in node.args]
        found.add(several if _name_of(node.func) == "create_subprocess_exec" else text)


def _text(node: ast.expr) -> str:
    """Return a text as far as it is known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    return _UNKNOWN


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _words(text: str) -> list[str]:
    """Return the words of a shell's text; where it cannot be read, what lies between spaces."""
    found: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        reader = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
        reader.whitespace_split = True
        try:
            found += [*reader, "\n"]
        except ValueError:  # a quotation continues in the next line
            found += [*line.replace("'", " ").replace('"', " ").split(), "\n"]
    return found


def _files(words: Iterable[str]) -> set[str]:
    """Return the words that may be files and are known as a whole."""
    return {word for word in words if 0 < len(word) <= 300 and not re.search(r"[\x00\n{}$`]|://", word)}
