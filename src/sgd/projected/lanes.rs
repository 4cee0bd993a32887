//! Replicates of the projected chain in lock-step: thirty-two lanes through the same instructions.
//!
//! Covers the chain of (Q, V) of [`ProjectedChain`](crate::sgd::ProjectedChain) with a lane for each replicate. Not here: the
//! law itself, which is derived there; where seeds come from (see [`crate::ensemble`]).

use std::f64::consts::SQRT_2;

use nalgebra::DMatrix;

use crate::Scalar;
use crate::integrate::{Output, Work};
use crate::model::{Constraint, LinearRegularizer, Spec, fingerprint};
use crate::numerics::lanes::dispatch;
use crate::random::{LaneStreams, NormalBlock, Row, Rows, WIDTH, chi_squared};
use crate::save::{Fingerprint, SaveError};
use crate::sgd::batch::lane_rows::{add_product, factor_rows, mapped, sum_of_products};
use crate::sgd::builder::{Projected, SimulatorBuilder};
use crate::sgd::present::Present;
use crate::sgd::projected::lane_batch::LaneBatch;
use crate::sgd::{SgdError, SgdFailure, steps_between, time_of, work_of};
use crate::start::{StartError, check_memory};
use crate::state::{Checkpoint, Lockstep, OrderParameters, Run, Trajectory};

/// Tables of a batch, each with a number for every sample and lane.
const LANE_TABLES: usize = 2;

/// From so many degrees of freedom on a chi-square variable is drawn for all lanes at once.
const MANY_DEGREES: usize = 16;

/// (Q, V) of every lane: V is m x m and lower triangular, of whatever rank.
#[derive(Debug, Clone)]
struct State {
    /// Q_li at l·m + i.
    q: Rows<f64>,
    /// V_ia at i·m + a.
    v: Rows<f64>,
}

/// Up to 32 replicates of the projected chain, stepped together with vector instructions; made by
/// [`SimulatorBuilder::lanes`].
///
/// The law of every replicate is that of [`ProjectedChain`](crate::sgd::ProjectedChain), exactly; its random numbers are its
/// own, derived from its seed alone, so that it takes the same path, to the last bit, in whatever company. (It is not
/// the path of a [`ProjectedChain`](crate::sgd::ProjectedChain) with that seed.)
///
/// A replicate that diverges stops there and keeps its last finite state; the others go on.
///
/// ```
/// use contrastive_dynamics::state::OrderParameters;
/// use contrastive_dynamics::integrate::Output;
/// use contrastive_dynamics::model::{GaussianNoise, Independent, Law, Model, Tanh};
/// use contrastive_dynamics::sgd::ProjectedChain;
/// let model = Model::builder()
///     .nonlinearity(Tanh)
///     .hidden(Independent::new([Law::two_point(2.25)?])?)
///     .noise(GaussianNoise::correlated(0.3, -0.5)?)
///     .learning_rate(0.3)
///     .build()?;
/// let start = OrderParameters::from_rows(1, 1, &[0.4], &[0.8])?;
/// let builder = ProjectedChain::builder(&model, 1000).start(&start);
/// let together = builder.lanes(&[1, 2, 3])?.run(1.0, &Output::Stop)?;
/// let alone = builder.lanes(&[3])?.run(1.0, &Output::Stop)?;
/// assert_eq!(together[2], alone[0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The model is that of Meng and Wang ([arXiv 2406.06909](https://arxiv.org/abs/2406.06909)).
#[derive(Debug, Clone)]
pub struct ProjectedLanes<'a, M: Spec> {
    model: &'a M,
    dimension: usize,
    replicates: usize,
    steps: u64,
    streams: LaneStreams,
    room: NormalBlock<M::Scalar>,
    state: State,
    next: State,
    failed: Row<Option<SgdFailure>>,
    present: Present<M::Scalar>,
    batch: LaneBatch<M::Scalar>,
    chi: Rows<f64>,
    /// (V', (τ/N) L·Bartlett), m rows of 2m.
    rows: Rows<f64>,
}

