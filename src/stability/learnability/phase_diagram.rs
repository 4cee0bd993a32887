//! Learnability over two parameters at once.
//!
//! Covers the grid, its cells and how it prints. Not here: learnability at one pair of values (see `modes`).

use std::fmt;
use std::ops::ControlFlow;

use crate::Scalar;
use crate::data::{self, Table};
use crate::limit::{Compiled, Parameter};
use crate::model::{LinearRegularizer, ModelError, Spec};
use crate::ode::ReducedOde;
use crate::parallel::{Cancel, Executor, Local};
use crate::save::Fingerprint;
use crate::stability::display::{TextTable, digits, number};
use crate::stability::learnability::error::StabilityError;
use crate::stability::learnability::family::FamilyError;
use crate::stability::learnability::modes::{Learnability, attracting_learnability};

/// Learnability over a grid of two parameters. Which executor computes the cells changes no bit of them (see
/// [`new_on`](Self::new_on)).
///
/// Prints as a table of the largest growth rate, the first parameter down and the second to the right.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "crate::stability::stored::StoredDiagram<T>"))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: serde::Deserialize<'de>"))
)]
#[non_exhaustive]
pub struct PhaseDiagram<T: Scalar = f64> {
    /// The values of the first parameter.
    pub first: Vec<T>,
    /// The values of the second.
    pub second: Vec<T>,
    /// The cells, row by row: cell (i, j) at index i · second.len() + j has values first\[i\] and second\[j\]. A cell
    /// without an uninformative state that attracts says so in its error. A diagram that was stopped has the first ones only.
    pub cells: Vec<Result<Learnability<T>, StabilityError<T>>>,
}

/// One cell, or why there is none.
type Cell<T> = Result<Learnability<T>, StabilityError<T>>;

/// An executor that carries the cells of a phase diagram: every executor of one process, and those over many processes.
pub trait DiagramExecutor<T: Scalar>: Executor<Cell<T>> + Executor<Vec<Cell<T>>> {}

impl<T: Scalar, X: Executor<Cell<T>> + Executor<Vec<Cell<T>>>> DiagramExecutor<T> for X {}

