//! Work that is saved on the way, and goes on later with the same bits; and results in files.
//!
//! Covers where work is kept ([`Store`], and with the feature `serde` `File`), what it belongs to ([`Fingerprint`]), files
//! that are replaced whole or not at all ([`replace`]), and what can go wrong ([`SaveError`]). Not here: what is kept, which
//! stands beside what does the work ([`Run::saved_in`](crate::state::Run::saved_in),
//! [`Ensemble::saved_in`](crate::ensemble::Ensemble::saved_in) and others; see [`Checkpoint`](crate::state::Checkpoint)).
//!
//! A program that saves is a program that may be started again: it looks whether there is work of its own, goes on from it,
//! and ends with the answer that it would have had without the interruption, to the last bit.
//!
//! ```
//! # #[cfg(feature = "serde")]
//! # {
//! use contrastive_dynamics::prelude::*;
//! use contrastive_dynamics::save::File;
//! use contrastive_dynamics::state::Run;
//! let hidden = Independent::new([Law::two_point(2.25)?])?;
//! let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
//! let path = std::env::temp_dir().join("contrastive-dynamics-module-save");
//! let file = File::new(&path);
//! let run = || -> Result<_, Box<dyn std::error::Error>> {
//!     let mut sgd = CompressedSgd::builder(&model, 200).build_seeded(1)?;
//!     // Saved after every hundred steps, and at the end.
//!     Ok(Run::of(&mut sgd).output(Output::EverySteps(50)).saved_in(&file, 100).to(2.0)?)
//! };
//! let first = run()?;
//! // Started again, it finds that all is done. Had it been killed in between, it would go on from there.
//! assert_eq!(run()?, first);
//! # std::fs::remove_file(&path)?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod atomic;
mod error;
#[cfg(feature = "serde")]
mod file;
mod fingerprint;
#[cfg(feature = "serde")]
mod format;
mod store;

pub use atomic::replace;
pub use error::SaveError;
#[cfg(feature = "serde")]
pub use file::{File, read, write};
pub use fingerprint::Fingerprint;
pub use store::Store;
