//! The limit coefficients A, B and Λ (theory §3): the one object from which ODE, PDE and stability are built.
//!
//! In: [`Limit`], which answers for their error, and [`Coefficients`]. The averages themselves are in the private
//! modules: `factor` (the Gaussian field), `table` (nodes), `field_pair` (two fields), `quadruple` (four), `closed` (closed forms),
//! `batch` (whole batches), `rule` (a frozen choice of these), `assembly` (from averages to coefficients) and `jacobian`
//! (their derivatives).

mod assembly;
mod averages;
mod compiled;
mod fields;
mod jacobian;
mod parameters;
mod rule;
mod signals;

use nalgebra::{DMatrix, DVector, SVD};

pub(crate) use assembly::Assembled;
pub use compiled::Compiled;
use fields::hidden_nodes;
pub(crate) use jacobian::Direction;
pub use parameters::Parameter;
use rule::Accuracy;
pub(crate) use rule::Moving;
pub use rule::Rule;

use crate::Scalar;
use crate::model::{
    AugmentationNoise, GradientPath, HiddenDistribution, HiddenLaw, Model, Nonlinearity, Parity, Penalty, Regularizer,
    Smoothness, ViewCovariance,
};
use crate::state::OrderParameters;

/// Why limit coefficients could not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError<T: Scalar = f64> {
    /// The state does not fit the model.
    #[error("the model has {features} features and {neurons} neurons, the state {state_features} and {state_neurons}")]
    Shape {
        /// Features of the model.
        features: usize,
        /// Neurons of the model.
        neurons: usize,
        /// Features of the state.
        state_features: usize,
        /// Neurons of the state.
        state_neurons: usize,
    },
    /// A tolerance out of range.
    #[error("a tolerance must be positive and finite, got {value}")]
    Tolerance {
        /// The value given.
        value: f64,
    },
    /// The tolerance was not met within the node budget.
    #[error(
        "the tolerance {tolerance:e} was not met within {budget} nodes (estimated error {:e}): allow more nodes with `node_budget` or ask for less with `tolerance`",
        .best.as_ref().map_or(f64::INFINITY, |b| b.error.as_f64())
    )]
    ToleranceNotMet {
        /// The tolerance asked for.
        tolerance: f64,
        /// The nodes allowed.
        budget: usize,
        /// The best value reached, if any rule fitted into the budget.
        best: Option<Box<Estimated<T>>>,
    },
    /// The cubature of the hidden law is none.
    #[error("the hidden law's cubature is unusable: {reason}")]
    HiddenQuadrature {
        /// What is wrong.
        reason: &'static str,
    },
    /// The hidden law has too many nodes, and no map from uniform variables that would let them be sampled.
    #[error(
        "the cubature of the hidden law has {nodes} nodes, more than {most}: implement `HiddenDistribution::transport`"
    )]
    HiddenNodes {
        /// Nodes of the cubature.
        nodes: usize,
        /// The most that are used.
        most: usize,
    },
    /// A value that is NaN or infinite came out of the nonlinearity.
    #[error("the averages are not finite at this state: the nonlinearity grows too fast or returns NaN")]
    NotFinite,
    /// The quantity is defined for one neuron.
    #[error("this is defined for one neuron, the model has {neurons}")]
    OneNeuron {
        /// Neurons of the model.
        neurons: usize,
    },
    /// The second derivative of σ is needed and does not exist.
    #[error(
        "this needs a second derivative of the nonlinearity: it has a kink, and the two views' fields are degenerate"
    )]
    NoSecondDerivative,
    /// The parameter cannot be varied in this model.
    #[error(
        "{parameter:?} cannot be varied here: a noise variance of zero has no shape to keep, the batch size is real for the quadratic penalty alone, and hidden variables are counted from 0"
    )]
    Parameter {
        /// Which parameter.
        parameter: Parameter,
    },
    /// A value that the parameter cannot take.
    #[error("{parameter:?} must be {allowed}, got {value}")]
    ParameterValue {
        /// Which parameter.
        parameter: Parameter,
        /// The value given.
        value: f64,
        /// What values it can take.
        allowed: &'static str,
    },
    /// The averages have no derivative in some direction.
    #[error(
        "the averages are not differentiable here: a direction in which the fields have no variance would get some (R = Q^T Q, or a fully correlated noise that is varied)"
    )]
    NotDifferentiable,
}

