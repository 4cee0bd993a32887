"""How many times faster the crate is than particles.py: medians of ratios over interleaved rounds.

Both are measured in turn in every round, because a machine drifts. Run from the root of the crate.
"""

import re
import statistics
import subprocess

import particles

ROUNDS = 7
UNITS = {"ns": 1e-9, "\u00b5s": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
COMMAND = ["cargo", "bench", "--quiet", "--bench", "pde", "--", "--quick", "^pde/particles/ours"]
# A long id stands on a line of its own.
LINE = re.compile(r"^(pde/\S+)\s+time:\s+\[\S+ \S+ (\S+) (\S+) ", re.MULTILINE)


def crate():
    """Seconds by id, from one quick run of the bench."""
    output = subprocess.run(COMMAND, check=True, capture_output=True, text=True).stdout
    return {name: float(value) * UNITS[unit] for name, value, unit in LINE.findall(output)}


crate()  # compiles
ratios = {}
for _ in range(ROUNDS):
    ours, theirs = crate(), particles.measure(3)
    for name, seconds in theirs.items():
        ratios.setdefault(name, []).append(seconds / ours[name])
print("| id | times faster: median | smallest | largest |")
print("|---|---|---|---|")
for name, values in ratios.items():
    print(f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} |")
