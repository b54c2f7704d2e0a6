"""Cases through the server: encode, POST /invocations, decode, compare."""

import json

import cases
import compare
import floor
import formats
import workers
from server import Gone, Server

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def run_all(arguments, names):
    """Verdict and reason of each case in each format: {name: {format: [verdict, reason]}}."""
    chosen = [part for format_ in arguments.format for part in ("--format", format_)]
    places = [arguments.cases, arguments.floor, arguments.binary, arguments.library]
    results = workers.run(names, arguments.jobs, ["run-worker", *map(str, places), *chosen])
    for name, said in results.items():
        if isinstance(said, str):
            results[name] = dict.fromkeys(arguments.format, [FAILED, f"the client {said}"])
    return results


class Client:
    def __init__(self, arguments):
        self.cases = arguments.cases
        self.binary = arguments.binary
        self.library = arguments.library
        self.formats = arguments.format
        self.below = floor.load(arguments.floor)

    def verdicts(self, name):
        """Verdict and reason in each format."""
        if name not in self.below:
            return dict.fromkeys(self.formats, [FAILED, "its floor was not measured"])
        case = cases.load(self.cases, name)
        verdicts, carried = {}, []
        for format_ in self.formats:
            if reason := uncarried(case, formats.ALL[format_]):
                verdicts[format_] = [SKIPPED, f"not carried: {reason}"]
            elif self.below[name]:
                verdicts[format_] = [SKIPPED, f"below the floor: {self.below[name]}"]
            else:
                carried.append(format_)
        return verdicts | self.ask(case, carried)

    def ask(self, case, carried):
        """All formats of the same process, unless it dies over one."""
        verdicts = {}
        while len(verdicts) < len(carried):
            with Server(self.binary, self.library, case.model) as server:
                try:
                    server.wait_until_ready()
                except Gone as error:
                    return dict.fromkeys(carried, [FAILED, str(error)]) | verdicts
                for format_ in carried[len(verdicts) :]:
                    reason = self.difference(server, case, formats.ALL[format_])
                    verdicts[format_] = [FAILED, reason] if reason else [PASSED, ""]
                    if not server.alive:
                        break
        return verdicts

    def difference(self, server, case, format_):
        """None if every set of inputs gives the recorded outputs, else the reason."""
        for inputs, expected in case.sets:
            try:
                found = exchange(server, format_, dict(zip((name for name, _ in case.inputs), inputs)))
            except (Gone, Refused) as error:
                return str(error)
            except (formats.BadReply, KeyError, TypeError, ValueError, OSError) as error:
                return f"the reply cannot be read: {error!r}"
            names = [name for name, _ in case.outputs]
            if list(found) != names:
                return f"outputs {list(found)}, {names} expected"
            if reason := compare.outputs(case, expected, list(found.values())):
                return reason
        return None


class Refused(Exception):
    """Not a 200 of the type asked for."""


def exchange(server, format_, arrays):
    headers, body = format_.encode(arrays)
    status, content_type, reply = server.invoke(headers, body)
    if status != 200:
        raise Refused(f"{status} {error_text(reply)}")
    media = formats.media_type(content_type)
    if media.get_content_type() != format_.media:
        raise Refused(f"a reply of {content_type}, {format_.media} expected")
    return format_.decode(media, reply)


def error_text(reply):
    try:
        return json.loads(reply)["error"]
    except (ValueError, KeyError, TypeError):
        return reply[:200].decode(errors="replace")


def uncarried(case, format_):
    """Why the format has no way to write this case, if so."""
    if kinds := sorted({kind for _, kind in [*case.inputs, *case.outputs]} - {"tensor"}):
        return kinds[0]
    values = [value for inputs, outputs in case.sets for value in [*inputs, *outputs]]
    if strange := sorted({array.dtype.name for array in floor.arrays(values)} - set(format_.carried)):
        return strange[0]
    return None
