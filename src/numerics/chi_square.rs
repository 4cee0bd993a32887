//! The tail of the chi-square law.

/// The probability that the sum of squares of so many independent standard normal numbers is above x; 1 for none of them, and NaN for NaN.
///
/// Q(k/2, x/2) by its recursion in k (Abramowitz and Stegun 26.4.4 and 26.4.5), from erfc for odd k and from exp for even k.
pub(crate) fn chi_square_tail(x: f64, degrees: usize) -> f64 {
    if x.is_nan() {
        return x;
    }
    if degrees == 0 || x <= 0.0 {
        return 1.0;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    let half = 0.5 * x;
    let odd = degrees % 2 == 1;
    let mut tail = if odd { libm::erfc(half.sqrt()) } else { (-half).exp() };
    // ln of half^a exp(−half)/Γ(a + 1), which is added from a on.
    let mut a = if odd { 0.5 } else { 1.0 };
    let mut term = a * half.ln() - half - libm::lgamma(a + 1.0);
    while a < 0.5 * degrees as f64 {
        tail += term.exp();
        a += 1.0;
        term += (half / a).ln();
    }
    tail.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles from tables (Abramowitz and Stegun, table 26.8).
    #[test]
    fn tails_are_those_of_the_tables() {
        let table = [
            (1, 3.841_459, 0.05),
            (2, 5.991_465, 0.05),
            (3, 11.344_87, 0.01),
            (10, 18.307_04, 0.05),
            (10, 3.940_30, 0.95),
            (30, 50.892_2, 0.01),
            (100, 124.342, 0.05),
        ];
        for (degrees, x, p) in table {
            assert!(
                (chi_square_tail(x, degrees) - p).abs() < 1e-6 + 1e-4 * p,
                "{degrees} {x}: {}",
                chi_square_tail(x, degrees)
            );
        }
        // By the central limit theorem half of it is above its median, near the mean.
        assert!((chi_square_tail(1e5 - 2.0 / 3.0, 100_000) - 0.5).abs() < 1e-4);
        assert_eq!((chi_square_tail(0.0, 3), chi_square_tail(3.0, 0)), (1.0, 1.0));
        assert_eq!(chi_square_tail(f64::INFINITY, 4), 0.0);
        assert!(chi_square_tail(f64::NAN, 4).is_nan());
    }
}