/// The limit coefficients at one state (theory §3).
#[derive(Debug, Clone, PartialEq)]
pub struct Coefficients<T: Scalar = f64> {
    /// A, p x m: the gradient's part of dQ/dt, A_li = −τ E[(1/B) Σ_b Σ_v e_bi^v x̃_bl^v].
    pub a: DMatrix<T>,
    /// B, m x m: the gradient's part of dR/dt before symmetrising, B_ji = −τ E[(1/B) Σ_b Σ_v e_bi^v h_bj^v].
    pub b: DMatrix<T>,
    /// Λ, m x m, symmetric and positive semidefinite: the gradient's noise,
    /// Λ_ij = τ² E[(1/B²) Σ_b Σ_vv' e_bi^v D_vv' e_bj^v'].
    pub lambda: DMatrix<T>,
}

impl<T: Compiled> Coefficients<T> {
    pub(crate) fn zeros(features: usize, neurons: usize) -> Self {
        Self {
            a: DMatrix::zeros(features, neurons),
            b: DMatrix::zeros(neurons, neurons),
            lambda: DMatrix::zeros(neurons, neurons),
        }
    }

    /// The largest absolute entry of the difference.
    fn distance(&self, other: &Self) -> T {
        let pairs = [(&self.a, &other.a), (&self.b, &other.b), (&self.lambda, &other.lambda)];
        pairs.iter().flat_map(|(x, y)| x.iter().zip(y.iter())).fold(T::zero(), |worst, (&x, &y)| {
            let difference = (x - y).abs();
            // A NaN must not get lost in a maximum.
            if difference <= worst { worst } else { difference }
        })
    }

    /// The largest absolute entry.
    fn magnitude(&self) -> T {
        [&self.a, &self.b, &self.lambda].iter().flat_map(|x| x.iter()).fold(T::zero(), |m, x| m.max(x.abs()))
    }

    fn is_finite(&self) -> bool {
        [&self.a, &self.b, &self.lambda].iter().all(|x| x.iter().all(nalgebra::ComplexField::is_finite))
    }

    /// The drift of one weight (theory §3): the mean update of a weight row w with feature row u is
    /// αᵀu + βᵀw, with β = (R − QᵀQ)⁺(B − QᵀA), m x m, and α = A − Qβ, p x m. The pseudo-inverse drops directions in
    /// which the background has no variance, where β is undetermined.
    #[must_use]
    pub fn drift(&self, state: &OrderParameters<T>) -> Drift<T> {
        let background = state.background();
        let right = &self.b - state.q().tr_mul(&self.a);
        let cutoff = T::lit(64.0) * T::EPSILON * state.r().iter().fold(T::zero(), |m, x| m.max(x.abs()));
        let beta = SVD::try_new(background, true, true, T::EPSILON, 1000)
            .and_then(|svd| svd.solve(&right, cutoff).ok())
            .unwrap_or_else(|| DMatrix::from_element(right.nrows(), right.ncols(), T::lit(f64::NAN)));
        let alpha = &self.a - state.q() * &beta;
        Drift { alpha, beta }
    }
}

/// The drift of one weight row: αᵀu + βᵀw (theory §3, §4).
#[derive(Debug, Clone, PartialEq)]
pub struct Drift<T: Scalar = f64> {
    /// α, p x m: pull along the features.
    pub alpha: DMatrix<T>,
    /// β, m x m: pull along the weights.
    pub beta: DMatrix<T>,
}

/// Limit coefficients with what is known of their error.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimated<T: Scalar = f64> {
    /// The coefficients.
    pub coefficients: Coefficients<T>,
    /// The estimated largest absolute error of an entry.
    pub error: T,
    /// The quadrature nodes at which the nonlinearity was evaluated, over all refinements.
    pub nodes: u64,
}

