"""What the words of commands tell of the files that they name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from respawn_kernels.cell_code.shell_commands import Commands, commands_of


def made(makes: str = "", goes_on: str = "", names: str = "", lists: str = "") -> Commands:
    return Commands(*(set(words.split()) for words in (makes, goes_on, names, lists)))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("!sed -i 's/x/{word}/' in.txt", made(names="in.txt")),
        ("!echo $w >> out.txt", made(goes_on="out.txt")),
        ("x = !sort in.txt > out.txt", made(makes="out.txt", names="in.txt")),
        ("%%bash\nsort -o a.txt a.txt\ncp b.txt c.txt", made(makes="a.txt c.txt", names="a.txt b.txt")),
        ("!gunzip a.csv.gz", made(goes_on="a.csv a.csv.gz")),
        ("!unzip -o a.zip", made(names="a.zip")),
        ("!tee -a log < in.txt", made(goes_on="log", names="in.txt")),
        ("!mkdir -p d", made()),
        ("!mkdir d", made(goes_on="d")),
        ("!ls", made(lists=".")),
        ("!ls in/*.csv | wc -l", made(lists="in/*.csv")),
        ("!pip list", made()),
        ("!echo 'a > b'", made()),
        ("!wget -q -O a.csv https://example.org/a.csv", made(makes="a.csv")),
        ("!python make.py --out=a.csv in.csv", made(makes="a.csv", names="make.py in.csv")),
        ("if a:\n    !rm -f {f} x.txt", made()),
        ("import subprocess\nsubprocess.run(['sort', f'{a}', 'in.txt'])", made(names="in.txt")),
        ("os.system('cat a | sort >> b')", made(goes_on="b", names="a")),
        ("print('>> a')", made()),
        ("!echo 'not closed", made()),
    ],
)
def test_words_are_sorted_by_what_becomes_of_files(source: str, found: Commands) -> None:
    assert replace(commands_of(source), programs=set()) == found


def test_programs_that_may_change_more_than_they_name_are_told() -> None:
    assert commands_of("!make all && ls; pip list | wc -l; sed -i s/x/y/ a").programs == {"make"}
