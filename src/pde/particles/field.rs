//! What moves the particles: coefficients from their own law, and new weights from old ones (theory §4).
//!
//! Covers the coefficients, the normals of a step, when a step is accepted, and what is kept of all that. Not here: the
//! schemes (see `scheme`).

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::Work;
use crate::limit::{Coefficients, Compiled, Limit, LimitError, MovingLimit, Rule};
use crate::model::{Constraint, Regularizer, ScheduleError, pull};
use crate::numerics::largest::largest_size;
use crate::numerics::matrix::{Indefinite, square_root};
use crate::pde::particles::StepFailure;
use crate::pde::particles::noise::{Matching, Noise};
use crate::pde::particles::rows::{Blend, RowBuffers, SavedRows};
use crate::pde::particles::scheme::{Change, Flow, MeanField, Stage};
use crate::save::SaveError;
use crate::state::{OrderParameters, packed_len, unpack};

/// How negative Λ may be, in tolerances of the coefficients: its own error, and that of the rule of a state nearby.
const INDEFINITE: f64 = 10.0;

/// The same in ulp of the covariance of a step's noise, where it is more: rounding in the sums of which a scheme makes it.
const INDEFINITE_ULPS: f64 = 1e3;

/// Moments that were saved may differ from those of the rows that were saved by so many ulp, being sums over all of them.
const MOMENT_ULPS: f64 = 1e4;

/// Particles with everything that a step needs.
#[derive(Debug, Clone)]
pub(super) struct Field<'a, T: Scalar, G> {
    pub(super) limit: Limit<'a, T>,
    /// The limit in motion, if there are schedules; `limit` and `decay` are those of the flow computed last.
    moving: Option<Box<MovingLimit<'a, T>>>,
    /// The present time, and the size of the step that is tried.
    now: T,
    size: T,
    pub(super) regularizer: &'a G,
    /// τγ.
    pub(super) decay: T,
    pub(super) constraint: Constraint,
    pub(super) noise: Noise,
    pub(super) rows: RowBuffers<T>,
    rule: Rule<T>,
    /// The state and the time at which the rule was chosen.
    ruled_at: OrderParameters<T>,
    ruled_when: T,
    coefficients: Coefficients<T>,
    /// Q, the upper triangle of R and the mean of w, at every stage.
    moments: [Vec<T>; 3],
    /// Means of u uᵀ and of u.
    feature_moments: (Vec<T>, Vec<T>),
    /// The flow before the step, once it is known.
    flow: Option<Flow<T>>,
    /// The normals of this step: whether they are drawn, and how they are matched.
    drawn: bool,
    matching: Option<Matching<T>>,
    normal_moments: Vec<T>,
    pub(super) work: Work,
}

