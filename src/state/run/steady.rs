//! When a state whose rate of change is not known counts as steady.
//!
//! Covers averages over successive windows of time. Not here: processes that know their rate (see
//! [`Process::rate`](crate::state::Process::rate)).

use crate::numerics::largest::largest_size;

/// Averages of some numbers over successive windows of time, by the trapezoidal rule.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Windows {
    length: f64,
    /// Where the present window starts.
    start: f64,
    /// The last time and numbers; none before the first.
    last: Option<(f64, Vec<f64>)>,
    /// Integrals over the present window.
    integrals: Vec<f64>,
    /// Centre and averages of the window before.
    previous: Option<(f64, Vec<f64>)>,
}

/// A window that ends by so much of its length too early, for the rounding of times, is whole.
const ROUNDING: f64 = 1e-9;

impl Windows {
    pub(super) fn new(length: f64) -> Self {
        Self { length, start: 0.0, last: None, integrals: Vec::new(), previous: None }
    }

    /// Takes the numbers at a later time. Where this ends a window, other than the first: the largest change of an average
    /// since the window before, per unit of time.
    pub(super) fn push(&mut self, time: f64, numbers: Vec<f64>) -> Option<f64> {
        let Some((last, before)) = self.last.take() else {
            self.start = time;
            self.integrals = vec![0.0; numbers.len()];
            self.last = Some((time, numbers));
            return None;
        };
        for ((integral, x), y) in self.integrals.iter_mut().zip(&before).zip(&numbers) {
            *integral += 0.5 * (x + y) * (time - last);
        }
        self.last = Some((time, numbers));
        let width = time - self.start;
        if !(width >= self.length * (1.0 - ROUNDING)) {
            return None;
        }
        let averages: Vec<f64> = self.integrals.iter().map(|x| x / width).collect();
        let centre = 0.5 * (self.start + time);
        let rate = self
            .previous
            .as_ref()
            .map(|(before, old)| largest_size(averages.iter().zip(old).map(|(x, y)| (x - y) / (centre - before))));
        self.start = time;
        self.integrals.fill(0.0);
        self.previous = Some((centre, averages));
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_change_of_averages_over_windows() {
        // 3 t and a square wave that averages out: slope 3, reported at the end of every window but the first.
        let mut windows = Windows::new(1.0);
        let mut rates = Vec::new();
        for k in 0..=400 {
            let t = 0.01 * f64::from(k);
            let noise = if k % 2 == 0 { 1.0 } else { -1.0 };
            if let Some(rate) = windows.push(t, vec![3.0 * t, noise]) {
                rates.push((k, rate));
            }
        }
        assert_eq!(rates.iter().map(|r| r.0).collect::<Vec<_>>(), [200, 300, 400]);
        assert!(rates.iter().all(|(_, rate)| (rate - 3.0).abs() < 1e-9), "{rates:?}");
    }

    #[test]
    fn steps_longer_than_a_window_are_windows_of_their_own() {
        let mut windows = Windows::new(0.1);
        let rates: Vec<_> = [0.0, 2.0, 3.0, 7.0].map(|t| windows.push(t, vec![5.0 * t])).into();
        assert!(rates[0].is_none() && rates[1].is_none());
        assert!(rates[2..].iter().flatten().all(|rate| (rate - 5.0).abs() < 1e-12) && rates[3].is_some());
        windows.push(8.0, vec![f64::NAN]);
        assert!(!(windows.push(9.0, vec![0.0]).unwrap() <= 1e9), "NaN is not steady");
    }
}
