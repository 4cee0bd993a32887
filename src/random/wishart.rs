//! Chi-square variables and Wishart matrices, by the factor of Bartlett.

use nalgebra::DMatrix;
use rand::Rng;

use crate::Scalar;
use crate::scalar::Bounded;

/// Bartlett's lower triangular factor of a standard Wishart matrix of order m with that many degrees of freedom.
pub(crate) fn bartlett_factor<T: Scalar, G: Rng + ?Sized>(m: usize, degrees: usize, rng: &mut G) -> DMatrix<T> {
    DMatrix::from_fn(m, m, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Greater => T::standard_normal(rng),
        std::cmp::Ordering::Equal => T::lit(chi_squared(degrees.saturating_sub(i), rng).sqrt()),
        std::cmp::Ordering::Less => T::zero(),
    })
}

/// A chi-square variable: 2·Gamma(k/2, 1) by the method of Marsaglia and Tsang (2000, doi:10.1145/358407.358414). In
/// double precision: the test below subtracts numbers of order k.
#[inline]
pub(crate) fn chi_squared<G: Rng + ?Sized>(degrees: usize, rng: &mut G) -> f64 {
    if degrees == 0 {
        return 0.0;
    }
    let rng = &mut Bounded::new(rng);
    // Below shape 1 boost: Gamma(a) = Gamma(a + 1) U^{1/a}.
    let shape = 0.5 * degrees as f64;
    let (boosted, factor) = if degrees == 1 {
        let u = 1.0 - f64::standard_uniform(rng);
        (shape + 1.0, u * u)
    } else {
        (shape, 1.0)
    };
    let d = boosted - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = f64::standard_normal(rng);
        let root = 1.0 + c * x;
        let v = root * root * root;
        if v > 0.0 {
            let u = 1.0 - f64::standard_uniform(rng);
            // The first bound implies the second, and spares the logarithms nearly always.
            let square = x * x;
            if u < 1.0 - 0.0331 * square * square || u.ln() < 0.5 * square + d * (1.0 - v + v.ln()) {
                return 2.0 * d * v * factor;
            }
        }
    }
}
