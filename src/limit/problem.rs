//! The problem that the averages solve: a model as the limit sees it, types forgotten, and how accurately it is wanted.
//!
//! Covers [`Limit`], the parts that it is made of, and [`Quadrature`]. Not here: how averages are computed (see the other
//! files of this room) and refined (see `refine`).

use nalgebra::{DMatrix, DVector};

use super::error::LimitError;
use super::hidden::{Hidden, MOST_HIDDEN_NODES, check_hidden, has_characteristic};
use super::loss_terms::LossTerms;
use super::parameter::{Direction, Parameter};
use crate::Scalar;
use crate::model::{
    AugmentationNoise, GradientPath, HiddenDistribution, Nonlinearity, Parity, Settings, Smoothness, Spec,
    ViewCovariance,
};
use crate::save::Fingerprint;

/// Noise of its own that a view has, in parts of what the views have in common: less makes averages across kinks expensive.
const LEAST_OWN: f64 = 0.05;

/// The limit coefficients of a model, as functions of the state.
///
/// Averages are exact in the batch size for losses that are polynomials in averages over the batch, as that with the quadratic penalty
/// is, and any number of features. By default an answer is
/// good to these tolerances, measured against max(τ, largest entry); in `f32` to no better than 2e-5:
///
/// | model | tolerance |
/// |---|---|
/// | one neuron; two; more | 1e-10; 1e-8; 1e-7 |
/// | two, σ with a kink; three, where views have noise of their own and none is correlated negatively | 1e-7; 1e-6 |
/// | else two and more, σ with a kink; with a penalty besides | 1e-3; 5e-3 |
/// | a loss that is another polynomial: one neuron; two; three | 1e-10; 1e-8; 1e-4 |
/// | a penalty that is not quadratic, and any other loss | 3e-3 |
/// | a hidden law of more than 2¹⁵ nodes, one neuron; σ a polynomial | 1e-9; 1e-8 |
/// | the same, two neurons; three; more, a polynomial σ or a kink besides | 1e-8; 1e-7; 1e-3 |
/// | the same, where noise of the views is correlated negatively | 1e-6; 1e-4; 1e-3 |
///
/// Rules and what they reach are described in docs/accuracy.md.
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::limit::Limit;
/// use contrastive_dynamics::state::OrderParameters;
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
pub struct Limit<'a, T: Scalar = f64> {
    pub(super) sigma: &'a dyn Nonlinearity<T>,
    pub(super) hidden: Hidden<'a, T>,
    pub(super) noise: Noise<T>,
    pub(super) loss: LossTerms<'a, T>,
    pub(super) settings: Settings<T>,
    /// B, as a real number.
    pub(super) batch: T,
    /// Whether the rest of a batch matters to Λ.
    pub(super) batch_terms: bool,
    pub(super) options: Options<T>,
}

/// The covariances over the views (theory §1, §2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise<T> {
    /// η.
    pub(super) background_std: T,
    /// K^b.
    pub(super) background: ViewCovariance<T>,
    /// K^f.
    pub(super) features: ViewCovariance<T>,
}

impl<T: Scalar> Noise<T> {
    /// D = η² 11ᵀ + K^b.
    pub(super) fn views(&self) -> ViewCovariance<T> {
        self.background.plus_common(self.background_std * self.background_std)
    }

    /// Whether exchanging the views changes no average.
    pub(super) fn is_exchangeable(&self) -> bool {
        self.features.is_exchangeable() && self.views().is_exchangeable()
    }
}

/// How the averages are to be computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<T> {
    pub(super) quadrature: Quadrature,
    /// In units of max(τ, largest entry).
    pub(super) tolerance: T,
    /// The most nodes of one average at one value of the hidden variables.
    pub(super) node_budget: usize,
}

