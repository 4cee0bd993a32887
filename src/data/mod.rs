//! Results as tables, for other programs: CSV, and with the feature `serde` JSON.
//!
//! Covers [`Table`], its cells, and how it is written and read. Not here: which columns a result has, which its own
//! `to_table` says ([`Trajectory`](crate::state::Trajectory::to_table), [`Summary`](crate::ensemble::Summary::to_table),
//! [`FluctuationPath`](crate::fluctuation::FluctuationPath::to_table), [`GridDensity`](crate::pde::grid::GridDensity::to_table),
//! [`Histogram`](crate::pde::observables::Histogram::to_table), [`Branch`](crate::stability::Branch::to_table),
//! [`PhaseDiagram`](crate::stability::PhaseDiagram::to_table), [`RegionMap`](crate::stability::RegionMap::to_table),
//! [`FixedPoints`](crate::stability::FixedPoints::to_table), [`Optimum`](crate::control::Optimum::to_table)); and exact copies of results
//! for programs that use this crate (see [`crate::save`]).
//!
//! ```
//! use contrastive_dynamics::data::Table;
//! use contrastive_dynamics::prelude::*;
//! let hidden = Independent::new([Law::two_point(2.25)?])?;
//! let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
//! let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
//! let trajectory = ReducedOde::new(&model)?.solver().solve(&start, 2.0)?;
//!
//! let path = std::env::temp_dir().join("contrastive-dynamics-module-data.csv");
//! trajectory.to_table().comment(&model).write_csv(&path)?;
//! let table = Table::read_csv(&path)?;
//! assert_eq!(table.columns(), ["t", "Q_0_0", "R_0_0"]);
//! assert_eq!(table.numbers("Q_0_0")?.last(), trajectory.last().map(|(_, state)| state.q()[(0, 0)]).as_ref());
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cell;
mod csv;
mod error;
#[cfg(feature = "serde")]
mod json;
mod table;

pub use cell::Cell;
pub use error::DataError;
pub use table::Table;
