"""What came of it, for the terminal."""

from collections import Counter

from client import FAILED, PASSED, SKIPPED


def show_floor(verdicts, names):
    """Prints how many of `names` plain ONNX Runtime passes."""
    passed = sum(verdicts.get(name, "") is None for name in names)
    print(f"floor: plain ONNX Runtime passes {passed} of {len(names)}", flush=True)


def show(results, formats):
    """Prints the failures and a line for each format; the exit status."""
    for format_ in formats:
        for name, verdicts in results.items():
            verdict, reason = verdicts[format_]
            if verdict == FAILED:
                print(f"{format_}: {name} failed: {' '.join(reason.split())}")
    failed = 0
    for format_ in formats:
        verdicts = [verdicts[format_] for verdicts in results.values()]
        count = Counter(verdict for verdict, _ in verdicts)
        failed += count[FAILED]
        print(f"{format_}: {count[PASSED]} passed, {count[FAILED]} failed, {count[SKIPPED]} skipped")
        reasons = Counter(reason for verdict, reason in verdicts if verdict == SKIPPED)
        for reason, times in reasons.most_common():
            print(f"  {times:5} skipped, {reason}")
    return 1 if failed else 0
