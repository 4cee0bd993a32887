//! Fixed points, learnability, continuation, attraction regions, and the findings.

mod basin;
mod continuation;
mod critical;
mod findings;
mod fixed_points;
mod known_limits;
mod selection;
mod spectrum;
