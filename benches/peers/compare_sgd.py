"""How many times faster the simulators are than sgd.py: medians of ratios over interleaved rounds.

Both are measured in turn in every round, because a machine drifts. Run from the root of the crate.
"""

import re
import statistics
import subprocess

import sgd

ROUNDS = 5
UNITS = {"ns": 1e-9, "\u00b5s": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
COMMAND = ["cargo", "bench", "--quiet", "--bench", "sgd_step", "--", "--quick", "^sgd_step/"]
LINE = re.compile(r"sgd_step/(\w+)/(\S+)\s+time:\s+\[\S+ \S+ (\S+) (\S+) ")
REPLICATES = {"projected_lanes": 32}


def crate():
    """Seconds per step of one replicate, by simulator and N/m/B."""
    output = subprocess.run(COMMAND, check=True, capture_output=True, text=True).stdout
    return {
        (simulator, case): float(value) * UNITS[unit] / REPLICATES.get(simulator, 1)
        for simulator, case, value, unit in LINE.findall(output)
    }


crate()  # compiles
ratios = {}
for _ in range(ROUNDS):
    ours, theirs = crate(), sgd.measure()
    for (simulator, case), seconds in ours.items():
        if case in theirs:
            ratios.setdefault((case, simulator), []).append(theirs[case] / seconds)
print("| N/m/B | simulator | times faster: median | smallest | largest |")
print("|---|---|---|---|---|")
for (case, simulator), values in ratios.items():
    print(f"| {case} | {simulator} | {statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} |")
