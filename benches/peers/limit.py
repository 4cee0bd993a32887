"""The reduced ODE as a NumPy/SciPy script: tensor quadrature over the pair of fields, solve_ivp.

This is what a careful user writes: vectorised, nodes sized for an absolute accuracy of 1e-8 of the right-hand side
(checked below against a finer rule). Same model, state and tolerances as the `limit` bench. Prints medians in
microseconds and milliseconds.
"""

import time

import numpy as np
from scipy.integrate import solve_ivp

TAU, GAMMA, K11, K12, ETA2 = 0.3, 0.5, 0.3, -0.15, 1.0
D11, D12 = ETA2 + K11, ETA2 + K12
ACCURACY = 1e-8


def nodes(n, cut=6.5):
    """Trapezoidal nodes and weights of the standard normal law on [-cut, cut]."""
    z = np.linspace(-cut, cut, n)
    w = np.exp(-0.5 * z * z)
    return z, w / w.sum()


def make_rhs(p, n):
    """Right-hand side for p two-point features of second moment 2.25; states (Q_1..Q_p, R)."""
    c = 1.5 * np.array(np.meshgrid(*[[1.0, -1.0]] * p)).reshape(p, -1)
    z, w = nodes(n)
    z1, z2 = z[:, None], z[None, :]
    w2 = w[:, None] * w[None, :]

    def rhs(_t, y):
        q, r = y[:-1], y[-1]
        qq = q @ q
        v = r - qq
        s, x = K11 * qq + D11 * v, K12 * qq + D12 * v
        plus, minus = np.sqrt(max(s + x, 0.0) / 2), np.sqrt(max(s - x, 0.0) / 2)
        d1, d2 = plus * z1 + minus * z2, plus * z1 - minus * z2
        a = np.zeros(p)
        b = lam = 0.0
        # E[z_l | h1, h2] for the two views, by the inverse of [[s, x], [x, s]].
        determinant = s * s - x * x
        for ck in c.T:
            mu = q @ ck
            y1, y2 = np.tanh(mu + d1), np.tanh(mu + d2)
            g1, g2 = (1 - y1 * y1) * y2, (1 - y2 * y2) * y1
            wk = w2 / c.shape[1]
            own = ((K11 * s - K12 * x) * d1 + (K12 * s - K11 * x) * d2) / determinant
            other = ((K12 * s - K11 * x) * d1 + (K11 * s - K12 * x) * d2) / determinant
            total = (wk * (g1 + g2)).sum()
            noise = (wk * (g1 * own + g2 * other)).sum()
            a += TAU * (ck * total + q * noise)
            b += TAU * (wk * (g1 * (mu + d1) + g2 * (mu + d2))).sum()
            lam += TAU * TAU * (wk * (D11 * (g1 * g1 + g2 * g2) + 2 * D12 * g1 * g2)).sum()
        return np.append(a - TAU * GAMMA * q, 2 * b + lam - 2 * TAU * GAMMA * r)

    return rhs


def median_time(f, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return np.median(times)


def smallest():
    """For each p: the right-hand side with the smallest rule that is good to ACCURACY at the start, its nodes, the start."""
    for p in (1, 2):
        state = np.array([0.35, 1.0]) if p == 1 else np.array([0.35, 0.2, 1.0])
        fine = make_rhs(p, 121)(0.0, state)
        n = next(n for n in range(21, 121, 2) if np.abs(make_rhs(p, n)(0.0, state) - fine).max() < ACCURACY)
        yield p, make_rhs(p, n), n, state


def cases():
    """For each p: the id of the bench's model, the right-hand side, the start, and the model as a case of the example limit_table."""
    views = [[K11, K12], [K12, K11]]
    for p, rhs, _, state in smallest():
        parameters = {
            "sigma": "tanh",
            "hidden": [{"kind": "rademacher", "scale": 1.5}] * p,
            "Kf": views, "Kb": views, "tau": TAU, "gamma": GAMMA, "batch": 1, "eta": 1.0, "lambda": 0.0,
        }
        yield f"{p}/1", rhs, state, {"parameters": parameters, "Q": [[q] for q in state[:-1]], "R": [[state[-1]]]}


def measure(repeats=7):
    """Seconds of one right-hand side and of one solution, by id of the `limit` bench."""
    times = {}
    for p, rhs, _, state in smallest():
        times[f"limit/rhs/{p}/1"] = median_time(lambda: rhs(0.0, state), 60 * repeats)
        solve = lambda: solve_ivp(rhs, (0.0, 20.0), state, rtol=1e-8, atol=1e-10)
        times[f"limit/solve/{p}/1"] = median_time(solve, repeats)
    return times


if __name__ == "__main__":
    for _, rhs, n, state in smallest():
        solution = solve_ivp(rhs, (0.0, 20.0), state, rtol=1e-8, atol=1e-10)
        print(f"{n} x {n} nodes, {solution.nfev} evaluations, ends at {solution.y[:, -1]}")
    for name, seconds in measure().items():
        print(f"{name}: {1e6 * seconds:.1f} us")
