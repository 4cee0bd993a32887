//! Statistics over the runs of an ensemble, time by time.

use std::fmt;

use super::failure::Failure;
use super::statistics::Statistics;
use crate::Scalar;
use crate::data::{Cell, Table};
use crate::state::{OrderParameters, Trajectory};

/// What is left of a run: at every recorded time the values that were observed.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Record<T> {
    times: Vec<T>,
    width: usize,
    regular: bool,
    values: Vec<f64>,
}

impl<T: Scalar> Record<T> {
    pub(super) fn new(run: Trajectory<T>, observe: &impl Fn(T, &OrderParameters<T>) -> Vec<f64>) -> Self {
        let values: Vec<Vec<f64>> = run.iter().map(|(t, state)| observe(t, state)).collect();
        let width = values.first().map_or(0, Vec::len);
        let regular = values.iter().all(|row| row.len() == width);
        Self { times: run.times, width, regular, values: values.concat() }
    }
}

impl<T: Scalar> Summary<T> {
    /// Of no replicates yet.
    pub(super) fn empty() -> Self {
        Self { times: Vec::new(), width: 0, statistics: Vec::new(), count: 0 }
    }

    /// Adds the next replicate.
    pub(super) fn add<E>(&mut self, record: Record<T>, keep: bool) -> Result<(), Failure<E>> {
        if self.count == 0 {
            self.times.clone_from(&record.times);
            self.width = record.width;
            self.statistics = vec![Statistics::new(keep); record.values.len()];
        }
        if !record.regular || record.times != self.times || record.values.len() != self.statistics.len() {
            return Err(Failure::Shape { got: record.values.len(), expected: self.statistics.len() });
        }
        for (statistics, value) in self.statistics.iter_mut().zip(record.values) {
            statistics.push(value);
        }
        self.count += 1;
        Ok(())
    }
}

/// Statistics over an ensemble, at every recorded time for every observed value.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
pub struct Summary<T: Scalar = f64> {
    pub(super) times: Vec<T>,
    pub(super) width: usize,
    pub(super) statistics: Vec<Statistics>,
    pub(super) count: u64,
}

impl<T: Scalar> Summary<T> {
    /// The recorded times.
    #[must_use]
    pub fn times(&self) -> &[T] {
        &self.times
    }

    /// The number of replicates.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of values observed at every time.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Observed value `value`, counted from 0, at every recorded time; none if there is no such value.
    ///
    /// ```
    /// # use contrastive_dynamics::prelude::*;
    /// # let hidden = Independent::new([Law::two_point(2.25)?])?;
    /// # let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
    /// # let chain = ProjectedChain::builder(&model, 1000);
    /// let output = Output::Times(vec![0.0, 0.5, 1.0]);
    /// let summary = Ensemble::new(64, 1).run_projected(&chain, 1.0, &output, |_, state| vec![state.r()[(0, 0)]])?;
    /// let means: Vec<(f64, f64)> = summary.series(0).map(|(t, r)| (t, r.mean())).collect();
    /// assert_eq!(means.len(), 3);
    /// println!("{summary}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "mean")]
    #[doc(alias = "standard_deviation")]
    pub fn series(&self, value: usize) -> impl Iterator<Item = (T, &Statistics)> {
        (0..self.times.len()).filter_map(move |time| Some((self.times[time], self.at(time, value)?)))
    }

    /// The statistics of observed value `value` at recorded time `time`, both counted from 0.
    #[must_use]
    pub fn at(&self, time: usize, value: usize) -> Option<&Statistics> {
        if value >= self.width {
            return None;
        }
        self.statistics.get(time * self.width + value)
    }
}

impl<T: Scalar> Summary<T> {
    /// A row for every recorded time and observed value: `t`, the number `value` of the value, the `count` of replicates, `mean`,
    /// `standard_error`, `standard_deviation`, and the quantiles `q05`, `q50` and `q95`.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let statistics = ["count", "mean", "standard_error", "standard_deviation", "q05", "q50", "q95"];
        let mut table = Table::of(["t", "value"].into_iter().chain(statistics));
        for (time, row) in self.times.iter().zip(self.statistics.chunks(self.width.max(1))) {
            for (value, x) in row.iter().enumerate() {
                let moments = [x.mean(), x.standard_error(), x.standard_deviation()];
                let numbers = moments.into_iter().chain([0.05, 0.5, 0.95].map(|q| x.quantile(q)));
                let place: [Cell; 3] = [time.as_f64().into(), value.into(), x.count().into()];
                table.add(place.into_iter().chain(numbers.map(Cell::from)));
            }
        }
        table
    }
}

/// A table: for every time and value mean, standard error, standard deviation and three quantiles.
impl<T: Scalar> fmt::Display for Summary<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} replicates", self.count)?;
        write!(f, "{:>12} {:>6} {:>14} {:>12} {:>12}", "t", "value", "mean", "std error", "std dev")?;
        write!(f, " {:>14} {:>14} {:>14}", "5 %", "50 %", "95 %")?;
        for (time, row) in self.times.iter().zip(self.statistics.chunks(self.width.max(1))) {
            for (value, x) in row.iter().enumerate() {
                write!(f, "\n{:>12.6} {value:>6}", time.as_f64())?;
                let deviation = x.standard_deviation();
                write!(f, " {:>14.6e} {:>12.3e} {deviation:>12.3e}", x.mean(), x.standard_error())?;
                for q in [0.05, 0.5, 0.95] {
                    write!(f, " {:>14.6e}", x.quantile(q))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_printed_as_tables_and_read_as_series() {
        let mut summary = Summary::<f64> { times: vec![0.0, 2.5], width: 2, statistics: Vec::new(), count: 2 };
        for base in [1.0, 10.0, 2.0, 20.0] {
            let mut statistics = Statistics::new(false);
            statistics.push(base);
            statistics.push(base + 1.0);
            summary.statistics.push(statistics);
        }
        let text = summary.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        assert!(lines[1..].iter().all(|line| line.len() == lines[1].len()), "{text}");
        let means: Vec<_> = summary.series(1).map(|(t, x)| (t, x.mean())).collect();
        assert_eq!(means, [(0.0, 10.5), (2.5, 20.5)]);
        assert_eq!(summary.series(2).count(), 0);
    }
}
