//! What tests, benches and examples share.
#![allow(dead_code)] // each of them uses a part

pub(crate) mod backwards;
pub(crate) mod case_file;
pub(crate) mod models;
pub(crate) mod steps;