impl<'a, T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>> SimulatorBuilder<'a, M, Projected> {
    /// One replicate for each seed, from 1 to 32 of them, stepped together.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`SgdError::Lanes`] for another number of seeds.
    pub fn lanes(&self, seeds: &[u64]) -> Result<ProjectedLanes<'a, M>, SgdError<T>> {
        let Some((&first, _)) = seeds.split_first().filter(|_| seeds.len() <= WIDTH) else {
            return Err(SgdError::Lanes { most: WIDTH, got: seeds.len() });
        };
        // Lanes without a replicate repeat the first.
        let all: Row<u64> = std::array::from_fn(|lane| seeds.get(lane).copied().unwrap_or(first));
        let mut streams = LaneStreams::new(&all);
        let (model, dimension) = (self.model, self.dimension);
        let (p, m) = (model.n_features(), model.n_neurons());
        check_memory::<f64>(model.batch_size(), (p + m) * LANE_TABLES * WIDTH)?;
        let present = Present::new(model, &self.schedules)?;
        let rows = |count: usize| Rows::new(0.0, count);
        let mut state = State { q: rows(p * m), v: rows(m * m) };
        for lane in 0..WIDTH {
            let (q, mut v, _) = self.draw_start(&mut streams.lane(lane))?;
            // The factor is in echelon form up to the order of its pivots; here it must be lower triangular.
            let mut triangular = vec![0.0; m * m];
            crate::numerics::triangle::factor_rows(&mut v, m, &mut triangular, m);
            for (row, x) in state.q.iter_mut().zip(q).chain(state.v.iter_mut().zip(triangular)) {
                row[lane] = x;
            }
        }
        let mut lanes = ProjectedLanes {
            model,
            dimension,
            replicates: seeds.len(),
            steps: 0,
            streams,
            room: NormalBlock::default(),
            next: state.clone(),
            state,
            failed: [None; WIDTH],
            batch: LaneBatch::new(model, present.is_scheduled()),
            present,
            chi: rows(m * m),
            rows: rows(2 * m * m),
        };
        let constraint = model.constraint();
        if constraint != Constraint::None {
            lanes.state.constrain(constraint, m);
            if lanes.state.flaws::<T>().iter().any(|flaw| flaw.is_nan()) {
                return Err(StartError::Dependent.into());
            }
        }
        Ok(lanes)
    }
}

impl State {
    /// R_ij in every lane.
    #[inline(always)]
    fn covariance(&self, m: usize, i: usize, j: usize) -> Row<f64> {
        let mut sum = sum_of_products(&self.v[i * m..(i + 1) * m], &self.v[j * m..(j + 1) * m]);
        for q in self.q.chunks_exact(m) {
            add_product(&mut sum, &q[i], &q[j]);
        }
        sum
    }

    /// Scales every neuron to R_ii = 1.
    #[inline(always)]
    fn normalise(&mut self, m: usize) {
        for i in 0..m {
            let scale = mapped(&self.covariance(m, i, i), |r| 1.0 / r.sqrt());
            let overlaps = self.q.iter_mut().skip(i).step_by(m);
            for row in overlaps.chain(&mut self.v[i * m..(i + 1) * m]) {
                for k in 0..WIDTH {
                    row[k] *= scale[k];
                }
            }
        }
    }

    /// Brings the weights of every lane to the constraint; NaN where that cannot be.
    #[inline(always)]
    fn constrain(&mut self, constraint: Constraint, m: usize) {
        if m == 1 || !constraint.fixes_covariance() {
            return self.normalise(m);
        }
        for lane in 0..WIDTH {
            self.orthonormalise(constraint, m, lane);
        }
    }

