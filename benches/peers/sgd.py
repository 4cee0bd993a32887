"""Online SGD as a NumPy script: the models of the bench `sgd_step`.

The same arithmetic as the bench's baseline: three normals per coordinate and sample, matrix products for the fields and
the update, one batch at a time.
"""

import math
import time

import numpy as np

SECOND_MOMENT, VARIANCE, CORRELATION, RATE, DECAY = 2.25, 0.3, -0.5, 0.3, 0.5


class Sgd:
    """tanh, one two-point feature, isotropic correlated noise, quadratic penalty of strength 1 for m > 1, L2 decay."""

    def __init__(self, n, m, batch, seed):
        self.n, self.m, self.batch = n, m, batch
        self.rng = np.random.default_rng(seed)
        self.u = self.rng.standard_normal(n)
        self.u *= math.sqrt(n) / np.linalg.norm(self.u)
        overlaps = 0.4 * (-0.5) ** np.arange(m)
        noise = self.rng.standard_normal((n, m))
        self.w = self.u[:, None] * overlaps + np.sqrt(1 - overlaps**2) * noise

    def step(self):
        n, batch, rng = self.n, self.batch, self.rng
        c = np.where(rng.random(batch) < 0.5, 1.0, -1.0) * math.sqrt(SECOND_MOMENT)
        a = rng.standard_normal((batch, n))
        a += np.outer(c / math.sqrt(n) - a @ self.u / n, self.u)
        z1, z2 = rng.standard_normal((2, batch, n))
        std = math.sqrt(VARIANCE)
        x1 = a + std * z1
        x2 = a + std * (CORRELATION * z1 + math.sqrt(1 - CORRELATION**2) * z2)
        y1, y2 = (np.tanh(x @ self.w / math.sqrt(n)) for x in (x1, x2))
        gradient = y1.T @ y2 / batch if self.m > 1 else np.zeros((1, 1))
        np.fill_diagonal(gradient, -1.0)
        e1 = (y2 @ gradient.T) * (1 - y1**2)
        e2 = (y1 @ gradient) * (1 - y2**2)
        self.w -= RATE * DECAY / n * self.w + RATE / (batch * math.sqrt(n)) * (x1.T @ e1 + x2.T @ e2)

    def order_parameters(self):
        return self.u @ self.w / self.n, self.w.T @ self.w / self.n


CASES = [(1000, 1, 1), (1000, 2, 1), (1000, 1, 16), (1000, 2, 16), (10_000, 2, 16)]


def measure(seconds=0.3):
    """Seconds per step, by N/m/B."""
    result = {}
    for n, m, batch in CASES:
        sgd = Sgd(n, m, batch, 1)
        sgd.step()
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            sgd.step()
            steps += 1
        result[f"{n}/{m}/{batch}"] = (time.perf_counter() - start) / steps
    return result


if __name__ == "__main__":
    for name, seconds in measure(1.0).items():
        print(f"{name}: {seconds * 1e6:.1f} us per step")
