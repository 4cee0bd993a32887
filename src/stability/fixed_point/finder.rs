//! The search for all fixed points: from many starts by Newton's method, then away from those found, each orbit of the
//! model's symmetries listed once.

use nalgebra::DVector;

use crate::Scalar;
use crate::limit::Compiled;
use crate::limit::LimitError;
use crate::model::Constraint;
use crate::ode::ReducedOde;
use crate::stability::fixed_point::linearization::linearize;
use crate::stability::fixed_point::newton::{NewtonLimits, NewtonStop, Run, newton, solve};
use crate::stability::fixed_point::starts::{FacedStart, Shape, Start, StartKind};
use crate::stability::fixed_point::symmetry::distance;
use crate::stability::fixed_point::{FixedPoint, FixedPointError, Symmetries, classify, collapsed_point, kind};
use crate::stability::spectrum::spectrum;
use crate::state::OrderParameters;

use crate::stability::fixed_point::face::Face;

/// A start from which no new fixed point was reached.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedStart<T: Scalar = f64> {
    /// The start.
    pub start: Start<T>,
    /// Where Newton's method ended.
    pub end: OrderParameters<T>,
    /// The largest rate before each step, and at the end.
    pub residuals: Vec<T>,
    /// Why it stopped.
    pub stop: NewtonStop<T>,
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedPoints<T: Scalar = f64> {
    /// The fixed points, one for each orbit of the symmetries, in the order in which they were found.
    pub points: Vec<FixedPoint<T>>,
    /// The symmetries up to which duplicates were removed.
    pub symmetries: Symmetries,
    /// Starts that led to no fixed point, with the reason.
    pub failed: Vec<FailedStart<T>>,
    /// How many starts led to each point, beside the first.
    pub repeats: Vec<usize>,
    /// Fixed points reached that could not be analysed, with the reason.
    pub unresolved: Vec<(OrderParameters<T>, FixedPointError<T>)>,
}

impl<T: Compiled> FixedPoints<T> {
    /// The stable ones.
    pub fn stable(&self) -> impl Iterator<Item = &FixedPoint<T>> {
        self.points.iter().filter(|point| point.is_stable())
    }
}

/// Seeks the fixed points of a [`ReducedOde`].
///
/// No finite search is certain to find all of them; more Sobol starts make it more likely.
///
/// | setter | meaning | default |
/// |---|---|---|
/// | [`tolerance`](Self::tolerance) | rates that count as zero, in units of max(τ, decay) | 1e-12 (in `f32` 5e-5) |
/// | [`separation`](Self::separation) | distance below which states are one | 1e-6 (in `f32` 1e-3) |
/// | [`degeneracy`](Self::degeneracy) | eigenvalues that count as zero, in units of the largest | 1e-7 (in `f32` 1e-3) |
/// | [`purity`](Self::purity) | overlaps beside a selected feature's, in its units | 0.1 |
/// | [`sobol_starts`](Self::sobol_starts) | Sobol starts | 24 |
/// | [`deflated_starts`](Self::deflated_starts) | of these, followed again with deflation | 8 |
/// | [`start`](Self::start) | a start of one's own | none |
/// | [`step_limit`](Self::step_limit) | Newton steps from each start | 60 |
///
/// ```
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::{ReducedOde, stability::{FixedPointFinder, Kind}};
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .weight_decay(0.5)
///     .build()?;
/// let found = FixedPointFinder::new(&ReducedOde::new(&model)?).find()?;
/// let stable: Vec<_> = found.stable().collect();
/// assert_eq!(stable.len(), 1);
/// assert_eq!(stable[0].kind, Kind::Selected { features: vec![Some(0)] });
/// assert!((stable[0].state.q()[(0, 0)].abs() - 0.984_068_319).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FixedPointFinder<'o, 'a, T: Scalar = f64> {
    ode: &'o ReducedOde<'a, T>,
    tolerance: T,
    separation: T,
    degeneracy: T,
    purity: T,
    sobol_starts: usize,
    deflated_starts: usize,
    step_limit: usize,
    starts: Vec<OrderParameters<T>>,
}