impl<'a, T: Compiled, G: Regularizer<T>> Field<'a, T, G> {
    pub(super) fn new(
        (limit, moving): (Limit<'a, T>, Option<MovingLimit<'a, T>>),
        (regularizer, decay, constraint): (&'a G, T, Constraint),
        noise: Noise,
        mut rows: RowBuffers<T>,
    ) -> Result<Self, StepFailure<T>> {
        let (p, m) = (rows.features, rows.neurons);
        let mut moments = vec![T::zero(); packed_len(p, m) + m];
        rows.moments(Stage::Start, &mut moments);
        let (q, r) = unpack(p, m, &moments);
        let state = OrderParameters::from_parts(q, r);
        state.check_reached()?;
        Ok(Self {
            rule: moving.as_ref().map_or_else(|| limit.rule(&state), |moving| moving.rule(&state))?,
            ruled_at: state,
            ruled_when: T::zero(),
            moving: moving.map(Box::new),
            now: T::zero(),
            size: T::zero(),
            coefficients: Coefficients::zeros(p, m),
            moments: [moments.clone(), moments.clone(), moments],
            feature_moments: rows.feature_moments(),
            flow: None,
            drawn: false,
            matching: None,
            normal_moments: vec![T::zero(); (p + m + 1) * m + m * (m + 1) / 2],
            work: Work::default(),
            limit,
            regularizer,
            decay,
            constraint,
            noise,
            rows,
        })
    }

    fn shape(&self) -> (usize, usize) {
        (self.rows.features, self.rows.neurons)
    }

    /// Q row by row, then the upper triangle of R.
    pub(super) fn packed(&self, stage: Stage) -> &[T] {
        let (p, m) = self.shape();
        &self.moments[stage as usize][..packed_len(p, m)]
    }

    pub(super) fn state(&self, stage: Stage) -> OrderParameters<T> {
        let (p, m) = self.shape();
        let (q, r) = unpack(p, m, self.packed(stage));
        OrderParameters::from_parts(q, r)
    }

    /// A step of that size is to be tried.
    pub(super) fn try_size(&mut self, size: T) {
        self.size = size;
    }

    /// The first time after now at which a schedule jumps or bends.
    pub(super) fn next_break(&self) -> Option<T> {
        self.moving.as_ref()?.next_break(self.now)
    }

    /// Goes over to the numbers in force at time t.
    fn reach(&mut self, t: T) -> Result<(), StepFailure<T>> {
        if let Some(moving) = &mut self.moving {
            moving.reach(t)?;
            self.rule.follow(moving.limit());
            self.limit.clone_from(moving.limit());
        }
        Ok(())
    }

    /// Makes the end of a step the start of the next one, at time `now`. If that is not acceptable, nothing has changed.
    pub(super) fn accept(&mut self, now: T) -> Result<(), StepFailure<T>> {
        let before = self.now;
        self.try_accept(now).or_else(|failure| self.reach(before).and(Err(failure)))
    }

    fn try_accept(&mut self, now: T) -> Result<(), StepFailure<T>> {
        let state = self.state(Stage::End);
        state.check_reached()?;
        self.reach(now)?;
        if !self.rule.resolves(&self.limit, state.q(), state.r()) {
            self.rule = self.new_rule(&state)?;
            self.ruled_at = state;
            self.ruled_when = now;
            self.work.rule_refinements += 1;
        }
        self.now = now;
        self.rows.accept();
        self.moments.swap(Stage::Start as usize, Stage::End as usize);
        self.flow = None;
        self.drawn = false;
        self.work.accepted_steps += 1;
        Ok(())
    }

    fn new_rule(&self, state: &OrderParameters<T>) -> Result<Rule<T>, LimitError<T>> {
        self.moving.as_ref().map_or_else(|| self.limit.rule(state), |moving| moving.rule(state))
    }

    /// Goes over to the numbers in force at a stage: the start of the step or its end.
    fn move_to(&mut self, stage: Stage) -> Result<(), ScheduleError> {
        if let Some(moving) = &mut self.moving {
            moving.move_to(if stage == Stage::Start { self.now } else { self.now + self.size })?;
            self.rule.follow(moving.limit());
            self.limit.clone_from(moving.limit());
            self.decay = moving.decay();
        }
        Ok(())
    }

    fn compute_flow(&mut self, stage: Stage) -> Result<Flow<T>, StepFailure<T>> {
        self.move_to(stage)?;
        let state = self.state(stage);
        let nodes = self.rule.apply_to(&self.limit, state.q(), state.r(), &mut self.coefficients);
        self.work.right_hand_sides += 1;
        self.work.quadrature_nodes += nodes;
        let drift = self.coefficients.drift(&state);
        let mut flow = Flow {
            alpha: drift.alpha,
            beta: drift.beta,
            lambda: self.coefficients.lambda.clone(),
            decay: if self.regularizer.is_linear() { T::zero() } else { self.decay },
        };
        let linear = self.decay * self.regularizer.linear_part();
        for i in 0..state.n_neurons() {
            flow.beta[(i, i)] -= linear;
        }
        if self.constraint.fixes_covariance() && self.rows.neurons > 1 {
            self.pull_to_orthonormal(stage, &mut flow);
        } else if self.constraint.fixes_norms() {
            self.pull_to_sphere(stage, &state, &mut flow);
        }
        Ok(flow)
    }

    /// Adds ν_i = −(dR_ii/dt)/(2 R_ii) to β_ii (theory §5), dR_ii/dt being 2B_ii + Λ_ii − 2τγ⟨w_i φ(w_i)⟩.
    fn pull_to_sphere(&mut self, stage: Stage, state: &OrderParameters<T>, flow: &mut Flow<T>) {
        let regularizer = self.regularizer;
        for i in 0..state.n_neurons() {
            let shrink = if self.decay == T::zero() {
                T::zero()
            } else if regularizer.is_linear() {
                regularizer.linear_part() * state.r()[(i, i)]
            } else {
                self.rows.mean(stage, i, |w| w * regularizer.apply(w))
            };
            let two = T::lit(2.0);
            let Coefficients { b, lambda, .. } = &self.coefficients;
            let rate = two * b[(i, i)] + lambda[(i, i)] - two * self.decay * shrink;
            flow.beta[(i, i)] -= rate / (two * state.r()[(i, i)]);
        }
    }

    /// Subtracts X from β, with dR/dt = B + Bᵀ + Λ − τγ⟨w φᵀ + φ wᵀ⟩.
    fn pull_to_orthonormal(&mut self, stage: Stage, flow: &mut Flow<T>) {
        let (m, regularizer) = (self.rows.neurons, self.regularizer);
        let mut rates = &self.coefficients.b + self.coefficients.b.transpose() + &self.coefficients.lambda;
        if self.decay != T::zero() {
            for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
                let mean = self.decay * self.rows.mean_product(stage, (i, j), |w| regularizer.apply(w));
                rates[(i, j)] -= mean;
                rates[(j, i)] -= mean;
            }
        }
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
            flow.beta[(i, j)] -= pull(self.constraint, (i, j), |i, j| rates[(i, j)]);
        }
    }

    /// How negative the covariance of the noise of a step may be: by the error of Λ, that of its rule, in units of the step.
    fn noise_tolerance(&self, change: &Change<T>) -> T {
        let size = |matrix: &DMatrix<T>| largest_size(matrix.iter().copied());
        let (covariance, lambda) = (size(&change.covariance), size(&self.coefficients.lambda));
        let magnitude = self.coefficients.magnitude().max(self.limit.learning_rate());
        let error = T::lit(INDEFINITE) * self.limit.accuracy() * magnitude;
        let rounding = T::lit(INDEFINITE_ULPS) * T::EPSILON;
        let relative = if lambda > T::zero() { (error / lambda).max(rounding) } else { rounding };
        // An error of every entry moves eigenvalues by m times as much.
        T::of_usize(change.covariance.nrows()) * relative * covariance
    }

    /// Draws the normals of a step, once.
    fn draw(&mut self) -> Result<(), StepFailure<T>> {
        if self.drawn {
            return Ok(());
        }
        self.rows.draw(self.noise == Noise::Antithetic);
        self.drawn = true;
        self.match_normals()
    }

    /// Matches the normals that are drawn, if they are to be.
    fn match_normals(&mut self) -> Result<(), StepFailure<T>> {
        if self.noise != Noise::Matched {
            return Ok(());
        }
        self.rows.normal_moments(&mut self.normal_moments);
        let (p, m) = self.shape();
        let size = p + m + 1;
        let cross = DMatrix::from_column_slice(size, m, &self.normal_moments[..size * m]);
        let own = symmetric(m, &self.normal_moments[size * m..]);
        let moments = &self.moments[Stage::Start as usize];
        let mut gram = DMatrix::identity(size, size);
        gram.view_mut((0, 0), (p, p)).copy_from(&symmetric(p, &self.feature_moments.0));
        let (q, r) = unpack(p, m, &moments[..packed_len(p, m)]);
        gram.view_mut((0, p), (p, m)).copy_from(&q);
        gram.view_mut((p, p), (m, m)).copy_from(&r);
        let means = self.feature_moments.1.iter().chain(&moments[packed_len(p, m)..]);
        means.enumerate().for_each(|(k, &mean)| gram[(k, p + m)] = mean);
        gram.fill_lower_triangle_with_upper_triangle();
        self.matching = Matching::new(&gram, &cross, &own);
        if self.matching.is_none() { Err(StepFailure::Unmatched) } else { Ok(()) }
    }
}