    /// The same of one lane, whose neurons become orthonormal.
    fn orthonormalise(&mut self, constraint: Constraint, m: usize, lane: usize) {
        let of = |rows: &Rows<f64>| DMatrix::from_row_iterator(rows.len() / m, m, rows.iter().map(|row| row[lane]));
        let (q, v) = (of(&self.q), of(&self.v));
        let r = q.tr_mul(&q) + &v * v.transpose();
        let correction = constraint.correction(&r).unwrap_or_else(|| DMatrix::from_element(m, m, f64::NAN));
        // V may have become dense: it is made triangular again.
        let mut v = (correction.tr_mul(&v)).transpose().as_slice().to_vec();
        let mut triangular = vec![0.0; m * m];
        if v.iter().all(|x| x.is_finite()) {
            crate::numerics::triangle::factor_rows(&mut v, m, &mut triangular, m);
        } else {
            triangular.fill(f64::NAN);
        }
        let q = (q * correction).transpose();
        let rows = self.q.iter_mut().zip(q.iter()).chain(self.v.iter_mut().zip(&triangular));
        rows.for_each(|(row, &x)| row[lane] = x);
    }

    /// Zero in lanes where Q and R are finite in the precision in which they are read (the trace of R bounds every entry), NaN
    /// in others.
    #[inline(always)]
    fn flaws<T: Scalar>(&self) -> Row<f64> {
        let mut squares = [0.0; WIDTH];
        for row in self.q.iter().chain(&self.v) {
            add_product(&mut squares, row, row);
        }
        mapped(&squares, |x| T::lit(x).as_f64() * 0.0)
    }

    /// Takes one lane over from another state.
    fn copy_lane(&mut self, from: &Self, lane: usize) {
        let rows = self.q.iter_mut().zip(&from.q).chain(self.v.iter_mut().zip(&from.v));
        for (row, from) in rows {
            row[lane] = from[lane];
        }
    }
}

