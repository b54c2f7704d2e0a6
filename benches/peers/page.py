"""The tables, and the targets with whether they are reached."""

import json

from measure import middle, ratios

MIB = 1024 * 1024
# Model, peer, Plimsoll's replies per CPU-second over the peer's.
TIMES = (
    ("iris", "multi-model-server", 25.0),
    ("iris", "fastapi", 9.0),
    ("minilm", "multi-model-server", 1.25),
    ("minilm", "fastapi", 1.04),
)
START_MS = 100.0
RESIDENT_MB = 45.0
HEAD = (
    "server",
    "replies per CPU-second",
    "lowest–highest",
    "Plimsoll ÷ it",
    "requests/s",
    "p50 / p99 ms, one connection",
    "start to first 200, s",
    "resident MiB",
    "installed MiB",
)


def number(value):
    """Three digits or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def joined(sides):
    """Figures of one server from several pairs, as if they were one."""
    whole = {}
    for side in sides:
        for name, values in side.items():
            whole.setdefault(name, []).extend(values if isinstance(values, list) else [values])
    return whole


def row(title, side, times, installed):
    rate = side["per_cpu_second"]
    cells = [
        title,
        number(middle(rate)),
        f"{number(min(rate))}–{number(max(rate))}",
        times,
        number(middle(side["per_second"])),
        f"{middle(side['p50_ms']):.2f} / {middle(side['p99_ms']):.2f}",
        f"{middle(side['start_s']):.2f}",
        number(middle(side["resident_bytes"]) / MIB),
        number(installed / MIB),
    ]
    return "| " + " | ".join(cells) + " |"


def table(model, results):
    """The rows of one model, the quickest peer first."""
    pairs = sorted((result for result in results if result["model"] == model), key=lambda pair: middle(ratios_of(pair)))
    plimsoll = joined([result["plimsoll"] for result in pairs])
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    # The binary and library of the last pair: all pairs of a table are of one binary.
    lines.append(row("**Plimsoll**", plimsoll, "1", pairs[-1]["plimsoll_installed"]))
    for result in pairs:
        times = ratios_of(result)
        text = f"**{number(middle(times))}** ({number(min(times))}–{number(max(times))})"
        lines.append(row(result["title"], joined([result["figures"]]), text, result["installed"]))
    return "\n".join(lines)


def ratios_of(result):
    return ratios(result["plimsoll"], result["figures"])


def versions(results):
    lines = {result["title"]: result["versions"] for result in results}
    return "\n".join(f"- {title}: {said}" for title, said in lines.items())


def target(name, measured, least=None, most=None):
    """The line that all benches print for a target."""
    if most is None:
        kept, wanted = measured >= least, f"at least {least:.2f}"
    else:
        kept, wanted = measured <= most, f"at most {most:.2f}"
    return f"target: {name}: {measured:.2f}, wanted {wanted}: {'reached' if kept else 'NOT reached'}"


def targets(results):
    """A line for each target of which the figures are there."""
    lines = []
    for model, peer, least in TIMES:
        for result in results:
            if (result["model"], result["peer"]) == (model, peer):
                name = f"{model}: Plimsoll ÷ {peer}, replies per CPU-second"
                lines.append(target(name, middle(ratios_of(result)), least=least))
    iris = [result["plimsoll"] for result in results if result["model"] == "iris"]
    if iris:
        whole = joined(iris)
        lines.append(target("iris: start to first 200, ms", middle(whole["start_s"]) * 1000, most=START_MS))
        lines.append(target("iris: resident, MB", max(whole["resident_bytes"]) / 1e6, most=RESIDENT_MB))
    return lines


def page(results):
    """All tables and the versions, as Markdown."""
    parts = []
    for model in dict.fromkeys(result["model"] for result in results):
        parts.append(f"### {model}\n\n{table(model, results)}")
    return "\n\n".join([*parts, versions(results)]) + "\n"


def recorded(path):
    """The results of earlier runs, where there is such a file."""
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else []


def with_result(results, result):
    """The results with this one, in the place of an older one of the same pair."""
    pair = (result["model"], result["peer"])
    return [other for other in results if (other["model"], other["peer"]) != pair] + [result]
