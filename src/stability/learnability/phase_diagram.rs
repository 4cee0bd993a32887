//! Learnability over two parameters at once.

use std::fmt;

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::Parameter;
use crate::model::{LinearRegularizer, ModelError, Spec};
use crate::ode::ReducedOde;
use crate::stability::StabilityError;
use crate::stability::learnability::modes::{Learnability, attracting_learnability};

/// Learnability over a grid of two parameters. Cells are computed over the threads of the current rayon pool with the
/// feature `parallel`, and are the same without.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseDiagram<T: Scalar = f64> {
    /// The values of the first parameter.
    pub first: Vec<T>,
    /// The values of the second.
    pub second: Vec<T>,
    /// The cells, row by row: cell (i, j) at index i · second.len() + j has values first\[i\] and second\[j\]. A cell
    /// without an uninformative state that attracts says so in its error.
    pub cells: Vec<Result<Learnability<T>, StabilityError<T>>>,
}

impl<T: Compiled> PhaseDiagram<T> {
    /// The diagram of a model over two of its parameters.
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
    /// use contrastive_dynamics::{ReducedOde, stability::PhaseDiagram};
    /// let model = Model::builder()
    ///     .nonlinearity(Tanh)
    ///     .hidden(Independent::new([Law::two_point(2.25)?])?)
    ///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
    ///     .learning_rate(0.3)
    ///     .weight_decay(0.5)
    ///     .build()?;
    /// let ode = ReducedOde::new(&model)?;
    /// let (moments, decays) = ([1.0, 2.0], [0.3, 0.6]);
    /// let diagram =
    ///     PhaseDiagram::new(&ode, (Parameter::SecondMoment(0), &moments), (Parameter::WeightDecay, &decays));
    /// assert!(diagram.growth(0, 0, 0).is_some_and(|rate| rate < 0.0));
    /// assert!(diagram.growth(1, 0, 0).is_some_and(|rate| rate > 0.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(ode: &ReducedOde<'_, T>, first: (Parameter, &[T]), second: (Parameter, &[T])) -> Self {
        Self::of(first.1, second.1, |x, y| {
            let member = ode.with_parameter(first.0, x)?.with_parameter(second.0, y)?;
            attracting_learnability(&member)
        })
    }

    /// The diagram over models that a function of two numbers builds.
    pub fn of_models<M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>>(
        first: &[T],
        second: &[T],
        model: impl Fn(T, T) -> Result<M, ModelError> + Sync,
    ) -> Self {
        Self::of(first, second, |x, y| {
            let model = model(x, y).map_err(crate::stability::FamilyError::from)?;
            attracting_learnability(&ReducedOde::new(&model)?)
        })
    }

    fn of(first: &[T], second: &[T], cell: impl Fn(T, T) -> Result<Learnability<T>, StabilityError<T>> + Sync) -> Self {
        let at = |index: usize| cell(first[index / second.len()], second[index % second.len()]);
        let cells = run(first.len() * second.len(), &at);
        Self { first: first.to_vec(), second: second.to_vec(), cells }
    }

    /// The growth rate of `mode` at (first\[i\], second\[j\]); `None` off the grid and where there is none.
    #[must_use]
    pub fn growth(&self, i: usize, j: usize, mode: usize) -> Option<T> {
        if j >= self.second.len() {
            return None;
        }
        self.cells.get(i * self.second.len() + j)?.as_ref().ok()?.growth(mode)
    }
}

#[cfg(feature = "parallel")]
fn run<R: Send>(count: usize, cell: &(impl Fn(usize) -> R + Sync)) -> Vec<R> {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    (0..count).into_par_iter().map(cell).collect()
}

#[cfg(not(feature = "parallel"))]
fn run<R>(count: usize, cell: &impl Fn(usize) -> R) -> Vec<R> {
    (0..count).map(cell).collect()
}

/// Comma-separated values, with a header: first and second parameter, R*_11, the growth rate of each mode, and the reason
/// where there is none.
impl<T: Compiled> fmt::Display for PhaseDiagram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modes = self.cells.iter().flatten().map(|cell| cell.rates.len()).max().unwrap_or(0);
        write!(f, "first,second,r")?;
        (0..modes).try_for_each(|mode| write!(f, ",growth{mode}"))?;
        writeln!(f, ",failure")?;
        for (index, cell) in self.cells.iter().enumerate() {
            let (i, j) = (index / self.second.len(), index % self.second.len());
            write!(f, "{},{},", self.first[i], self.second[j])?;
            match cell {
                Ok(cell) => {
                    write!(f, "{}", cell.state.r()[(0, 0)])?;
                    let rates = (0..modes).map(|mode| cell.growth(mode).unwrap_or(T::lit(f64::NAN)));
                    rates.into_iter().try_for_each(|rate| write!(f, ",{rate}"))?;
                    writeln!(f, ",")?;
                }
                Err(error) => {
                    (0..modes).try_for_each(|_| write!(f, ","))?;
                    writeln!(f, ",\"{error}\"")?;
                }
            }
        }
        Ok(())
    }
}