impl<T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>> ProjectedLanes<'_, M> {
    /// The most replicates that are stepped together.
    pub const LANES: usize = WIDTH;

    /// The number of replicates.
    #[must_use]
    pub fn replicates(&self) -> usize {
        self.replicates
    }

    /// The dimension N.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The number of steps taken so far. Time is t = steps/N.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The present time t = steps/N.
    #[must_use]
    pub fn time(&self) -> T {
        time_of(self.steps, self.dimension)
    }

    /// Why that replicate has stopped, if it has; `None` also for a replicate that there is not.
    #[must_use]
    pub fn failure(&self, replicate: usize) -> Option<SgdFailure> {
        // Lanes that are not asked for repeat the first replicate.
        self.failed.get(replicate).copied().flatten().filter(|_| replicate < self.replicates)
    }

    /// The order parameters of that replicate, `None` if there are not so many. Those of a replicate that diverged are
    /// the last finite ones.
    #[must_use]
    pub fn order_parameters(&self, replicate: usize) -> Option<OrderParameters<T>> {
        (replicate < self.replicates).then(|| self.state_in(replicate))
    }

    /// The steps that a replicate has taken; one that diverged stays at the last before.
    fn steps_of(&self, replicate: usize) -> u64 {
        self.failed[replicate].map_or(self.steps, |failure| failure.step() - 1)
    }

    /// The order parameters of a lane.
    fn state_in(&self, lane: usize) -> OrderParameters<T> {
        let (p, m) = (self.model.n_features(), self.model.n_neurons());
        let q = DMatrix::from_fn(p, m, |l, i| T::lit(self.state.q[l * m + i][lane]));
        let r = DMatrix::from_fn(m, m, |i, j| {
            let overlaps = self.state.q.chunks_exact(m).map(|q| q[i][lane] * q[j][lane]);
            let background = (0..m).map(|a| self.state.v[i * m + a][lane] * self.state.v[j * m + a][lane]);
            T::lit(overlaps.chain(background).sum())
        });
        OrderParameters::from_parts(q, r)
    }

    /// Takes one step in every replicate that has not diverged.
    pub fn step(&mut self) {
        self.step_all(&mut |_, _| ());
    }

    /// Takes one step, and tells which replicates diverge in it.
    fn step_all(&mut self, failed: &mut impl FnMut(usize, SgdFailure)) {
        match self.present.move_to(self.steps, self.dimension) {
            Ok(false) => {}
            Ok(true) => self.batch.set_noise(&self.present),
            Err(failure) => {
                self.steps += 1;
                for (lane, own) in self.failed.iter_mut().enumerate().filter(|(_, own)| own.is_none()) {
                    *own = Some(failure);
                    if lane < self.replicates {
                        failed(lane, failure);
                    }
                }
                return;
            }
        }
        let flaws = dispatch(
            #[inline(always)]
            || self.advance(),
        );
        self.steps += 1;
        let old = self.failed.iter().any(Option::is_some);
        if old || flaws.iter().any(|flaw| flaw.is_nan()) {
            for lane in 0..WIDTH {
                if self.failed[lane].is_none() && flaws[lane].is_nan() {
                    let divergence = SgdFailure::Diverged { step: self.steps };
                    self.failed[lane] = Some(divergence);
                    if lane < self.replicates {
                        failed(lane, divergence);
                    }
                }
                if self.failed[lane].is_some() {
                    self.next.copy_lane(&self.state, lane);
                }
            }
        }
        std::mem::swap(&mut self.state, &mut self.next);
    }

    /// Runs to the step nearest to time `end` and records every replicate as `output` says; one result for each, in the
    /// order of the seeds. For events and observers see [`Run::each_to`].
    ///
    /// # Errors
    /// [`SgdError::Run`]: as a whole for times that are unusable; within a result for an [`SgdFailure`], with the trajectory
    /// so far.
    pub fn run(&mut self, end: T, output: &Output<T>) -> Result<Vec<Result<Trajectory<T>, SgdError<T>>>, SgdError<T>> {
        let outcomes = Run::of(self).output(output.clone()).each_to(end)?;
        Ok(outcomes.into_iter().map(|outcome| outcome.map_err(SgdError::from)).collect())
    }

    /// The next state of every lane; zero in lanes where it is finite, NaN in others.
    #[inline(always)]
    fn advance(&mut self) -> Row<f64> {
        let (p, m, size) = (self.model.n_features(), self.model.n_neurons(), self.model.batch_size());
        let rounded = self.batch.q.iter_mut().zip(&self.state.q).chain(self.batch.v.iter_mut().zip(&self.state.v));
        for (rounded, row) in rounded {
            *rounded = mapped(row, T::lit);
        }
        let numbers = self.present.numbers;
        self.batch.run((self.model, numbers.penalty_strength), &mut self.streams, &mut self.room);
        self.draw_bartlett(self.dimension - p - m);
        let rate = numbers.learning_rate.as_f64() / self.dimension as f64;
        let per_sample = rate / size as f64;
        let keep = 1.0 - rate * numbers.weight_decay.as_f64() * self.model.regularizer().slope().as_f64();
        for ((next, q), sum) in self.next.q.iter_mut().zip(&self.state.q).zip(&self.batch.feature_sums) {
            for k in 0..WIDTH {
                next[k] = keep * q[k] - per_sample * sum[k].as_f64();
            }
        }
        for i in 0..m {
            for a in 0..m {
                let (v, sum) = (&self.state.v[i * m + a], &self.batch.background_sums[i * m + a]);
                let row = &mut self.rows[2 * i * m + a];
                for k in 0..WIDTH {
                    row[k] = keep * v[k] - per_sample * sum[k].as_f64();
                }
                let mut product = [0.0; WIDTH];
                for c in a..=i {
                    let factor = mapped(&self.batch.noise_factor[i * m + c], T::as_f64);
                    add_product(&mut product, &factor, &self.chi[c * m + a]);
                }
                self.rows[(2 * i + 1) * m + a] = mapped(&product, |x| rate * x);
            }
        }
        factor_rows(&mut self.rows, 2 * m, &mut self.next.v, m);
        let mut flaws = self.next.flaws::<T>();
        let constraint = self.model.constraint();
        if constraint != Constraint::None {
            // A norm that is not finite scales its neuron to zero: both count.
            self.next.constrain(constraint, m);
            let after = self.next.flaws::<T>();
            for k in 0..WIDTH {
                flaws[k] += after[k];
            }
        }
        flaws
    }

    /// Bartlett's factor of a Wishart matrix of order m in every lane: chi variables on the diagonal, normals below.
    /// With fewer degrees than m it has a column for each degree.
    #[inline(always)]
    fn draw_bartlett(&mut self, degrees: usize) {
        let m = self.model.n_neurons();
        for i in 0..m {
            for j in (0..i.min(degrees)).step_by(2) {
                self.streams.normals(&mut self.room.scratch, &mut self.room.block);
                for (row, half) in self.chi[i * m + j..i * m + i].iter_mut().zip(self.room.block.chunks_exact(WIDTH)) {
                    for k in 0..WIDTH {
                        row[k] = half[k].as_f64();
                    }
                }
            }
            if i < degrees {
                self.chi[i * m + i] = self.draw_chi(degrees - i);
            }
        }
    }

    /// A chi variable in every lane, by the method of Marsaglia and Tsang (2000, doi:10.1145/358407.358414). The few
    /// lanes whose first candidate is not clearly accepted are looked at one by one.
    #[inline(always)]
    fn draw_chi(&mut self, degrees: usize) -> Row<f64> {
        let mut out = [0.0; WIDTH];
        if degrees < MANY_DEGREES {
            for lane in 0..WIDTH {
                out[lane] = chi_squared(degrees, &mut self.streams.spare(lane)).sqrt();
            }
            return out;
        }
        self.streams.normals(&mut self.room.scratch, &mut self.room.block);
        let u = self.streams.uniforms();
        let d = 0.5 * degrees as f64 - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        let root_2d = SQRT_2 * d.sqrt();
        let mut doubtful = 0_u32;
        let (mut squares, mut cubes) = ([0.0; WIDTH], [0.0; WIDTH]);
        for k in 0..WIDTH {
            let x = self.room.block[k].as_f64();
            let root = 1.0 + c * x;
            let v = root * root * root;
            (squares[k], cubes[k]) = (x * x, v);
            out[k] = root_2d * v.max(0.0).sqrt();
        }
        for k in 0..WIDTH {
            let clear = u[k] < 1.0 - 0.0331 * squares[k] * squares[k] && cubes[k] > 0.0;
            doubtful |= u32::from(!clear) << k;
        }
        while doubtful != 0 {
            let k = doubtful.trailing_zeros() as usize;
            doubtful &= doubtful - 1;
            let v = cubes[k];
            if !(v > 0.0 && u[k].ln() < 0.5 * squares[k] + d * (1.0 - v + v.ln())) {
                out[k] = chi_squared(degrees, &mut self.streams.spare(k)).sqrt();
            }
        }
        out
    }
}

