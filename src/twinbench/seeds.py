"""Seeds derived from named axes, never from the order in which jobs run."""

import hashlib


def derive_seed(base: int, **axes: str | int) -> int:
    """Return a 63-bit seed for the point that ``axes`` names, e.g. ``study="twin-lenet", round=3, purpose="weights"``.

    The order of the keywords does not matter. Every axis enters with its name, so that ``round=1, epoch=2`` and
    ``round=2, epoch=1`` differ. The seed fits ``torch.manual_seed`` and ``numpy.random.default_rng``.
    """
    text = ";".join([f"base={base}", *(f"{name}={value}" for name, value in sorted(axes.items()))])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
