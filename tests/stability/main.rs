//! Fixed points, learnability, continuation, attraction regions, and the findings. One program, because the crate is
//! compiled into it once.

mod continuation;
mod critical;
mod display;
mod findings;
mod fixed_points;
mod regions;
mod selection;
mod spectrum;
