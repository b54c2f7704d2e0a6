"""ONNX's own operator cases through a real `plimsoll serve`.

    conformance collect CASES                    writes the cases of the package `onnx`
    conformance floor CASES FLOOR                writes which of them plain ONNX Runtime passes
    conformance run CASES FLOOR BINARY LIBRARY   sends them through the server and compares

Nothing here is the server's own code: requests are written and replies read
by numpy, by Python's json and by `formats.py`. The cases that count are those
that plain ONNX Runtime passes in this very version (`floor.py`); each of them
comes back right in every format that has its types, or the run fails.
"""

import argparse
import os
import sys
from pathlib import Path

import cases
import client
import floor
import formats
import report
import workers


def main():
    arguments = parse()
    match arguments.chore:
        case "collect":
            cases.collect(arguments.cases)
        case "floor":
            floor.measure(arguments.cases, arguments.floor, wanted(arguments), arguments.jobs)
        case "run":
            names = wanted(arguments)
            report.show_floor(floor.load(arguments.floor), names)
            sys.exit(report.show(client.run_all(arguments, names), arguments.format))
        case "floor-worker":
            workers.serve(lambda name: floor.verdict(cases.load(arguments.cases, name)))
        case "run-worker":
            workers.serve(client.Client(arguments).verdicts)


def parse():
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__.splitlines()[0])
    chores = parser.add_subparsers(dest="chore", required=True)

    collect = chores.add_parser("collect", help="write the cases")
    collect.add_argument("cases", type=Path)

    for name in ("floor", "floor-worker"):
        measure = chores.add_parser(name, help="what plain ONNX Runtime passes")
        measure.add_argument("cases", type=Path)
        measure.add_argument("floor", type=Path)
        choice(measure)

    for name in ("run", "run-worker"):
        run = chores.add_parser(name, help="send the cases through the server")
        run.add_argument("cases", type=Path)
        run.add_argument("floor", type=Path)
        run.add_argument("binary", type=Path, help="plimsoll")
        run.add_argument("library", type=Path, help="ONNX Runtime's shared library")
        run.add_argument("--format", choices=list(formats.ALL), action="append", help="only this one; all if not given")
        choice(run)

    arguments = parser.parse_args()
    if arguments.chore.startswith("run") and not arguments.format:
        arguments.format = list(formats.ALL)
    return arguments


def choice(parser):
    parser.add_argument("--filter", default="", metavar="TEXT", help="only the cases with this in their name")
    parser.add_argument("--sample", type=Path, metavar="FILE", help="only the cases that this file names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="cases at the same time")


def wanted(arguments):
    """The names of the cases asked for; one that is not there is an error."""
    names = cases.names(arguments.cases)
    if arguments.sample:
        lines = (line.partition("#")[0].strip() for line in arguments.sample.read_text().splitlines())
        sample = [line for line in lines if line]
        if unknown := sorted(set(sample) - set(names)):
            sys.exit(f"{arguments.sample} names what is no case: {', '.join(unknown)}")
        names = sample
    names = [name for name in names if arguments.filter in name]
    if not names:
        sys.exit(f"no case has {arguments.filter!r} in its name")
    return names


if __name__ == "__main__":
    main()
