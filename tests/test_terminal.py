"""Names of files are data: what a terminal, rich or a log would make of them is not done."""

import io
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table

from gaia_ssl.terminal import PlainConsole, one_line, plain, plain_record, say

MARKUP = ['o[red]', '[/x]', 'a[/]', '[bold', ':smile:', '[link=file:///x]y[/link]', r'\[red]', '[@click=app.quit]']
STEERING = ['a\x1b[31mb', '\x07', 'x\rOK', '\x9b2J', '\u202egnp.exe', '\udcff', '\x00', '\u2028']
FUZZ = settings(deadline=None, derandomize=True, max_examples=100, database=None)


def printed(*things: object, width: int = 300) -> str:
    console = PlainConsole(width=width, file=io.StringIO())
    for thing in things:
        console.print(thing, soft_wrap=isinstance(thing, str))
    return console.file.getvalue()


@pytest.mark.parametrize('name', MARKUP)
def test_markup_is_shown_as_it_is(name):
    assert printed(f'folder: {name}') == f'folder: {name}\n'
    table = Table(name, title=name, caption=name, width=200)
    table.add_row(name)
    assert printed(table).count(name) == 4


@pytest.mark.parametrize('name', STEERING)
def test_what_steers_a_terminal_is_written_out(name, capsys):
    table = Table(name, title=name)
    table.add_row(name)
    say(name)
    for out in (printed(name, table), capsys.readouterr().out):
        assert name not in out and ascii(name)[1:-1] in out
        assert all(character.isprintable() or character == '\n' for character in out)


@FUZZ
@given(st.text())
def test_plain_keeps_words_and_steers_nothing(text):
    shown = plain(text)
    shown.encode('utf-8')  # no lone surrogate is left
    assert not any(ord(character) < 32 and character not in '\n\t' or 127 <= ord(character) < 160 for character in shown)
    assert plain(shown) == shown
    if text.isprintable():
        assert shown == text
    assert len(f'{one_line(text)}.'.splitlines()) == 1 or '\x85' in text


def test_a_console_is_at_least_as_wide_as_asked(monkeypatch):
    monkeypatch.setenv('COLUMNS', '40')
    assert (PlainConsole().width, PlainConsole(100).width) == (40, 100)
    monkeypatch.setenv('COLUMNS', '150')
    assert PlainConsole(100).width == 150


def test_a_log_file_takes_every_name(tmp_path):
    handler = logging.FileHandler(tmp_path / 'log', encoding='ascii', errors='backslashreplace')
    handler.addFilter(plain_record)
    handler.handle(logging.LogRecord('x', logging.INFO, '', 0, 'cannot read %s', ('b\udcff\x1b[2J.png', ), None))
    handler.close()
    assert (tmp_path / 'log').read_text() == 'cannot read b\\udcff\\x1b[2J.png\n'
