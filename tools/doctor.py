"""Check the environment and say what mends it.

Exit status 1 if anything fails. Runs with the standard library alone, so also where nothing else does.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    doctor = load_doctor()
    environment = doctor.Environment(ROOT / 'requirements', room=str(ROOT))
    print('examining the environment: some seconds, for everything is imported', file=sys.stderr, flush=True)
    findings = list(doctor.examine(environment))
    show(findings)
    sys.exit(any(finding.status == doctor.FAIL for finding in findings))


def load_doctor():
    """The package ``gaia_ssl/doctor``, by its path: gaia_ssl itself may be impossible to import."""
    folder = next(path for path in (ROOT / 'gaia_ssl' / 'doctor', ROOT.parent / 'doctor') if path.is_dir())
    spec = importlib.util.spec_from_file_location('gaia_ssl_doctor', folder / '__init__.py',
                                                  submodule_search_locations=[str(folder)])
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def show(findings: list) -> None:
    """A table of the findings, then the command of each that needs one, whole lines to copy."""
    try:
        show_table(findings)
    except Exception:  # rich is a package like any other: missing, or broken
        width = max(len(finding.check) for finding in findings)
        for finding in findings:
            print(f'{finding.status:<5} {finding.check:<{width}}  {finding.found}')
    for finding in findings:
        if finding.mend:
            print(f'{finding.status}: {finding.check}\n  {finding.mend}')
    counts = {status: sum(finding.status == status for finding in findings) for status in ('fail', 'warn', 'ok')}
    print(f'{counts["fail"]} failed, {counts["warn"]} to know of, {counts["ok"]} in order')


def show_table(findings: list) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    colours = dict(ok='green', warn='yellow', fail='bold red')
    table = Table('check', 'found', '', title='Environment', box=SIMPLE)
    for finding in findings:
        table.add_row(Text(finding.check), Text(finding.found), Text(finding.status, style=colours[finding.status]))
    console = Console()
    console.width = max(100, console.width)
    console.print(table)


if __name__ == '__main__':
    main()
