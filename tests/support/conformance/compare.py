"""Whether a value is the recorded one: None, or the reason why not."""

import numpy as np

# Two units in the last place of a bfloat16; ONNX's own runner allows the same.
BFLOAT16_RTOL = 2**-6


def outputs(case, expected, found):
    """All outputs of a run, in the model's order."""
    if len(expected) != len(found):
        return f"{len(found)} outputs, {len(expected)} expected"
    for (name, _), want, have in zip(case.outputs, expected, found):
        if reason := difference(want, have, case.rtol, case.atol):
            return f"output {name!r}: {reason}"
    return None


def difference(expected, found, rtol, atol):
    """The first difference of two values: arrays, lists of them, or None."""
    if isinstance(expected, list):
        if not isinstance(found, list) or len(found) != len(expected):
            return "another sequence"
        reasons = (difference(*pair, rtol, atol) for pair in zip(expected, found))
        return next(filter(None, reasons), None)
    if expected is None or found is None:
        return None if expected is found else "present and absent differ"
    if found.shape != expected.shape:
        return f"shape {list(found.shape)}, {list(expected.shape)} expected"
    if found.dtype != expected.dtype:
        return f"type {found.dtype}, {expected.dtype} expected"
    same = equal(expected, found, rtol, atol)
    if same.all():
        return None
    worst = np.argmin(same)
    return (
        f"{np.count_nonzero(~same)} of {same.size} elements differ, "
        f"the first is {found.reshape(-1)[worst]!r}, {expected.reshape(-1)[worst]!r} expected"
    )


def equal(expected, found, rtol, atol):
    """Which elements agree: floats within the case's tolerance, all others exactly."""
    if not is_float(expected.dtype):
        return (expected == found).reshape(-1)
    if expected.dtype.name == "bfloat16":
        rtol = max(rtol, BFLOAT16_RTOL)
    with np.errstate(all="ignore"):
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        close = np.isclose(found.astype(wide), expected.astype(wide), rtol=rtol, atol=atol, equal_nan=True)
    return close.reshape(-1)


def is_float(dtype):
    return dtype.kind in "fc" or "float" in dtype.name
