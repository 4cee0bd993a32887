//! Fixed points, learnability, continuation, attraction regions, and the findings.

mod continuation;
mod critical;
mod degenerate;
mod display;
mod executors;
mod findings;
mod fixed_points;
mod hard_orbits;
mod known_limits;
mod located;
mod progress;
mod regions;
mod selection;
mod spectrum;
#[cfg(feature = "serde")]
mod stored;