impl<T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>> Lockstep for ProjectedLanes<'_, M> {
    type Scalar = T;
    type State = OrderParameters<T>;
    type Error = SgdFailure;

    fn replicates(&self) -> usize {
        self.replicates
    }

    fn time_of(&self, replicate: usize) -> T {
        time_of(self.steps_of(replicate), self.dimension)
    }

    fn state_of(&self, replicate: usize) -> OrderParameters<T> {
        self.state_in(replicate)
    }

    fn work_of(&self, replicate: usize) -> Work {
        work_of(self.steps_of(replicate), self.model.batch_size())
    }

    #[inline]
    fn advance_all(&mut self, _until: T, failed: &mut impl FnMut(usize, SgdFailure)) {
        self.step_all(failed);
    }

    fn prepare_all(&mut self, failed: &mut impl FnMut(usize, SgdFailure)) {
        for replicate in 0..self.replicates {
            if let Some(failure) = self.failed[replicate] {
                failed(replicate, failure);
            }
        }
    }

    fn steps_to(&self, t: T) -> Option<i64> {
        Some(steps_between(self.steps, t, self.dimension))
    }

    fn numbers_of(&self, state: &OrderParameters<T>) -> Vec<T> {
        state.to_packed().data.into()
    }
}

/// What is kept of [`ProjectedLanes`]: Q and V in every lane, the lanes' generators, which of them have failed, and the number
/// of steps.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedLanes {
    q: Vec<f64>,
    v: Vec<f64>,
    streams: LaneStreams,
    /// The step in which each lane failed.
    failed: Vec<Option<u64>>,
    steps: u64,
}

