"""One Euler-Maruyama step of the McKean-Vlasov equation as a NumPy script: one feature, one neuron, L1.

This is what a careful user writes: vectorised, in place where NumPy allows it, the bulk generator for the normals. The
coefficients are given: same start and arithmetic as the ids pde/particles/ours/M of the `pde` bench, which compute them
as well. Prints medians in microseconds.
"""

import numpy as np

from limit import median_time

TAU, GAMMA, STEP = 0.3, 0.5, 0.01
# alpha, beta and Lambda at Q = 0.4, R = 0.8 for a two-point feature of second moment 2.25.
ALPHA, BETA, LAMBDA = 0.27, 0.01, 0.05


class Particles:
    def __init__(self, count):
        self.rng = np.random.default_rng(1)
        self.u = self.rng.standard_normal(count)
        self.w = 0.4 * self.u + 0.8 * self.rng.standard_normal(count)
        self.noise = np.empty(count)
        self.scratch = np.empty(count)

    def step(self):
        """w += (alpha u + beta w - tau gamma sign w) dt + sqrt(Lambda dt) xi; returns Q and R."""
        u, w, noise, scratch = self.u, self.w, self.noise, self.scratch
        self.rng.standard_normal(out=noise)
        noise *= np.sqrt(LAMBDA * STEP)
        np.sign(w, out=scratch)
        scratch *= -TAU * GAMMA * STEP
        noise += scratch
        np.multiply(u, ALPHA * STEP, out=scratch)
        noise += scratch
        w *= 1.0 + BETA * STEP
        w += noise
        return u @ w / len(w), w @ w / len(w)


def measure(repeats=7):
    """Seconds of one step, by id of the `pde` bench."""
    times = {}
    for count in (4096, 65536):
        particles = Particles(count)
        times[f"pde/particles/ours/{count}"] = median_time(particles.step, 100 * repeats)
    return times


if __name__ == "__main__":
    for name, seconds in measure().items():
        print(f"{name}: {1e6 * seconds:.1f} us")
