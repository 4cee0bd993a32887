//! Results as tables: what stands in them, what goes through CSV and JSON, and what Python makes of it.

mod files;
mod python;
mod results;