/// The limit coefficients of a model, as functions of the state.
///
/// Averages are exact in the batch size for the quadratic penalty and any number of features. By default an answer is
/// good to these tolerances, measured against max(τ, largest entry); in `f32` to no better than 2e-5:
///
/// | model | tolerance |
/// |---|---|
/// | one neuron; two; more | 1e-10; 1e-7; 1e-4 |
/// | two and more, σ with a kink; with a penalty besides | 1e-3; 5e-3 |
/// | a penalty that is not quadratic | 3e-3 |
/// | a hidden law of more than 2¹⁵ nodes | 1e-3 |
///
/// Rules and what they reach are described in docs/accuracy.md.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::{Limit, OrderParameters};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let state = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let answer = Limit::new(&model)?.coefficients(&state)?;
/// assert!((answer.coefficients.a[(0, 0)] - 0.105_918_164_18).abs() < 1e-10);
/// assert!(answer.error < 1e-10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts about a model")]
pub struct Limit<'a, T: Scalar = f64> {
    sigma: &'a dyn Nonlinearity<T>,
    hidden: &'a dyn HiddenLaw<T>,
    hidden_is_exact: bool,
    hidden_mean: DVector<T>,
    hidden_second_moment: DMatrix<T>,
    /// Factors of the hidden variables, where their second moments have been changed: of length p.
    hidden_scales: Vec<T>,
    /// Whether c → −c and σ's parity let mirror-image nodes be merged.
    mirror: bool,
    features: usize,
    neurons: usize,
    learning_rate: T,
    penalty_strength: T,
    /// Whether the penalty acts, or its strength is varied.
    penalised: bool,
    batch: T,
    /// Whether the rest of a batch matters to Λ.
    batch_terms: bool,
    penalty: &'a dyn Penalty<T>,
    /// Whether the penalty is not quadratic, so that averages run over whole batches.
    whole_batches: bool,
    batch_size: usize,
    background_std: T,
    background_noise: ViewCovariance<T>,
    feature_noise: ViewCovariance<T>,
    views: ViewCovariance<T>,
    flow: GradientPath,
    quadrature: Quadrature,
    tolerance: T,
    node_budget: usize,
}

impl<T: Scalar> std::fmt::Debug for Limit<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit")
            .field("features", &self.features)
            .field("neurons", &self.neurons)
            .field("tolerance", &self.tolerance)
            .field("node_budget", &self.node_budget)
            .finish_non_exhaustive()
    }
}