impl<T: Scalar> Limit<'_, T> {
    /// `work` with how the averages are to be computed; the model is not in it.
    pub(crate) fn fingerprint(&self, work: Fingerprint) -> Fingerprint {
        work.text(&format!("{:?}", self.options))
    }
}

impl<T: Scalar> std::fmt::Debug for Limit<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit")
            .field("settings", &self.settings)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Nodes for each continuous variable of a default rule, from which it is known whether a hidden law has too many to
/// enumerate: those of a tolerance of 1e-10.
const DEFAULT_POINTS: usize = 27;

/// The nodes that one average may have by default, and fields of whole batches: enough for batches of 256 samples.
pub(super) const DEFAULT_BUDGET: usize = 1 << 22;
pub(super) const DEFAULT_BATCH_BUDGET: usize = 1 << 24;

/// No tolerance by default is below so many roundings.
const ROUNDINGS: f64 = 200.0;

impl<'a, T: Scalar> Limit<'a, T> {
    /// The limit of that model.
    ///
    /// # Errors
    /// [`LimitError::HiddenQuadrature`] or [`LimitError::HiddenNodes`] if a hidden law of your own gives a cubature that
    /// is none, or one too large to enumerate without a map from uniform variables.
    pub fn new<M: Spec<Scalar = T>>(model: &'a M) -> Result<Self, LimitError<T>> {
        let mut settings = *model.settings();
        // All that momentum does in the limit.
        settings.learning_rate = settings.effective_learning_rate();
        let (law, noise) = (model.hidden(), model.noise());
        let smoothness = model.nonlinearity().smoothness();
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        let noise = Noise {
            background_std: settings.background_std,
            background: noise.background_covariance(),
            features: noise.feature_covariance(),
        };
        // For every strength of the background.
        let exchangeable = noise.features.is_exchangeable() && noise.background.is_exchangeable();
        let loss = LossTerms::new(model.loss(), &settings, kinked, exchangeable);
        let sums = Sums::of(&smoothness, settings.n_neurons, loss.over_batches(), Quadrature::Automatic);
        let node_budget = if loss.whole_batches() { DEFAULT_BATCH_BUDGET } else { DEFAULT_BUDGET };
        let summed = sums.is_some() && has_characteristic(law);
        check_hidden(law, settings.n_features, summed)?;
        let mut this = Self {
            sigma: model.nonlinearity(),
            hidden: Hidden {
                law,
                is_exact: law.quadrature_is_exact(),
                mean: law.mean(),
                second_moment: law.second_moment(),
                scales: vec![T::one(); settings.n_features],
                mirror: model.nonlinearity().parity() != Parity::None && law.is_jointly_symmetric(),
            },
            noise,
            loss,
            batch: T::of_usize(settings.batch_size),
            batch_terms: settings.batch_size > 1,
            settings,
            options: Options { quadrature: Quadrature::Automatic, tolerance: T::one(), node_budget },
        };
        this.options.tolerance = T::lit(this.default_tolerance(summed)).max(T::lit(ROUNDINGS) * T::EPSILON);
        Ok(this)
    }

    /// The tolerance if none is asked for. `summed`: whether the characteristic function of the hidden law is of use.
    fn default_tolerance(&self, summed: bool) -> f64 {
        let smoothness = self.sigma.smoothness();
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        let polynomial = matches!(smoothness, Smoothness::Polynomial { .. });
        let many_nodes = self.hidden.law.quadrature_size(DEFAULT_POINTS) > MOST_HIDDEN_NODES;
        let independent = self.always_independent() && !self.loss.diagonal_moves();
        let noisy = kinked && summed && independent && self.always_noisy();
        match self.settings.n_neurons {
            2 if noisy => 1e-7,
            3 if noisy => 1e-6,
            1 if many_nodes && summed && polynomial => 1e-8,
            1 if many_nodes && summed => 1e-9,
            2 if many_nodes && summed && independent && !kinked => 1e-8,
            3 if many_nodes && summed && independent && !kinked => 1e-7,
            2 if many_nodes && summed && !kinked => 1e-6,
            3 if many_nodes && summed && !kinked => 1e-4,
            _ if many_nodes => 1e-3,
            _ if self.loss.whole_batches() => 3e-3,
            3 if self.loss.over_batches() => 1e-4,
            1 => 1e-10,
            _ if kinked && self.loss.coupled() => 5e-3,
            _ if kinked => 1e-3,
            2 => 1e-8,
            _ => 1e-7,
        }
    }

