//! Fixed points, learnability, continuation, attraction regions, and the findings. One program, because the crate is compiled into it once.

mod basin;
mod continuation;
mod critical;
mod findings;
mod fixed_points;
mod known_limits;
mod selection;
mod spectrum;