impl<'o, 'a, T: Compiled> FixedPointFinder<'o, 'a, T> {
    /// A search with every default.
    #[must_use]
    pub fn new(ode: &'o ReducedOde<'a, T>) -> Self {
        Self {
            ode,
            tolerance: T::lit(1e-12).max(T::lit(400.0) * T::EPSILON),
            separation: T::lit(1e-6).max(T::lit(1e4) * T::EPSILON),
            degeneracy: T::lit(1e-7).max(T::lit(1e4) * T::EPSILON),
            purity: T::lit(0.1),
            sobol_starts: 24,
            deflated_starts: 8,
            step_limit: 60,
            starts: Vec::new(),
        }
    }

    /// Rates up to `tolerance` times max(τ, τγ·largest entry) count as zero.
    #[must_use]
    pub fn tolerance(mut self, tolerance: T) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// States no farther apart than that in any entry are one.
    #[must_use]
    pub fn separation(mut self, separation: T) -> Self {
        self.separation = separation;
        self
    }

    /// Eigenvalues with real parts up to `degeneracy` times the largest modulus count as zero.
    #[must_use]
    pub fn degeneracy(mut self, degeneracy: T) -> Self {
        self.degeneracy = degeneracy;
        self
    }

    /// A neuron has selected a feature if every other overlap is at most `purity` times that one.
    #[must_use]
    pub fn purity(mut self, purity: T) -> Self {
        self.purity = purity;
        self
    }

    /// Begins at that many Sobol points, besides the structured starts.
    #[must_use]
    pub fn sobol_starts(mut self, count: usize) -> Self {
        self.sobol_starts = count;
        self
    }

    /// Follows that many of the Sobol and given starts once more, away from the points known by then.
    #[must_use]
    pub fn deflated_starts(mut self, count: usize) -> Self {
        self.deflated_starts = count;
        self
    }

    /// Begins at `state` too, and before all others.
    #[must_use]
    pub fn start(mut self, state: &OrderParameters<T>) -> Self {
        self.starts.push(state.clone());
        self
    }

    /// Takes at most that many Newton steps from each start.
    #[must_use]
    pub fn step_limit(mut self, steps: usize) -> Self {
        self.step_limit = steps;
        self
    }

    /// Searches.
    ///
    /// # Errors
    /// [`FixedPointError::Tolerance`] for a tolerance out of range; [`FixedPointError::Limit`] if the coefficients cannot
    /// be computed at an ordinary state. A start that fails is listed in the answer.
    pub fn find(&self) -> Result<FixedPoints<T>, FixedPointError<T>> {
        for (name, value) in [
            ("tolerance", self.tolerance),
            ("separation", self.separation),
            ("degeneracy", self.degeneracy),
            ("purity", self.purity),
        ] {
            if !(value > T::zero() && value.is_finite()) {
                return Err(FixedPointError::Tolerance { name, value: value.as_f64() });
            }
        }
        let symmetries = Symmetries::detect(self.ode)?;
        let shape = self.shape(&symmetries);
        let mut found = FixedPoints {
            points: Vec::new(),
            symmetries,
            failed: Vec::new(),
            repeats: Vec::new(),
            unresolved: Vec::new(),
        };
        self.add_collapsed(&shape, &mut found);
        self.follow_all(self.given(&shape), &mut found);
        self.follow_all(shape.uninformative(), &mut found);
        let scale = Self::scale(&found);
        self.follow_all(shape.selected(scale), &mut found);
        self.follow_all(shape.mixtures(scale), &mut found);
        if shape.neurons > 1 {
            let vanishing = self.vanishes();
            self.follow_all(shape.coinciding(scale, vanishing), &mut found);
        }
        self.follow_all((0..self.sobol_starts).map(|index| shape.sobol(index, scale)), &mut found);
        let again = self.given(&shape).into_iter().chain((0..).map(|index| shape.sobol(index, scale)));
        for mut start in again.take(self.deflated_starts) {
            start.start.kind = StartKind::Deflated;
            let known = nearest_images(&found.points, &start.start.state);
            self.follow(start, &known, &mut found);
        }
        Ok(found)
    }