impl<T: Scalar, M: Spec<Scalar = T, Regularizer: LinearRegularizer<T>>> Checkpoint for ProjectedLanes<'_, M> {
    type Saved = SavedLanes;

    fn fingerprint(&self) -> Fingerprint {
        let work = Fingerprint::of("projected chains in lock-step").and(fingerprint(self.model));
        self.present.fingerprint(work.count(self.dimension as u64).count(self.replicates as u64))
    }

    fn saved(&self) -> SavedLanes {
        SavedLanes {
            q: self.state.q.concat(),
            v: self.state.v.concat(),
            streams: self.streams.clone(),
            failed: self.failed.iter().map(|at| at.map(|failure| failure.step())).collect(),
            steps: self.steps,
        }
    }

    fn restore(&mut self, saved: SavedLanes) -> Result<(), SaveError> {
        let SavedLanes { q, v, streams, failed, steps } = saved;
        let lengths = [(self.state.q.len(), &q), (self.state.v.len(), &v)];
        let fit = lengths.iter().all(|(rows, numbers)| rows * WIDTH == numbers.len());
        // A lane that failed did so in a step that was taken.
        if !fit || failed.len() != WIDTH || failed.iter().flatten().any(|step| !(1..=steps).contains(step)) {
            return Err(SaveError::content("its overlaps or lanes are of another number"));
        }
        let mut state = self.state.clone();
        for (rows, numbers) in [(&mut state.q, q), (&mut state.v, v)] {
            rows.iter_mut().zip(numbers.as_chunks().0).for_each(|(row, numbers)| *row = *numbers);
        }
        if state.flaws::<T>().iter().any(|flaw| flaw.is_nan()) {
            return Err(SaveError::content("its overlaps are not finite"));
        }
        self.state = state;
        for (own, at) in self.failed.iter_mut().zip(failed) {
            // A schedule without a value fails again where it did.
            *own = at.map(|step| {
                let again = self.present.clone().move_to(step - 1, self.dimension).err();
                again.unwrap_or(SgdFailure::Diverged { step })
            });
        }
        (self.streams, self.steps) = (streams, steps);
        Ok(())
    }

    fn failure_of(&self, replicate: usize) -> Option<SgdFailure> {
        self.failure(replicate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sgd::ProjectedChain;
    use crate::sgd::tests::model;

    /// Mean and second moment of χ² of 16 and of 1000 degrees: n and n(n + 2), within five standard errors (four
    /// statistics, false alarms below 3e-6); the control has one degree more.
    #[test]
    fn chi_variables_have_the_moments_of_their_law() {
        let model = model(Constraint::None, 0.3);
        let seeds: Vec<u64> = (0..32).collect();
        for degrees in [16, 1000] {
            let mut lanes = ProjectedChain::builder(&model, 30).lanes(&seeds).unwrap();
            let draws: Vec<f64> = (0..20_000).flat_map(|_| lanes.draw_chi(degrees)).map(|x| x * x).collect();
            let z = |f: &dyn Fn(f64) -> f64, expected: f64| {
                let count = draws.len() as f64;
                let mean = draws.iter().map(|&x| f(x)).sum::<f64>() / count;
                let variance = draws.iter().map(|&x| (f(x) - mean).powi(2)).sum::<f64>() / count;
                (mean - expected) / (variance / count).sqrt()
            };
            let n = degrees as f64;
            assert!(z(&|x| x, n).abs() < 5.0 && z(&|x| x * x, n * (n + 2.0)).abs() < 5.0);
            assert!(z(&|x| x, n + 1.0).abs() > 10.0);
        }
    }
}