impl<T: Compiled> PhaseDiagram<T> {
    /// The diagram of a model over two of its parameters.
    ///
    /// ```
    /// use contrastive_dynamics::limit::Parameter;
    /// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
    /// use contrastive_dynamics::ode::ReducedOde;
    /// use contrastive_dynamics::stability::PhaseDiagram;
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
        Self::new_on(&Local::default(), ode, first, second)
    }

    /// As [`new`](Self::new), with the cells computed by that executor. No bit of the diagram depends on it. If it is one over processes that
    /// do not do the same, every cell is [`StabilityError::OtherProcesses`].
    pub fn new_on(
        executor: &impl DiagramExecutor<T>,
        ode: &ReducedOde<'_, T>,
        first: (Parameter, &[T]),
        second: (Parameter, &[T]),
    ) -> Self {
        Self::new_with(executor, ode, first, second, |_, _| ControlFlow::Continue(()))
    }

    /// As [`new_on`](Self::new_on), and tells `observe` after every cell, in their order, how many are done, and of how many. `Break`
    /// ends it with the cells computed by then.
    pub fn new_with(
        executor: &impl DiagramExecutor<T>,
        ode: &ReducedOde<'_, T>,
        first: (Parameter, &[T]),
        second: (Parameter, &[T]),
        mut observe: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Self {
        let axes = format!("{:?} {:?}", first.0, second.0);
        let known = |work| ode.limit().fingerprint(work).numbers([ode.decay()]).text(&axes);
        Self::of(executor, (first.1, second.1), &known, &mut observe, |x, y| {
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
        Self::of_models_on(&Local::default(), first, second, model)
    }

    /// As [`of_models`](Self::of_models), with the cells computed by that executor.
    pub fn of_models_on<M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>>(
        executor: &impl DiagramExecutor<T>,
        first: &[T],
        second: &[T],
        model: impl Fn(T, T) -> Result<M, ModelError> + Sync,
    ) -> Self {
        Self::of_models_with(executor, first, second, model, |_, _| ControlFlow::Continue(()))
    }

    /// As [`of_models_on`](Self::of_models_on), and tells `observe` after every cell, in their order, how many are done, and of how many.
    /// `Break` ends it with the cells computed by then.
    pub fn of_models_with<M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>>(
        executor: &impl DiagramExecutor<T>,
        first: &[T],
        second: &[T],
        model: impl Fn(T, T) -> Result<M, ModelError> + Sync,
        mut observe: impl FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Self {
        Self::of(executor, (first, second), &|work| work, &mut observe, |x, y| {
            let model = model(x, y).map_err(FamilyError::from)?;
            attracting_learnability(&ReducedOde::new(&model)?)
        })
    }

    /// The cells; `known` adds what is known of the models to the fingerprint of the work.
    fn of<X: DiagramExecutor<T>>(
        executor: &X,
        (first, second): (&[T], &[T]),
        known: &dyn Fn(Fingerprint) -> Fingerprint,
        observe: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
        cell: impl Fn(T, T) -> Cell<T> + Sync,
    ) -> Self {
        let columns = second.len();
        let at = |index: u64| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            cell(first[index / columns], second[index % columns])
        };
        let count = first.len() * columns;
        let axes = || known(Fingerprint::of("a phase diagram")).numbers(first.iter().chain(second).copied()).value();
        let cells = if <X as Executor<Cell<T>>>::agree(executor, axes) {
            let mut cells = Vec::new();
            executor.for_each(0..count as u64, &Cancel::new(), &at, &mut |_, cell: Cell<T>| {
                cells.push(cell);
                observe(cells.len(), count)
            });
            executor.once(|| cells)
        } else {
            vec![Err(StabilityError::OtherProcesses); count]
        };
        Self { first: first.to_vec(), second: second.to_vec(), cells }
    }

    /// Whether every cell was computed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.first.len().checked_mul(self.second.len()) == Some(self.cells.len())
    }

    /// The cell at (first\[i\], second\[j\]); `None` off the grid and where a diagram was stopped before.
    #[must_use]
    pub fn cell(&self, i: usize, j: usize) -> Option<&Result<Learnability<T>, StabilityError<T>>> {
        if i >= self.first.len() || j >= self.second.len() {
            return None;
        }
        self.cells.get(i.checked_mul(self.second.len())?.checked_add(j)?)
    }

    /// The growth rate of `mode` at (first\[i\], second\[j\]); `None` off the grid and where there is none.
    #[must_use]
    pub fn growth(&self, i: usize, j: usize, mode: usize) -> Option<T> {
        self.cell(i, j)?.as_ref().ok()?.growth(mode)
    }

    /// A row for every cell that was computed: the parameters `first` and `second`, R*_00 as `r`, the growth rate `growth_k` of each mode k,
    /// and the reason of a `failure`.
    #[must_use]
    pub fn to_table(&self) -> Table {
        let modes = self.cells.iter().flatten().map(|cell| cell.rates.len()).max().unwrap_or(0);
        let places = ["first", "second", "r"].map(String::from).into_iter();
        let mut table =
            Table::of(places.chain((0..modes).map(|mode| format!("growth_{mode}"))).chain(["failure".into()]));
        for (index, cell) in self.cells.iter().enumerate() {
            let (i, j) = (index / self.second.len(), index % self.second.len());
            let found = cell.as_ref().ok();
            let r = found.map(|cell| cell.state.r()[(0, 0)]);
            let rates = (0..modes).map(|mode| found?.growth(mode));
            let numbers = [Some(self.first[i]), Some(self.second[j]), r].into_iter().chain(rates);
            let failure = cell.as_ref().err().map(ToString::to_string);
            table.add(numbers.map(|x| x.map(Scalar::as_f64).into()).chain([data::Cell::from(failure)]));
        }
        table
    }
}

impl<T: Compiled> fmt::Display for PhaseDiagram<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(f);
        let values = self.second.iter().map(|&x| number(x, digits));
        let mut table = TextTable::new(std::iter::once(String::new()).chain(values));
        let largest = |cell: &Learnability<T>| {
            let rates = (0..cell.rates.len()).filter_map(|mode| cell.growth(mode));
            rates.fold(T::lit(f64::NEG_INFINITY), T::max)
        };
        for (i, &first) in self.first.iter().enumerate() {
            let cell = |j: usize| match self.cell(i, j) {
                Some(Ok(cell)) => number(largest(cell), digits),
                Some(Err(_)) => "-".into(),
                None => String::new(),
            };
            table.push(std::iter::once(number(first, digits)).chain((0..self.second.len()).map(cell)));
        }
        write!(f, "{table}largest growth rate; - where no uninformative state attracts")
    }
}