    /// Whether at every state the views have in common what makes them independent: no noise is correlated negatively.
    fn always_independent(&self) -> bool {
        [self.noise.views(), self.noise.features].iter().all(|noise| noise.get(0, 1) >= T::zero())
    }

    /// Whether at every state each view has noise of its own.
    fn always_noisy(&self) -> bool {
        [self.noise.views(), self.noise.features].iter().all(|noise| {
            let least = T::lit(LEAST_OWN) * noise.get(0, 1).abs();
            (0..2).all(|v| noise.get(v, v) - noise.get(0, 1) > least)
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
        self.options.tolerance = tolerance;
        Ok(self)
    }

    /// Whether fields of either sign are alike: σ is odd or even, and the hidden law symmetric.
    pub(crate) fn is_mirrored(&self) -> bool {
        self.hidden.mirror
    }

    /// The tolerance asked for.
    pub(crate) fn accuracy(&self) -> T {
        self.options.tolerance
    }

    /// Allows each average at most that many nodes at each value of the hidden variables, and whole batches so many fields.
    /// Default 2²²; 2²⁴ for losses that are averaged over whole batches.
    #[must_use]
    pub fn node_budget(mut self, nodes: usize) -> Self {
        self.options.node_budget = nodes;
        self
    }

    /// Averages by that rule. Default [`Quadrature::Automatic`].
    #[must_use]
    pub fn quadrature(mut self, quadrature: Quadrature) -> Self {
        self.options.quadrature = quadrature;
        self
    }

    /// The limit with every term that a derivative along those directions needs.
    pub(crate) fn for_directions(&self, directions: &[Direction]) -> Self {
        let mut this = self.clone();
        let varies = |parameter| directions.iter().any(|d| matches!(d, Direction::Parameter(p) if *p == parameter));
        if varies(Parameter::PenaltyStrength) {
            this.loss.couple(self.settings.n_neurons);
        }
        this.batch_terms |= varies(Parameter::BatchSize);
        this
    }

    /// The number p of features.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.settings.n_features
    }

    /// The number m of neurons.
    #[must_use]
    pub fn n_neurons(&self) -> usize {
        self.settings.n_neurons
    }

    /// The learning rate τ; of a model with momentum β the effective one, τ/(1 − β).
    #[must_use]
    pub fn learning_rate(&self) -> T {
        self.settings.learning_rate
    }

    /// K^f: covariance over views of the noise along each feature.
    #[must_use]
    pub fn feature_noise(&self) -> ViewCovariance<T> {
        self.noise.features
    }

    /// K^b.
    pub(crate) fn background_noise(&self) -> ViewCovariance<T> {
        self.noise.background
    }

    /// σ.
    pub(crate) fn nonlinearity(&self) -> &'a dyn Nonlinearity<T> {
        self.sigma
    }

    /// B, as a real number.
    pub(crate) fn batch(&self) -> T {
        self.batch
    }

    /// D = η² 11ᵀ + K^b.
    pub(crate) fn views(&self) -> ViewCovariance<T> {
        self.noise.views()
    }

    /// Which views the gradient flows through.
    pub(crate) fn gradient_path(&self) -> GradientPath {
        self.settings.gradient_path
    }

    /// E\[c\], of length p.
    #[must_use]
    pub fn hidden_mean(&self) -> &DVector<T> {
        &self.hidden.mean
    }

