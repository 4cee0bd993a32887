"""Two neurons with the quadratic penalty as a NumPy/SciPy script: tensor quadrature over four fields, solve_ivp.

This is what a careful user writes: the views rotated to their sum and difference, which are independent; of the tensor of
nodes those outside a ball left out; one of the two nodes of the hidden variable for both, because the other is its mirror
image; all averages by one product of matrices; and the smallest of the rules below that is good to 1e-7 at the start
(checked against a finer rule). Same model, state and tolerance as the ids limit/rhs/1/2 and limit/solve/1/2 of the `limit`
bench. Prints nodes, and medians in milliseconds.
"""

import functools
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the crate has one thread here, too

import numpy as np
from scipy.integrate import solve_ivp

from limit import D11, D12, GAMMA, K11, K12, TAU, median_time

PENALTY = 1.0
ACCURACY = 1e-7
C = 1.5  # the feature is +-1.5
START = np.array([0.35, 0.2, 1.0, 0.2, 0.9])  # Q_1, Q_2, R_11, R_12, R_22
VIEWS = np.array([[D11, D12], [D12, D11]])


def trapezoidal(n, cut):
    z = np.linspace(-cut, cut, n)
    w = np.exp(-0.5 * z * z)
    return z, w / w.sum()


def gauss_hermite(n, _cut):
    z, w = np.polynomial.hermite_e.hermegauss(n)
    return z, w / w.sum()


def tensor(rule, sizes, cut=6.0):
    """Nodes in four dimensions, one coordinate a row, and their weights: those of a weight that matters."""
    axes = [rule(n, cut) for n in sizes]
    weights = np.ones(())
    for _, w in axes:
        weights = np.multiply.outer(weights, w)
    kept = weights > np.exp(-0.5 * cut * cut) * weights.max()
    places = np.meshgrid(*[z for z, _ in axes], indexing="ij")
    weights = weights[kept]
    return np.array([place[kept] for place in places]), weights / weights.sum()


def root(matrix):
    """A square root of a 2 x 2 covariance; of a singular one too."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def make_rhs(nodes, weights):
    """Right-hand side by those nodes. Fields are (h1_1, h1_2, h2_1, h2_2), views first."""
    weighted = np.vstack([np.ones_like(weights), nodes]) * weights

    def rhs(_t, state):
        q, r = state[:2], np.array([[state[2], state[3]], [state[3], state[4]]])
        own, rest = np.outer(q, q), r - np.outer(q, q)
        plus = root((K11 + K12) * own + (D11 + D12) * rest) / np.sqrt(2)
        minus = root((K11 - K12) * own + (D11 - D12) * rest) / np.sqrt(2)
        factor = np.block([[plus, minus], [plus, -minus]])
        mean = np.concatenate([q, q]) * C
        h = factor @ nodes
        h += mean[:, None]
        y = np.tanh(h)
        y1, y2 = y[:2], y[2:]
        # G_ij of view 1, G_ji of view 2: -1 on the diagonal and PENALTY y_i^1 y_j^2 off it, batches of one.
        errors = np.empty_like(h)
        for i, j in ((0, 1), (1, 0)):
            errors[i] = -y2[i] + PENALTY * y1[i] * y2[j] * y2[j]
            errors[2 + i] = -y1[i] + PENALTY * y2[i] * y1[j] * y1[j]
        errors *= 1.0 - y * y
        # E[e], and E[e z] by the coordinates z of the fields; E[e e'].
        averages = errors @ weighted.T
        squares = (errors * weights) @ errors.T
        # E[z_l | h], of the noise along the feature: F g = Cov(h, z).
        covariance = np.outer([K11, K12], q).ravel(), np.outer([K12, K11], q).ravel()
        noise = [np.linalg.lstsq(factor, x, rcond=1e-12)[0] for x in covariance]
        a, b, noise_of_gradient = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2))
        for v in range(2):
            rows = slice(2 * v, 2 * v + 2)
            a -= TAU * (C * averages[rows, 0] + averages[rows, 1:] @ noise[v])
            b -= TAU * (np.outer(mean[:2], averages[rows, 0]) + factor[rows] @ averages[rows, 1:].T)
            for w in range(2):
                noise_of_gradient += TAU * TAU * VIEWS[v, w] * squares[rows, 2 * w : 2 * w + 2]
        q_rates = a - TAU * GAMMA * q
        r_rates = b + b.T + noise_of_gradient - 2 * TAU * GAMMA * r
        return np.array([*q_rates, r_rates[0, 0], 0.5 * (r_rates[0, 1] + r_rates[1, 0]), r_rates[1, 1]])

    return rhs


@functools.cache
def smallest():
    """The smallest rule that is good to ACCURACY at the start: its right-hand side and what it is."""
    fine = make_rhs(*tensor(trapezoidal, (45, 45, 31, 31), 7.0))(0.0, START)
    best = (10**6, None, "none")
    for rule in (trapezoidal, gauss_hermite):
        for cut in (5.5, 6.0):
            for n in range(21, 61, 2):
                # A ball is 0.3 of its cube.
                for m in (m for m in range(11, n + 1, 2) if 0.3 * (n * m) ** 2 < best[0]):
                    nodes, weights = tensor(rule, (n, n, m, m), cut)
                    rhs = make_rhs(nodes, weights)
                    if len(weights) < best[0] and np.abs(rhs(0.0, START) - fine).max() < ACCURACY:
                        best = (len(weights), rhs, f"{rule.__name__}, {n} x {n} x {m} x {m} cut at {cut}")
                        break
    return best


def cases():
    """The id of the bench's model, the right-hand side, the start, and the model as a case of the example limit_table."""
    _, rhs, _ = smallest()
    views = [[K11, K12], [K12, K11]]
    parameters = {
        "sigma": "tanh",
        "hidden": [{"kind": "rademacher", "scale": C}],
        "Kf": views, "Kb": views, "tau": TAU, "gamma": GAMMA, "batch": 1, "eta": 1.0, "lambda": PENALTY,
    }
    case = {"parameters": parameters, "Q": [list(START[:2])], "R": [list(START[2:4]), list(START[3:])]}
    yield "1/2", rhs, START, case


def solve(rhs):
    return solve_ivp(rhs, (0.0, 20.0), START, rtol=1e-7, atol=1e-9)


def measure(repeats=7):
    """Seconds of one right-hand side and of one solution, by id of the `limit` bench."""
    rhs = smallest()[1]
    return {
        "limit/rhs/1/2": median_time(lambda: rhs(0.0, START), 3 * repeats),
        "limit/solve/1/2": median_time(lambda: solve(rhs), 1),
    }


if __name__ == "__main__":
    count, rhs, name = smallest()
    solution = solve(rhs)
    print(f"{count} nodes: {name}; {solution.nfev} evaluations, ends at {solution.y[:, -1]}")
    for name, seconds in measure().items():
        print(f"{name}: {1e3 * seconds:.2f} ms")
