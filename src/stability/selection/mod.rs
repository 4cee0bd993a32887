//! With which probability a random start ends at each stable point.
//!
//! Covers starts with overlaps of order one in the limit, by Sobol points (`limit`), and finite N, where uninformative
//! starts are decided by chance, by ensembles of SGD (`finite_size`). Not here: where one start ends (see the
//! attraction regions).

mod counts;
mod error;
mod finite_size;
mod limit;
mod table;

pub use counts::FiniteSizeSelection;
pub use error::{PartialSelection, RunFailure, SelectionError};
pub use finite_size::SelectionExecutor;
pub use limit::{Selection, SobolStarts, UndecidedStart};