    /// For each hidden variable the block of dependent ones to which it belongs.
    pub(crate) fn hidden_blocks(&self) -> Vec<usize> {
        let blocks = self.hidden.law.blocks().into_iter().enumerate();
        let mut owner = vec![0; self.settings.n_features];
        blocks.for_each(|(b, range)| owner.iter_mut().take(range.end).skip(range.start).for_each(|owner| *owner = b));
        owner
    }

    /// E[c cᵀ], p x p.
    #[must_use]
    pub fn hidden_second_moment(&self) -> &DMatrix<T> {
        &self.hidden.second_moment
    }

    /// How the loss enters.
    pub(crate) fn loss(&self) -> &LossTerms<'a, T> {
        &self.loss
    }

    pub(crate) fn check_shape(&self, state: &crate::state::OrderParameters<T>) -> Result<(), LimitError<T>> {
        let (features, neurons) = (self.settings.n_features, self.settings.n_neurons);
        if (state.n_features(), state.n_neurons()) == (features, neurons) {
            return Ok(());
        }
        Err(LimitError::Shape {
            features,
            neurons,
            state_features: state.n_features(),
            state_neurons: state.n_neurons(),
        })
    }
}

impl<T: Scalar> Limit<'_, T> {
    /// Whether averages over four fields are over nodes in four dimensions: a kink lies across canonical coordinates.
    pub(super) fn has_nodes_in_four_dimensions(&self) -> bool {
        let smoothness = self.sigma.smoothness();
        matches!(smoothness, Smoothness::Kinked { .. }) || self.samples_fields(&smoothness)
    }

    /// Whether averages over some fields are over Sobol points.
    pub(super) fn samples_fields(&self, smoothness: &Smoothness<T>) -> bool {
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        let automatic = matches!(self.options.quadrature, Quadrature::Automatic | Quadrature::Panels);
        self.options.quadrature == Quadrature::Sobol || automatic && kinked && self.settings.n_neurons > 1
    }
}

/// The rule by which Gaussian averages are computed. Whichever it is, it is refined until its own error estimate meets
/// the tolerance; see docs/accuracy.md for what each costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quadrature {
    /// Closed forms where they exist. Of several neurons, given what the views have in common, wherever that serves and costs least.
    /// Else by the smoothness of σ: Gauss-Hermite for polynomials; at a kink panels for
    /// pairs of fields and Sobol points for four; the trapezoidal rule for all others, and, where fields are so large
    /// that it costs more, nodes that crowd where σ bends.
    #[default]
    Automatic,
    /// The trapezoidal rule on a truncated lattice.
    Trapezoidal,
    /// Products of Gauss-Hermite rules: exact for polynomials, slow to converge for tanh and its like.
    GaussHermite,
    /// Gauss-Legendre panels that end at the kink, or of a smooth σ are short where it bends, for pairs of fields; averages
    /// over four fields on lattices, or by Sobol points across a kink.
    Panels,
    /// Owen-scrambled Sobol points.
    Sobol,
}

/// How a characteristic function would be of use, if the law has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sums {
    /// For one neuron, over wave numbers.
    Waves,
    /// For weights of nodes of the sum.
    Nodes,
}

impl Sums {
    pub(super) fn of<T>(
        smoothness: &Smoothness<T>,
        neurons: usize,
        over_batches: bool,
        quadrature: Quadrature,
    ) -> Option<Self> {
        let kinked = matches!(smoothness, Smoothness::Kinked { .. });
        let polynomial = matches!(smoothness, Smoothness::Polynomial { .. });
        let lattice = matches!(quadrature, Quadrature::Automatic | Quadrature::Trapezoidal);
        if over_batches || quadrature == Quadrature::Sobol {
            None
        } else if neurons == 1 && !kinked && lattice {
            Some(Self::Waves)
        } else {
            (!polynomial).then_some(Self::Nodes)
        }
    }
}