    /// Newton's method from one state, and what is found there, whether or not it is new.
    ///
    /// # Errors
    /// [`FixedPointError::Limit`] and [`FixedPointError::Spectrum`] if the point reached cannot be analysed. A run that
    /// does not converge says so in [`FixedPoint::stop`].
    pub fn polish(&self, state: &OrderParameters<T>) -> Result<FixedPoint<T>, FixedPointError<T>> {
        let (p, m) = (self.ode.limit().n_features(), self.ode.limit().n_neurons());
        if (state.n_features(), state.n_neurons()) != (p, m) {
            let (state_features, state_neurons) = (state.n_features(), state.n_neurons());
            return Err(LimitError::Shape { features: p, neurons: m, state_features, state_neurons }.into());
        }
        let face = Face::whole(p, m, self.ode.constraint());
        let run = self.run(&face, state, &[]);
        let symmetries = Symmetries::none();
        self.analyse(run, StartKind::Given { index: 0 }, &symmetries)
    }

    /// The fixed points without overlaps and with weights, one of each orbit, their states alone.
    pub(crate) fn blind_states(&self) -> Result<Vec<OrderParameters<T>>, FixedPointError<T>> {
        // One neuron needs no symmetries.
        let one = self.ode.limit().n_neurons() == 1;
        let symmetries = if one { Symmetries::none() } else { Symmetries::detect(self.ode)? };
        let shape = self.shape(&symmetries);
        let mut starts = shape.uninformative();
        if !one {
            starts.extend(
                shape.coinciding(1.0, false).into_iter().filter(|start| start.start.state.q().amax() == T::zero()),
            );
        }
        let mut states: Vec<OrderParameters<T>> = Vec::new();
        for FacedStart { start, face } in starts {
            let run = self.run(&face, &start.state, &[]);
            // A state of one kind of weights: vanishing neurons are the business of fewer neurons.
            let kept = (0..shape.neurons).all(|i| run.state.r()[(i, i)] > self.separation);
            let known = || {
                states.iter().any(|state| {
                    symmetries
                        .images(state, self.separation)
                        .iter()
                        .any(|image| distance(image, &run.state) <= T::lit(10.0) * self.separation)
                })
            };
            if run.stop == NewtonStop::Converged && kept && !known() {
                states.push(run.state);
            }
        }
        Ok(states)
    }

    fn limits(&self) -> NewtonLimits<T> {
        NewtonLimits { tolerance: self.tolerance, steps: self.step_limit, bound: T::lit(1e6) }
    }

    fn shape(&self, symmetries: &Symmetries) -> Shape {
        let limit = self.ode.limit();
        let (p, m) = (limit.n_features(), limit.n_neurons());
        let moved = |pairs: &[(usize, bool)]| pairs.iter().enumerate().any(|(k, &(to, minus))| to != k || minus);
        let alone = |l: usize| {
            symmetries.generators.iter().any(|g| {
                !moved(&g.neurons)
                    && g.features.iter().enumerate().all(|(k, &(to, minus))| to == k && minus == (k == l))
            })
        };
        let even_neurons = (0..m).all(|i| {
            symmetries.generators.iter().any(|g| {
                !moved(&g.features)
                    && g.neurons.iter().enumerate().all(|(k, &(to, minus))| to == k && minus == (k == i))
            })
        });
        let scale = limit.hidden_second_moment().trace().sqrt();
        Shape {
            features: p,
            neurons: m,
            constraint: self.ode.constraint(),
            centred: limit.hidden_mean().amax() <= T::lit(64.0) * T::EPSILON * scale,
            even_features: (0..p).map(alone).collect(),
            even_neurons,
        }
    }

    /// Whether a neuron of weight zero stays there: σ(0) = 0 and nothing else pulls it.
    fn vanishes(&self) -> bool {
        let limit = self.ode.limit();
        let at_rest = limit.nonlinearity().value(T::zero()).abs() <= T::lit(16.0) * T::EPSILON;
        let coupled = limit.loss().coupling_at_zero().is_none_or(|coupling| coupling != T::zero());
        at_rest && !coupled && self.ode.constraint() == Constraint::None
    }

    /// The size R_ii that uninformative points have.
    fn scale(found: &FixedPoints<T>) -> f64 {
        let sizes = found.points.iter().map(|point| point.state.r()[(0, 0)].as_f64()).filter(|r| *r > 1e-3);
        sizes.fold(None, |most: Option<f64>, r| Some(most.map_or(r, |m| m.max(r)))).unwrap_or(1.0).clamp(1e-2, 1e2)
    }