/// What is kept of a field.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(bound(serialize = "T: serde::Serialize", deserialize = "T: Scalar + serde::Deserialize<'de>"))
)]
pub(super) struct SavedField<T: Scalar> {
    rows: SavedRows<T>,
    moments: Vec<T>,
    ruled_at: OrderParameters<T>,
    ruled_when: T,
    now: T,
    /// Whether a step that failed has left a flow and normals for the next.
    flows: bool,
    drawn: bool,
    work: Work,
}

impl<T: Compiled, G: Regularizer<T>> Field<'_, T, G> {
    pub(super) fn saved(&self) -> SavedField<T> {
        SavedField {
            rows: self.rows.saved(self.drawn),
            moments: self.moments[Stage::Start as usize].clone(),
            ruled_at: self.ruled_at.clone(),
            ruled_when: self.ruled_when,
            now: self.now,
            flows: self.flow.is_some(),
            drawn: self.drawn,
            work: self.work,
        }
    }

    /// Takes it over; if it does not fit, nothing has changed.
    pub(super) fn restore(&mut self, saved: SavedField<T>) -> Result<(), SaveError> {
        let before = self.saved();
        self.take_over(saved).or_else(|error| self.take_over(before).and(Err(error)))
    }

    fn take_over(&mut self, saved: SavedField<T>) -> Result<(), SaveError> {
        let SavedField { rows, moments, ruled_at, ruled_when, now, flows, drawn, work } = saved;
        let (p, m) = self.shape();
        if moments.len() != packed_len(p, m) + m || (ruled_at.n_features(), ruled_at.n_neurons()) != (p, m) {
            return Err(SaveError::content("its order parameters are of another number"));
        }
        let unusable = |error: &dyn std::fmt::Display| SaveError::content(format!("its coefficients fail: {error}"));
        self.reach(ruled_when).map_err(|error| unusable(&error))?;
        let rule = self.new_rule(&ruled_at).map_err(|error| unusable(&error))?;
        self.rows.restore(rows, drawn)?;
        // Those of the rows, but for rounding: on the sphere they are scaled instead of added up again.
        let mut own = vec![T::zero(); moments.len()];
        self.rows.moments(Stage::Start, &mut own);
        let size = largest_size(own.iter().copied());
        let miss = largest_size(own.iter().zip(&moments).map(|(&x, &y)| x - y));
        if !(miss <= T::lit(MOMENT_ULPS) * T::EPSILON * size && size.is_finite()) {
            return Err(SaveError::content("its order parameters are not those of its particles"));
        }
        self.moments[Stage::Start as usize] = moments;
        self.feature_moments = self.rows.feature_moments();
        (self.rule, self.ruled_at, self.drawn) = (rule, ruled_at, drawn);
        (self.ruled_when, self.now) = (ruled_when, now);
        self.reach(now).map_err(|error| unusable(&error))?;
        self.flow = None;
        self.matching = None;
        if flows {
            self.flow = Some(self.compute_flow(Stage::Start).map_err(|error| unusable(&error))?);
        }
        self.work = work;
        if drawn { self.match_normals().map_err(|error| unusable(&error)) } else { Ok(()) }
    }
}