impl<'a, T: Compiled> Limit<'a, T> {
    /// The limit of that model.
    ///
    /// # Errors
    /// [`LimitError::HiddenQuadrature`] or [`LimitError::HiddenNodes`] if a hidden law of your own gives a cubature that
    /// is none, or one too large to enumerate without a map from uniform variables.
    pub fn new<S, H, A, G, P>(model: &'a Model<T, S, H, A, G, P>) -> Result<Self, LimitError<T>>
    where
        S: Nonlinearity<T>,
        H: HiddenDistribution<T>,
        A: AugmentationNoise<T>,
        G: Regularizer<T>,
        P: Penalty<T>,
    {
        let penalised = model.n_neurons() > 1 && model.penalty_strength() > T::zero();
        let whole_batches = penalised && !model.penalty().is_quadratic();
        let hidden = model.hidden();
        hidden_nodes::check_hidden(hidden, model.n_features())?;
        let kinked = matches!(model.nonlinearity().smoothness(), Smoothness::Kinked { .. });
        let many_nodes = HiddenDistribution::quadrature_size(hidden, 27) > hidden_nodes::MOST_HIDDEN_NODES;
        let default = match model.n_neurons() {
            _ if many_nodes => 1e-3,
            1 => 1e-10,
            _ if whole_batches => 3e-3,
            _ if kinked && penalised => 5e-3,
            _ if kinked => 1e-3,
            2 => 1e-7,
            _ => 1e-4,
        };
        Ok(Self {
            sigma: model.nonlinearity(),
            hidden,
            hidden_is_exact: hidden.quadrature_is_exact(),
            hidden_mean: hidden.mean(),
            hidden_second_moment: hidden.second_moment(),
            hidden_scales: vec![T::one(); model.n_features()],
            mirror: model.nonlinearity().parity() != Parity::None && hidden.is_jointly_symmetric(),
            features: model.n_features(),
            neurons: model.n_neurons(),
            learning_rate: model.learning_rate(),
            penalty_strength: if penalised { model.penalty_strength() } else { T::zero() },
            penalised,
            batch: T::of_usize(model.batch_size()),
            batch_terms: model.batch_size() > 1,
            penalty: model.penalty(),
            whole_batches,
            batch_size: model.batch_size(),
            background_std: model.background_std(),
            background_noise: model.noise().background_covariance(),
            feature_noise: model.noise().feature_covariance(),
            views: model.view_covariance(),
            flow: model.gradient_path(),
            tolerance: T::lit(default).max(T::lit(200.0) * T::EPSILON),
            node_budget: 1 << 22,
            quadrature: Quadrature::Automatic,
        })
    }

    /// Asks for errors below `tolerance` times max(τ, largest entry).
    ///
    /// # Errors
    /// [`LimitError::Tolerance`] unless it is positive and finite.
    pub fn tolerance(mut self, tolerance: T) -> Result<Self, LimitError<T>> {
        if !(tolerance > T::zero() && tolerance.is_finite()) {
            return Err(LimitError::Tolerance { value: tolerance.as_f64() });
        }
        self.tolerance = tolerance;
        Ok(self)
    }

    /// The tolerance asked for.
    pub(crate) fn wanted_tolerance(&self) -> T {
        self.tolerance
    }

    /// Allows each average at most that many nodes at each value of the hidden variables. Default 2²².
    #[must_use]
    pub fn node_budget(mut self, nodes: usize) -> Self {
        self.node_budget = nodes;
        self
    }

    /// Averages by that rule. Default [`Quadrature::Automatic`].
    #[must_use]
    pub fn quadrature(mut self, quadrature: Quadrature) -> Self {
        self.quadrature = quadrature;
        self
    }

    /// The limit with every term that a derivative along those directions needs.
    pub(crate) fn for_directions(&self, directions: &[Direction]) -> Self {
        let mut this = self.clone();
        let varies = |parameter| directions.iter().any(|d| matches!(d, Direction::Parameter(p) if *p == parameter));
        if self.neurons > 1 && varies(Parameter::PenaltyStrength) {
            this.penalised = true;
            this.whole_batches = !self.penalty.is_quadratic();
        }
        this.batch_terms |= varies(Parameter::BatchSize);
        this
    }

    /// The number p of features.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.features
    }

    /// The number m of neurons.
    #[must_use]
    pub fn n_neurons(&self) -> usize {
        self.neurons
    }

    /// The coefficients at `state`, refined until their estimated error meets the tolerance.
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the state does not fit the model, [`LimitError::ToleranceNotMet`] with the best value
    /// inside, [`LimitError::NotFinite`] if σ overflows, [`LimitError::HiddenNodes`] if the refined cubature of a hidden
    /// law has too many nodes.
    pub fn coefficients(&self, state: &OrderParameters<T>) -> Result<Estimated<T>, LimitError<T>> {
        T::refine(self, state).map(|(_, estimated)| estimated)
    }

    /// The rule that meets the tolerance at `state`, frozen: a smooth function of the state, to be used near it.
    ///
    /// # Errors
    /// As [`coefficients`](Self::coefficients).
    pub fn rule(&self, state: &OrderParameters<T>) -> Result<Rule<T>, LimitError<T>> {
        T::refine(self, state).map(|(rule, _)| rule)
    }

    /// The learning rate τ.
    #[must_use]
    pub fn learning_rate(&self) -> T {
        self.learning_rate
    }

    /// K^f: covariance over views of the noise along each feature.
    #[must_use]
    pub fn feature_noise(&self) -> ViewCovariance<T> {
        self.feature_noise
    }

