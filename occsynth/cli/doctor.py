"""`occsynth doctor`: is this installation sound?"""

from occsynth.cli.output import counted, fail, say


def doctor() -> None:
    """Check versions, system libraries and shipped files, and run a self-test."""
    from occsynth.doctor import run_doctor

    checks = run_doctor()
    for check in checks:
        say("ok" if check.ok else "FAIL", check.name, check.detail)
    bad = [check.name for check in checks if not check.ok]
    if bad:
        raise fail(f"{len(bad)} of {counted(len(checks), 'check')} failed: {', '.join(bad)}")