/// The symmetric matrix of that upper triangle.
fn symmetric<T: Compiled>(size: usize, upper: &[T]) -> DMatrix<T> {
    let mut matrix = DMatrix::zeros(size, size);
    let places = (0..size).flat_map(|i| (i..size).map(move |j| (i, j)));
    for ((i, j), &x) in places.zip(upper) {
        matrix[(i, j)] = x;
        matrix[(j, i)] = x;
    }
    matrix
}

impl<T: Compiled, G: Regularizer<T>> MeanField<T> for Field<'_, T, G> {
    type Error = StepFailure<T>;

    fn flow(&mut self, stage: Stage) -> Result<Flow<T>, StepFailure<T>> {
        if stage == Stage::Start
            && let Some(flow) = &self.flow
        {
            return Ok(flow.clone());
        }
        let flow = self.compute_flow(stage)?;
        if stage == Stage::Start {
            self.flow = Some(flow.clone());
        }
        Ok(flow)
    }

    fn apply(&mut self, to: Stage, change: &Change<T>) -> Result<(), StepFailure<T>> {
        self.draw()?;
        let (p, m) = self.shape();
        let finite = nalgebra::ComplexField::is_finite;
        if !change.covariance.iter().chain(change.start.iter()).all(finite) {
            return Err(StepFailure::Diverged);
        }
        let root =
            square_root(&change.covariance, self.noise_tolerance(change)).map_err(|Indefinite { eigenvalue }| {
                StepFailure::Indefinite {
                    eigenvalue: eigenvalue.as_f64(),
                    tolerance: self.noise_tolerance(change).as_f64(),
                }
            })?;
        // Multiples of u, w, 1 and of the normals that the matched noise adds.
        let (shift, normals) = match &self.matching {
            Some(matching) => (Some(&matching.columns * &root), &matching.normals * &root),
            None => (None, root),
        };
        let (mut features, mut start) = (change.features.clone(), change.start.clone());
        let mut constants = vec![T::zero(); m];
        if let Some(shift) = shift {
            features -= shift.rows(0, p);
            start -= shift.rows(p, m);
            (0..m).for_each(|i| constants[i] = -shift[(p + m, i)]);
        }
        let regularizer = self.regularizer;
        let slope = regularizer.linear_part();
        let column = |x: &Option<DMatrix<T>>, i: usize| x.as_ref().map(|x| x.column(i).iter().copied().collect());
        for i in 0..m {
            let predictor: Option<Vec<T>> = column(&change.predictor, i);
            let bent_start: Option<Vec<T>> = column(&change.bent_start, i);
            let bent_predictor: Option<Vec<T>> = column(&change.bent_predictor, i);
            let blend = Blend {
                constant: constants[i],
                u: features.column(i).data.into_slice(),
                start: start.column(i).data.into_slice(),
                predictor: predictor.as_deref(),
                normals: normals.column(i).data.into_slice(),
                bent_start: bent_start.as_deref(),
                bent_predictor: bent_predictor.as_deref(),
            };
            self.rows.blend(
                to,
                i,
                &blend,
                #[inline(always)]
                |w| regularizer.apply(w) - slope * w,
            );
        }
        self.rows.moments(to, &mut self.moments[to as usize]);
        if !self.moments[to as usize].iter().all(finite) {
            return Err(StepFailure::Diverged);
        }
        if to == Stage::End && self.constraint.fixes_covariance() && m > 1 {
            self.orthonormalise()?;
        } else if to == Stage::End && self.constraint.fixes_norms() {
            self.normalise();
        }
        Ok(())
    }
}