    /// σ.
    pub(crate) fn nonlinearity(&self) -> &'a dyn Nonlinearity<T> {
        self.sigma
    }

    /// g, where it acts.
    pub(crate) fn active_penalty(&self) -> Option<(T, &'a dyn Penalty<T>)> {
        self.penalised.then_some((self.penalty_strength, self.penalty))
    }

    /// The tolerance asked for, in units of max(τ, largest entry).
    pub(crate) fn accuracy(&self) -> T {
        self.tolerance
    }

    /// Whether averages run over whole batches.
    pub(crate) fn averages_whole_batches(&self) -> bool {
        self.whole_batches
    }

    /// B, as a real number.
    pub(crate) fn batch(&self) -> T {
        self.batch
    }

    /// D = η² 11ᵀ + K^b.
    pub(crate) fn views(&self) -> ViewCovariance<T> {
        self.views
    }

    /// Which views the gradient flows through.
    pub(crate) fn gradient_path(&self) -> GradientPath {
        self.flow
    }

    /// E\[c\], of length p.
    #[must_use]
    pub fn hidden_mean(&self) -> &DVector<T> {
        &self.hidden_mean
    }

    /// E[c cᵀ], p x p.
    #[must_use]
    pub fn hidden_second_moment(&self) -> &DMatrix<T> {
        &self.hidden_second_moment
    }

    /// E[∂e^v/∂h^v'] of one neuron at `state`, with e¹ = −σ'(h¹)σ(h²) and e² = −σ'(h²)σ(h¹): entry `[v][v']`.
    ///
    /// By Stein's lemma they give the drift without an inverse (theory §3, §6): near Q = 0,
    /// A_l = −τ Σ_vv' E[∂e^v/∂h^v'] (⟨c_l²⟩ + K^f_vv') Q_l.
    ///
    /// # Errors
    /// [`LimitError::Shape`] if the state does not fit the model, [`LimitError::OneNeuron`] for more than one;
    /// [`LimitError::NoSecondDerivative`] if σ gives no σ'' and the fields are degenerate; else as
    /// [`coefficients`](Self::coefficients).
    pub fn error_slopes(&self, state: &OrderParameters<T>) -> Result<[[T; 2]; 2], LimitError<T>> {
        self.check_shape(state)?;
        if self.neurons != 1 {
            return Err(LimitError::OneNeuron { neurons: self.neurons });
        }
        self.rule(state)?.error_slopes(self, state).ok_or(LimitError::NoSecondDerivative)
    }

    fn check_shape(&self, state: &OrderParameters<T>) -> Result<(), LimitError<T>> {
        if (state.n_features(), state.n_neurons()) == (self.features, self.neurons) {
            return Ok(());
        }
        Err(LimitError::Shape {
            features: self.features,
            neurons: self.neurons,
            state_features: state.n_features(),
            state_neurons: state.n_neurons(),
        })
    }

    /// Whether a rule converges no faster than algebraically, so that refining it goes on for as long as the budget lasts.
    fn converges_slowly(&self) -> bool {
        let kinked = matches!(self.sigma.smoothness(), Smoothness::Kinked { .. });
        !self.whole_batches && kinked && self.quadrature == Quadrature::Trapezoidal
    }

    /// Refines until the estimated error meets the tolerance. The rule returned is the coarser of two that agree (their
    /// difference is its error), the coefficients those of the finer; rules over Sobol points are judged by the
    /// spread over independent scrambles.
    fn refine_generic(&self, state: &OrderParameters<T>) -> Result<(Rule<T>, Estimated<T>), LimitError<T>> {
        self.check_shape(state)?;
        // Rules are better than their bounds by about two units, but for coarse ones, where the bounds mean little.
        let wanted = -self.tolerance.as_f64().ln();
        let mut accuracy = (wanted + 2.0).min(7.0).max(wanted - 2.0).max(5.0);
        let mut nodes = 0;
        let mut best: Option<(Rule<T>, Estimated<T>)> = None;
        let fail = |best: Option<(Rule<T>, Estimated<T>)>| LimitError::ToleranceNotMet {
            tolerance: self.tolerance.as_f64(),
            budget: self.node_budget,
            best: best.map(|(_, estimated)| Box::new(estimated)),
        };
        loop {
            let both = Accuracy { fixed: accuracy + self.margin(), sampled: accuracy };
            let Some(mut rule) = Rule::new(self, state, both, 0..SCRAMBLES)? else { return Err(fail(best)) };
            let mut coefficients = Coefficients::zeros(self.features, self.neurons);
            nodes += rule.apply(self, state, &mut coefficients);
            if !coefficients.is_finite() {
                return Err(LimitError::NotFinite);
            }
            let magnitude = coefficients.magnitude().max(self.learning_rate);
            // Sums over all fields of many neurons have the more roundings.
            let roundings = if self.neurons == 1 { 32.0 } else { 1024.0 };
            let rounding = T::lit(roundings) * T::EPSILON * magnitude;
            if rule.is_exact() {
                return Ok((rule, Estimated { coefficients, error: rounding, nodes }));
            }
            let error = if rule.is_sampled() {
                self.spread(state, accuracy, &mut nodes)? + rounding
            } else if let Some((_, previous)) = &best {
                // Twice the difference: it may be small by chance, and of coarse rules it need not bound the error.
                T::lit(2.0) * coefficients.distance(&previous.coefficients) + rounding
            } else {
                T::lit(f64::INFINITY)
            };
            let estimated = Estimated { coefficients, error, nodes };
            if error <= self.tolerance * magnitude {
                let rule = if rule.is_sampled() { rule } else { best.map_or(rule, |(rule, _)| rule) };
                return Ok((rule, estimated));
            }
            // Rounding sets the floor: a rule ten times finer than that will not agree better.
            let pointless = accuracy > 90.0 && !self.converges_slowly() || rule.saturated;
            best = Some((rule, estimated));
            if pointless {
                return Err(fail(best));
            }
            // In four dimensions the nodes grow with the fourth power of it.
            accuracy *= 1.15;
        }
    }

    /// How much more accurate lattices are than Sobol points beside them, in units of ln(1/error): they cost less.
    fn margin(&self) -> f64 {
        if self.whole_batches { 4.0 } else { 0.0 }
    }

    /// The error of a rule with Sobol points: four standard errors over independent scrambles, of the entry that strays
    /// most, and twice what finer lattices change for one of the scrambles.
    fn spread(&self, state: &OrderParameters<T>, accuracy: f64, nodes: &mut u64) -> Result<T, LimitError<T>> {
        let mut apply = |fixed: f64, r: u32| -> Result<Option<Vec<T>>, LimitError<T>> {
            let accuracy = Accuracy { fixed, sampled: accuracy };
            let Some(mut rule) = Rule::new(self, state, accuracy, r..r + 1)? else { return Ok(None) };
            let mut c = Coefficients::zeros(self.features, self.neurons);
            *nodes += rule.apply(self, state, &mut c);
            Ok(Some([&c.a, &c.b, &c.lambda].iter().flat_map(|x| x.iter().copied()).collect()))
        };
        let mut rows = Vec::new();
        for r in 0..SCRAMBLES {
            // A part of a rule that fitted into the budget fits.
            let Some(row) = apply(accuracy + self.margin(), r)? else { return Ok(T::lit(f64::INFINITY)) };
            rows.push(row);
        }
        let Some(finer) = apply(1.15 * (accuracy + self.margin()), 0)? else { return Ok(T::lit(f64::INFINITY)) };
        let count = T::of_usize(rows.len());
        let (mut sampled, mut fixed) = (T::zero(), T::zero());
        for k in 0..finer.len() {
            let mean = rows.iter().map(|row| row[k]).sum::<T>() / count;
            let squares: T = rows.iter().map(|row| (row[k] - mean) * (row[k] - mean)).sum();
            sampled = sampled.max((squares / (count * (count - T::one()))).sqrt());
            fixed = fixed.max((finer[k] - rows[0][k]).abs());
        }
        Ok(T::lit(4.0) * sampled + T::lit(2.0) * fixed)
    }
}

/// Independent scrambles of Sobol points, from whose spread their error is known.
const SCRAMBLES: u32 = 8;

/// The rule by which Gaussian averages are computed. Whichever it is, it is refined until its own error estimate meets
/// the tolerance; see docs/accuracy.md for what each costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quadrature {
    /// Closed forms where they exist; else by the smoothness of σ: Gauss-Hermite for polynomials; at a kink panels for
    /// pairs of fields and Sobol points for four; the trapezoidal rule for all others.
    #[default]
    Automatic,
    /// The trapezoidal rule on a truncated lattice.
    Trapezoidal,
    /// Products of Gauss-Hermite rules: exact for polynomials, slow to converge for tanh and its like.
    GaussHermite,
    /// Gauss-Legendre panels that end at the kink (at zero where there is none), for pairs of fields; averages over four
    /// fields as for [`Automatic`](Self::Automatic).
    Panels,
    /// Owen-scrambled Sobol points.
    Sobol,
}
