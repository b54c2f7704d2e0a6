"""Checks with names: a line for each, and a count at the end.

    checks = Checks()
    with checks("a_row_comes_back"):
        expect(reply, [[10.0]])
    checks.finish()

prints `ok a_row_comes_back` or `FAILED a_row_comes_back: reason`, then the
count, and leaves with exit status 1 if one has failed. A check that failed
does not keep the next ones from being made.
"""

import sys
import time
from contextlib import contextmanager


class Checks:
    def __init__(self):
        self.made = 0
        self.failed = 0
        # Where it went when this was made: some clients print much, and are sent elsewhere.
        self.out = sys.stdout

    @contextmanager
    def __call__(self, name):
        """Whatever is raised inside is what is wrong."""
        self.made += 1
        try:
            yield
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failed += 1
            reason = str(error).replace("\n", " ") or type(error).__name__
            print(f"FAILED {name}: {reason[:2000]}", file=self.out, flush=True)
        else:
            print(f"ok {name}", file=self.out, flush=True)

    def finish(self):
        """Says how many there were, and leaves."""
        print(f"{self.made} checks, {self.failed} failed", file=self.out, flush=True)
        sys.exit(1 if self.failed or not self.made else 0)


def expect(found, wanted, what="it"):
    """They are equal."""
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, expected {wanted!r}")


def expect_near(found, wanted, within=1e-3):
    """Numbers, or flat rows of numbers, that differ by no more."""
    found, wanted = list(found), list(wanted)
    if len(found) != len(wanted):
        raise AssertionError(f"{len(found)} numbers, expected {len(wanted)}: {found!r}")
    for at, (one, other) in enumerate(zip(found, wanted)):
        if not abs(float(one) - float(other)) <= within:
            raise AssertionError(f"number {at} is {one!r}, expected {other!r}")


def expect_in(part, whole, what="it"):
    """The part is there."""
    if part not in whole:
        raise AssertionError(f"{what} lacks {part!r}: {whole!r}")


@contextmanager
def refused(kind, *parts):
    """What is done inside raises an error of this kind that says all of these parts."""
    try:
        yield
    except kind as error:
        for part in parts:
            expect_in(part, str(error), "the error")
    else:
        raise AssertionError(f"nothing was refused, expected {kind.__name__}")


def eventually(what, done, seconds=10.0):
    """Waits until `done()` gives something that counts as true, which comes back."""
    end = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)