impl<T: Compiled, G: Regularizer<T>> Field<'_, T, G> {
    /// Brings the weights at the end of the step back to R = I: what is left of the step's error after X.
    fn orthonormalise(&mut self) -> Result<(), StepFailure<T>> {
        let state = self.state(Stage::End);
        let correction = self.constraint.correction(state.r()).ok_or(StepFailure::Diverged)?;
        self.rows.transform(Stage::End, &correction);
        self.rows.moments(Stage::End, &mut self.moments[Stage::End as usize]);
        Ok(())
    }

    /// Scales every neuron at the end of the step to R_ii = 1: what is left of the step's error after ν.
    fn normalise(&mut self) {
        let (p, m) = self.shape();
        let state = self.state(Stage::End);
        let factors: Vec<T> = (0..m).map(|i| T::one() / state.r()[(i, i)].sqrt()).collect();
        for (i, &factor) in factors.iter().enumerate() {
            self.rows.scale(Stage::End, i, factor);
        }
        let triangle = (0..m).flat_map(|i| (i..m).map(move |j| (i, j)));
        let scales = (0..p * m).map(|at| factors[at % m]);
        let scales = scales.chain(triangle.map(|(i, j)| factors[i] * factors[j])).chain(factors.iter().copied());
        for (x, scale) in self.moments[Stage::End as usize].iter_mut().zip(scales) {
            *x *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GaussianNoise, Independent, L2, Law, Model, Tanh};
    use crate::pde::particles::{EulerMaruyama, ParticleSystem};

    /// A covariance that is negative by less than the error of Λ counts as singular, one that is more so is an error.
    #[test]
    fn noise_of_an_indefinite_covariance_is_an_error() {
        let hidden = Independent::new([Law::two_point(2.25).unwrap()]).unwrap();
        let noise = GaussianNoise::correlated(0.3, -0.5).unwrap();
        let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(noise).learning_rate(0.3).regularizer(L2);
        let model = model.n_neurons(2).build().unwrap();
        let scheme = EulerMaruyama::new(0.1).unwrap();
        let mut system = ParticleSystem::builder(&model, 100).scheme(scheme).build_seeded(1).unwrap();
        let mut change = system.field.flow(Stage::Start).unwrap().euler(0.1);
        system.field.apply(Stage::End, &change).unwrap();
        let lambda = change.covariance.clone();
        // The same but for the smaller eigenvalue.
        let eigen = lambda.clone().symmetric_eigen();
        let smaller = eigen.eigenvalues.imin();
        let least = |eigenvalue: f64| {
            let along = eigen.eigenvectors.column(smaller);
            &lambda + along * along.transpose() * (eigenvalue - eigen.eigenvalues[smaller])
        };
        change.covariance = least(-0.5 * system.field.noise_tolerance(&change));
        system.field.apply(Stage::End, &change).unwrap();
        let wanted = -1e-2 * lambda.trace();
        change.covariance = least(wanted);
        let error = system.field.apply(Stage::End, &change).unwrap_err();
        let StepFailure::Indefinite { eigenvalue, tolerance } = error else { panic!("{error}") };
        assert!(
            (eigenvalue / wanted - 1.0).abs() < 1e-9 && tolerance < 1e-4 * lambda.trace(),
            "{eigenvalue} {tolerance}"
        );
    }
}
