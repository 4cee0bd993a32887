//! A few numbers side by side, so that loops over them become vector instructions without intrinsics.
//!
//! Covers element-wise arithmetic on arrays of fixed width, and [`dispatch`], which compiles a closure for the widest
//! instruction set of the machine at run time. Sums are kept per lane and added in one order, so results are the
//! same bits on every instruction set.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

use crate::Scalar;

/// The width: one AVX-512 register of doubles.
pub(crate) const LANES: usize = 8;

/// `LANES` numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lanes<T>(pub(crate) [T; LANES]);

impl<T: Scalar> Lanes<T> {
    #[inline(always)]
    pub(crate) fn splat(x: T) -> Self {
        Self([x; LANES])
    }

    #[inline(always)]
    pub(crate) fn zero() -> Self {
        Self::splat(T::zero())
    }

    /// The lanes added pairwise, in a fixed order.
    #[inline(always)]
    pub(crate) fn sum(self) -> T {
        let a = self.0;
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }
}

macro_rules! lanewise {
    ($($trait:ident $method:ident $op:tt),*) => {$(
        impl<T: Scalar> $trait for Lanes<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut out = self;
                for k in 0..LANES {
                    out.0[k] = self.0[k] $op other.0[k];
                }
                out
            }
        }
    )*};
}
lanewise!(Add add +, Sub sub -, Mul mul *);

impl<T: Scalar> AddAssign for Lanes<T> {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl<T: Scalar> Neg for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let mut out = self;
        for k in 0..LANES {
            out.0[k] = -self.0[k];
        }
        out
    }
}

/// The slice in groups of [`LANES`]; a rest that fills no group is left out.
#[inline(always)]
pub(crate) fn groups<T>(slice: &[T]) -> &[[T; LANES]] {
    slice.as_chunks().0
}

/// As [`groups`], to write.
#[inline(always)]
pub(crate) fn groups_mut<T>(slice: &mut [T]) -> &mut [[T; LANES]] {
    slice.as_chunks_mut().0
}

/// Runs `work` compiled for the widest instruction set of this machine. What it calls must be inlined to profit.
#[inline(always)]
pub(crate) fn dispatch<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
