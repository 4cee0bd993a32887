//! What tests, benches and examples share.
#![allow(dead_code)] // each of them uses a part

pub(crate) mod backwards;
#[cfg(feature = "serde")]
pub(crate) mod carried;
pub(crate) mod case_file;
pub(crate) mod models;
pub(crate) mod steps;
