"""How many times faster the crate is than limit.py, two_neurons.py and many_features.py: medians of ratios over interleaved rounds.

First every script's right-hand side is held to the crate's, which must agree to the accuracy that the script claims. Then both
are measured in turn in every round, because a machine drifts. Run from the root of the crate.
"""

import json
import re
import statistics
import subprocess
import tempfile

import numpy as np

import limit
import many_features
import two_neurons

ROUNDS = 7
PEERS = (limit, two_neurons, many_features)
UNITS = {"ns": 1e-9, "\u00b5s": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0}
COMMAND = ["cargo", "bench", "--quiet", "--bench", "limit", "--", "--quick", "^limit/(rhs|solve)/([12]/1|1/2|30/1|100/1)$"]
TABLE = ["cargo", "run", "--quiet", "--release", "--features", "serde", "--example", "limit_table", "--", "coefficients"]
LINE = re.compile(r"(limit/\S+)\s+time:\s+\[\S+ \S+ (\S+) (\S+) ")


def crate():
    """Seconds by id, from one quick run of the bench."""
    output = subprocess.run(COMMAND, check=True, capture_output=True, text=True).stdout
    return {name: float(value) * UNITS[unit] for name, value, unit in LINE.findall(output)}


def check():
    """The right-hand sides of the scripts at their starts against the crate's."""
    known = [(peer.ACCURACY, *case) for peer in PEERS for case in peer.cases()]
    cases = [{"name": name, **case} for _, name, _, _, case in known]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"cases": cases}, file)
        file.flush()
        output = subprocess.run([*TABLE, file.name], check=True, capture_output=True, text=True).stdout
    for (accuracy, name, rhs, start, _), ours in zip(known, json.loads(output)["cases"], strict=True):
        upper = np.triu_indices(len(ours["dR"]))
        rates = np.concatenate([np.ravel(ours["dQ"]), np.array(ours["dR"])[upper]])
        off = np.abs(rhs(0.0, start) - rates).max()
        print(f"{name}: agrees with the crate to {off:.1e}, {accuracy:.0e} is allowed")
        # The rule that the script is checked against has an error, too.
        assert off <= 1.1 * accuracy, name


if __name__ == "__main__":
    check()
    crate()  # compiles
    ratios = {}
    for _ in range(ROUNDS):
        ours = crate()
        for peer in PEERS:
            for name, seconds in peer.measure(3).items():
                ratios.setdefault(name, []).append(seconds / ours[name])
    print("| id | times faster: median | smallest | largest |")
    print("|---|---|---|---|")
    for name, values in ratios.items():
        print(f"| {name} | {statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} |")
