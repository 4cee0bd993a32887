//! Fixed points, learnability, continuation, attraction regions, and the findings.

mod basin;
mod continuation;
mod critical;
mod findings;
mod fixed_points;
mod selection;
mod spectrum;
