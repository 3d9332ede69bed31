"""`occsynth doctor`: is this installation sound?"""

import typer

from occsynth.cli.output import counted, fail


def doctor() -> None:
    """Check versions, system libraries and shipped files, and run a self-test."""
    from occsynth.doctor import run_doctor

    checks = run_doctor()
    for check in checks:
        typer.echo(f"{'ok' if check.ok else 'FAIL'}\t{check.name}\t{check.detail}")
    bad = [check.name for check in checks if not check.ok]
    if bad:
        raise fail(f"{len(bad)} of {counted(len(checks), 'check')} failed: {', '.join(bad)}")
