import pytest

from gaia_ssl import cli
from tests import tiny


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in (('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1'), ('LOCAL_RANK', '0')):
        monkeypatch.setenv(name, value)  # so that what a tool sets is put back
        monkeypatch.delenv(name)


@pytest.fixture
def tool(monkeypatch, capfd):
    """``tool('search', *arguments)`` runs tools/search.py in this process; its error line, or None for success."""
    def call(name: str, *arguments: object) -> str | None:
        monkeypatch.setattr('sys.argv', [f'tools/{name}.py', *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.run(tiny.load_tool(name).main)
        except SystemExit as exit:
            lines = capfd.readouterr().err.splitlines()
            assert exit.code == 1 and len(lines) == 1 and lines[0].startswith('error: '), (exit.code, lines)
            return lines[0]
        return None

    return call