    fn given(&self, shape: &Shape) -> Vec<FacedStart<T>> {
        let fits =
            |state: &&OrderParameters<T>| (state.n_features(), state.n_neurons()) == (shape.features, shape.neurons);
        let starts = self.starts.iter().filter(fits).enumerate().map(|(index, state)| FacedStart {
            start: Start { kind: StartKind::Given { index }, state: state.clone() },
            face: Face::whole(shape.features, shape.neurons, shape.constraint),
        });
        starts.collect()
    }

    fn add_collapsed(&self, shape: &Shape, found: &mut FixedPoints<T>) {
        let Ok(point) = collapsed_point(self.ode) else { return };
        let zeros = |rows| nalgebra::DMatrix::zeros(rows, shape.neurons);
        let state = OrderParameters::from_parts(zeros(shape.features), zeros(shape.neurons));
        let Ok(spectrum) = spectrum(&point.jacobian) else { return };
        let (unstable, neutral, stability) = classify(&spectrum, self.threshold(&spectrum));
        found.points.push(FixedPoint {
            images: vec![state.clone()],
            state,
            error: T::zero(),
            residuals: vec![T::zero()],
            stop: NewtonStop::Converged,
            start: StartKind::Collapsed,
            coordinates: (0..point.jacobian.nrows()).collect(),
            jacobian: point.jacobian,
            spectrum,
            unstable,
            neutral,
            stability,
            kind: crate::stability::fixed_point::Kind::Collapsed,
        });
        found.repeats.push(0);
    }

    /// How near another state counts as this point: the separation, or what the errors of both explain.
    fn reach(&self, point: &FixedPoint<T>) -> T {
        self.separation.max((T::lit(4.0) * point.error).min(T::lit(1e3) * self.separation))
    }

    fn threshold(&self, spectrum: &crate::stability::fixed_point::Spectrum<T>) -> T {
        use nalgebra::ComplexField;
        self.degeneracy * spectrum.values.iter().fold(T::zero(), |most, x| most.max(x.modulus()))
    }

    fn follow_all(&self, starts: impl IntoIterator<Item = FacedStart<T>>, found: &mut FixedPoints<T>) {
        for start in starts {
            self.follow(start, &[], found);
        }
    }

    fn follow(&self, faced: FacedStart<T>, deflated: &[DVector<T>], found: &mut FixedPoints<T>) {
        let FacedStart { start, face } = faced;
        let mut run = self.run(&face, &start.state, deflated);
        if run.stop == NewtonStop::Boundary
            && let Some(face) = coinciding_face(&run.state, self.ode.constraint())
        {
            // Pressed against the boundary where neurons coincide or vanish: from here within it.
            let within = self.run(&face, &run.state, &[]);
            run.residuals.extend(within.residuals);
            if within.stop == NewtonStop::Converged {
                (run.state, run.stop) = (within.state, within.stop);
            }
        }
        // Convergence to R = 0 is linear: Q is of the order of the root of R there.
        let collapsed = found.points.first().is_some_and(|point| point.start == StartKind::Collapsed);
        if collapsed && run.state.r().amax() <= self.separation {
            run.state = found.points[0].state.clone();
            run.stop = NewtonStop::Converged;
        }
        if run.stop != NewtonStop::Converged {
            found.failed.push(FailedStart { start, end: run.state, residuals: run.residuals, stop: run.stop });
            return;
        }
        let known = found
            .points
            .iter()
            .position(|point| point.images.iter().any(|image| distance(image, &run.state) <= self.reach(point)));
        if let Some(of) = known {
            found.repeats[of] += 1;
            return;
        }
        let state = run.state.clone();
        match self.analyse(run, start.kind, &found.symmetries) {
            Ok(point) => {
                found.points.push(point);
                found.repeats.push(0);
            }
            Err(error) => found.unresolved.push((state, error)),
        }
    }

    /// Newton's method, then again with a rule chosen where it ended, until that is fixed to the coefficients' tolerance.
    fn run(&self, face: &Face<T>, start: &OrderParameters<T>, deflated: &[DVector<T>]) -> Run<T> {
        let mut run = newton(self.ode, face, start, deflated, &self.limits());
        for _ in 0..3 {
            if run.stop != NewtonStop::Converged || self.is_fixed(&run.state) {
                return run;
            }
            let again = newton(self.ode, face, &run.state, &[], &self.limits());
            run.residuals.extend(again.residuals);
            (run.state, run.stop) = (again.state, again.stop);
        }
        if run.stop == NewtonStop::Converged && !self.is_fixed(&run.state) {
            run.stop = NewtonStop::NotInvariant;
        }
        run
    }

