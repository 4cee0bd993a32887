//! Random numbers in bulk: standard normals are most of what a simulation at dimension N draws.
//!
//! Covers the trait [`FillNormal`], its fast implementation [`LaneRng`], and [`PerDraw`] for any other generator of
//! [`rand`]. Not here: the laws of hidden variables and noises (see [`crate::model`]).

mod box_muller;
mod elementary;
mod lane_rng;
mod lane_state;
mod lane_streams;
mod rows;
#[cfg(feature = "serde")]
mod stored;
mod wishart;

pub use lane_rng::LaneRng;
pub(crate) use lane_state::WIDTH;
pub(crate) use lane_streams::{Block, LaneStreams, NormalBlock, Row};
pub(crate) use rows::Rows;
pub(crate) use wishart::{bartlett_factor, chi_squared};

use std::convert::Infallible;

use rand::{Rng, TryRng};

use crate::Scalar;

/// A source of standard normals that is asked for many at a time.
pub trait FillNormal<T: Scalar> {
    /// Fills the slice with independent standard normals.
    fn fill_normal(&mut self, out: &mut [T]);
}

impl<T: Scalar, F: FillNormal<T> + ?Sized> FillNormal<T> for &mut F {
    fn fill_normal(&mut self, out: &mut [T]) {
        (**self).fill_normal(out);
    }
}

/// Any generator as a source of normals: each is a draw from `rand_distr`'s
/// [`StandardNormal`](rand_distr::StandardNormal), in the order of the slice.
///
/// It is still a generator, of the same stream, so that one object can serve all of a simulation.
///
/// ```
/// use contrastive_dynamics::rand::{SeedableRng, rngs::StdRng};
/// use contrastive_dynamics::random::{FillNormal, PerDraw};
/// let mut noise = [0.0_f64; 3];
/// PerDraw(StdRng::seed_from_u64(1)).fill_normal(&mut noise);
/// assert!(noise.iter().all(|x| *x != 0.0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PerDraw<R>(
    /// The generator.
    pub R,
);

impl<T: Scalar, R: Rng> FillNormal<T> for PerDraw<R> {
    fn fill_normal(&mut self, out: &mut [T]) {
        for x in out {
            *x = T::standard_normal(&mut self.0);
        }
    }
}

impl<R: Rng> TryRng for PerDraw<R> {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    #[inline]
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(out);
        Ok(())
    }
}