    /// Whether all rates vanish, not those of a face or of a frozen rule alone.
    fn is_fixed(&self, state: &OrderParameters<T>) -> bool {
        let Ok(rates) = self.ode.rates(state) else { return false };
        let unit = self.ode.limit().learning_rate().max(self.ode.decay().abs() * state.r().amax());
        let tolerance = T::lit(3.0) * self.ode.limit().accuracy() + T::lit(1e3) * self.tolerance;
        rates.q.amax().max(rates.r.amax()) <= tolerance * unit
    }

    fn analyse(
        &self,
        run: Run<T>,
        start: StartKind,
        symmetries: &Symmetries,
    ) -> Result<FixedPoint<T>, FixedPointError<T>> {
        let Run { state, residuals, stop } = run;
        let whole = Face::whole(state.n_features(), state.n_neurons(), self.ode.constraint());
        let linear = linearize(self.ode, &state)?;
        let jacobian = whole.jacobian(&linear.by_state);
        let spectrum = spectrum(&jacobian)?;
        let threshold = self.threshold(&spectrum).max(linear.error);
        let (unstable, neutral, stability) = classify(&spectrum, threshold);
        let rates = self.ode.rates(&state)?;
        let coefficients = self.ode.limit().coefficients(&state)?.error;
        let left = rates.q.amax().max(rates.r.amax()) + T::lit(3.0) * coefficients;
        // The norm of the inverse, from its columns.
        let n = jacobian.nrows();
        let identity = nalgebra::DMatrix::<T>::identity(n, n);
        let error = if neutral > 0 {
            T::lit(f64::INFINITY)
        } else {
            let columns: Vec<DVector<T>> = (0..n).map(|k| solve(&jacobian, &identity.column(k).into_owned())).collect();
            let row = |r: usize| columns.iter().map(|column| column[r].abs()).sum::<T>();
            (0..n).fold(T::zero(), |most, r| most.max(row(r))) * left
        };
        Ok(FixedPoint {
            images: symmetries.images(&state, self.separation),
            kind: kind(&state, self.separation, self.purity),
            coordinates: whole.entries().collect(),
            state,
            error,
            residuals,
            stop,
            start,
            jacobian,
            spectrum,
            unstable,
            neutral,
            stability,
        })
    }
}

/// How near to coinciding or vanishing neurons must be to be taken for it.
const COINCIDING: f64 = 2e-3;

/// The family in which the neurons coincide, up to sign, or vanish that nearly do at `state`; `None` if none does.
fn coinciding_face<T: Compiled>(state: &OrderParameters<T>, constraint: Constraint) -> Option<Face<T>> {
    let (m, r) = (state.n_neurons(), state.r());
    let near = T::lit(COINCIDING);
    let mut clusters: Vec<Option<(usize, T)>> = Vec::with_capacity(m);
    let mut first: Vec<usize> = Vec::new();
    for i in 0..m {
        if r[(i, i)] <= near * r.amax() {
            clusters.push(None);
            continue;
        }
        let twin = first.iter().position(|&j| r[(i, j)] * r[(i, j)] >= (T::one() - near) * r[(i, i)] * r[(j, j)]);
        clusters.push(Some(twin.map_or((first.len(), T::one()), |c| {
            (c, if r[(i, first[c])] < T::zero() { -T::one() } else { T::one() })
        })));
        if twin.is_none() {
            first.push(i);
        }
    }
    let overlaps = state.q().amax() > T::zero();
    (first.len() < m && !first.is_empty()).then(|| Face::new(state.n_features(), &clusters, overlaps, constraint))
}

/// The most images of one point that are deflated.
const MOST_DEFLATED: usize = 128;

/// Packed images of all points, of each those nearest to `state`.
fn nearest_images<T: Compiled>(points: &[FixedPoint<T>], state: &OrderParameters<T>) -> Vec<DVector<T>> {
    let mut known = Vec::new();
    for point in points {
        let mut images: Vec<(T, &OrderParameters<T>)> =
            point.images.iter().map(|image| (distance(image, state), image)).collect();
        images.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        known.extend(images.iter().take(MOST_DEFLATED).map(|(_, image)| image.to_packed()));
    }
    known
}
