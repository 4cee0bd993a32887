//! One batch in every lane: what [`Span`](crate::sgd::batch::span::Span) is for one chain.
//!
//! Covers drawing samples, their fields and errors, and the sums and the factor L that the next state is made of. Not here: that
//! state (see [`crate::sgd::projected::chain::lanes`]).

use crate::Scalar;
use crate::model::{AugmentationNoise, HiddenDistribution, Loss, Spec};
use crate::random::{Block, LaneStreams, NormalBlock, Row, Rows, WIDTH};
use crate::sgd::batch::error_signals::LaneErrors;
use crate::sgd::batch::lane_rows::{add_product, add_products, factor_rows, mapped};
use crate::sgd::present::Present;
use crate::sgd::projected::single::Modes;

/// Samples that are worked on at a time, where all of the batch are not needed at once.
const TILE: usize = 4;

/// A batch in every lane, tile by tile of its samples: where the loss lets samples be, a few at a time, which stay in
/// the nearest cache; where it couples them, all, because its gradient needs the whole batch first. In a tile of B' samples, of
/// direction, feature or neuron i, view v of sample b is at 2(i·B' + b) + v.
#[derive(Debug, Clone)]
pub(in crate::sgd) struct LaneBatch<T: Scalar> {
    /// B'.
    tile: usize,
    /// For one neuron and exchangeable views, where it spares more normals than it costs.
    modes: Option<Modes<T>>,
    /// Factors of K^f (none if it is zero) and D.
    along: Option<[[T; 2]; 2]>,
    across: [[T; 2]; 2],
    /// Whether the hidden law is drawn from words.
    by_words: bool,
    words: Rows<u64>,
    /// c of one sample, in every lane, and in one.
    hidden: Rows<T>,
    one: Vec<T>,
    /// Q and V in the precision of the model.
    pub(in crate::sgd) q: Rows<T>,
    pub(in crate::sgd) v: Rows<T>,
    /// x̃_l.
    overlaps: Rows<T>,
    /// ξ_a.
    background: Rows<T>,
    signals: LaneErrors<T>,
    /// (e_i · columns of the factor of D)/B, of the whole batch: at 2(i·B + b) + v.
    noise: Rows<T>,
    /// Σ_bv e_i x̃_l at l·m + i.
    pub(in crate::sgd) feature_sums: Rows<T>,
    /// Σ_bv e_i ξ_a at i·m + a.
    pub(in crate::sgd) background_sums: Rows<T>,
    /// L at i·m + j.
    pub(in crate::sgd) noise_factor: Rows<T>,
}

impl<T: Scalar> LaneBatch<T> {
    pub(in crate::sgd) fn new<M: Spec<Scalar = T>>(model: &M, scheduled: bool) -> Self {
        let (p, m, size) = (model.n_features(), model.n_neurons(), model.batch_size());
        let along = model.noise().feature_covariance();
        let zero = along.to_array().as_flattened().iter().all(|&k| k == T::zero());
        let rows = |count: usize| Rows::new(T::zero(), count);
        // With several neurons a schedule may couple them that now are not.
        let coupled = model.loss().covariance_form().is_none_or(|form| form.couples_samples(m) || scheduled && m > 1);
        let tile = if coupled { size } else { size.min(TILE) };
        Self {
            tile,
            modes: Modes::new(along, model.view_covariance()).filter(|_| m == 1 && 2 * p * size > p + 4),
            along: (!zero).then(|| along.factor()),
            across: model.view_covariance().factor(),
            by_words: model.hidden().samples_from_words(&[], &mut []),
            words: Rows::new(0, p),
            hidden: rows(p),
            one: vec![T::zero(); p],
            q: rows(p * m),
            v: rows(m * m),
            overlaps: rows(2 * tile * p),
            background: rows(2 * tile * m),
            signals: LaneErrors::new(model, tile),
            noise: rows(2 * size * m),
            feature_sums: rows(p * m),
            background_sums: rows(m * m),
            noise_factor: rows(m * m),
        }
    }

    /// Draws with the noise in force from now on.
    pub(in crate::sgd) fn set_noise(&mut self, present: &Present<T>) {
        let (along, across) = (present.numbers.feature_noise, present.views());
        // Views that could be exchanged still can.
        self.modes = self.modes.and_then(|_| Modes::new(along, across));
        self.along = self.along.map(|_| along.factor());
        self.across = across.factor();
    }

    /// c of one sample.
    #[inline(always)]
    fn draw_hidden<H: HiddenDistribution<T>>(&mut self, law: &H, streams: &mut LaneStreams) {
        if self.by_words {
            self.words.iter_mut().for_each(|words| streams.round(words));
            law.samples_from_words(self.words.as_flattened(), self.hidden.as_flattened_mut());
            return;
        }
        for lane in 0..WIDTH {
            law.sample(&mut streams.lane(lane), &mut self.one);
            for (c, &one) in self.hidden.iter_mut().zip(&self.one) {
                c[lane] = one;
            }
        }
    }

    /// x̃ and ξ of so many samples, and the fields h = Qᵀx̃ + Vξ.
    #[inline(always)]
    fn draw<M: Spec<Scalar = T>>(
        &mut self,
        model: &M,
        streams: &mut LaneStreams,
        room: &mut NormalBlock<T>,
        count: usize,
    ) {
        let (p, m, tile) = (model.n_features(), model.n_neurons(), self.tile);
        for b in 0..count {
            self.draw_hidden(model.hidden(), streams);
            for l in 0..p {
                let (block, c) = (&mut blocks(&mut self.overlaps)[l * tile + b], &self.hidden[l]);
                if let Some(factor) = self.along {
                    streams.normals(&mut room.scratch, block);
                    colour(block, factor);
                    for k in 0..WIDTH {
                        block[k] += c[k];
                        block[WIDTH + k] += c[k];
                    }
                } else {
                    block[..WIDTH].copy_from_slice(c);
                    block[WIDTH..].copy_from_slice(c);
                }
            }
            for a in 0..m {
                let block = &mut blocks(&mut self.background)[a * tile + b];
                streams.normals(&mut room.scratch, block);
                colour(block, self.across);
            }
        }
        for i in 0..m {
            for k in 0..2 * count {
                let mut h = [T::zero(); WIDTH];
                for l in 0..p {
                    add_product(&mut h, &self.q[l * m + i], &self.overlaps[2 * l * tile + k]);
                }
                // V is lower triangular.
                for a in 0..=i {
                    add_product(&mut h, &self.v[i * m + a], &self.background[2 * a * tile + k]);
                }
                self.signals.fields[2 * i * tile + k] = h;
            }
        }
    }

    /// The sums of e against x̃ and ξ, and the rows that L is made of, of `count` samples from `first` on.
    #[inline(always)]
    fn reduce(&mut self, p: usize, m: usize, size: usize, first: usize, count: usize) {
        let tile = self.tile;
        let [[d11, _], [d21, d22]] = self.across.map(|row| row.map(|x| x / T::of_usize(size)));
        for i in 0..m {
            let at = |i: usize| 2 * i * tile..2 * (i * tile + count);
            let errors = &self.signals.errors[at(i)];
            for l in 0..p {
                add_products(&mut self.feature_sums[l * m + i], errors, &self.overlaps[at(l)]);
            }
            for a in 0..m {
                add_products(&mut self.background_sums[i * m + a], errors, &self.background[at(a)]);
            }
            let noise = &mut self.noise[2 * (i * size + first)..];
            for (n, e) in noise.as_chunks_mut::<2>().0.iter_mut().zip(errors.as_chunks::<2>().0) {
                for k in 0..WIDTH {
                    n[0][k] = d11 * e[0][k] + d21 * e[1][k];
                    n[1][k] = d22 * e[1][k];
                }
            }
        }
    }

    /// From new random numbers to the sums and L. λ is that of the model, if no other is in force.
    #[inline(always)]
    pub(in crate::sgd) fn run<M: Spec<Scalar = T>>(
        &mut self,
        (model, strength): (&M, Option<T>),
        streams: &mut LaneStreams,
        room: &mut NormalBlock<T>,
    ) {
        let (p, m, size) = (model.n_features(), model.n_neurons(), model.batch_size());
        if let Some(modes) = self.modes {
            return self.run_single(modes, model, streams, room);
        }
        for sums in self.feature_sums.iter_mut().chain(&mut self.background_sums) {
            *sums = [T::zero(); WIDTH];
        }
        for first in (0..size).step_by(self.tile) {
            let count = self.tile.min(size - first);
            self.draw(model, streams, room, count);
            self.signals.run((model, strength));
            self.reduce(p, m, size, first, count);
        }
        factor_rows(&mut self.noise, 2 * size, &mut self.noise_factor, m);
    }

    /// As [`run`](Self::run), for one neuron whose views are exchangeable: two normals for each sample, whatever p is.
    #[inline(always)]
    fn run_single<M: Spec<Scalar = T>>(
        &mut self,
        modes: Modes<T>,
        model: &M,
        streams: &mut LaneStreams,
        room: &mut NormalBlock<T>,
    ) {
        let (p, size) = (model.n_features(), model.batch_size());
        let turn = modes.turn(&self.q, &self.v[0]);
        let zero = [T::zero(); WIDTH];
        // Rows by names: in an array of arrays they would stay in memory.
        let (mut even_n, mut even_e, mut odd_n, mut odd_e) = (zero, zero, zero, zero);
        self.feature_sums.iter_mut().for_each(|sums| *sums = [T::zero(); WIDTH]);
        for first in (0..size).step_by(self.tile) {
            let count = self.tile.min(size - first);
            for b in 0..count {
                self.draw_hidden(model.hidden(), streams);
                let mut mean = [T::zero(); WIDTH];
                for l in 0..p {
                    self.overlaps[2 * (l * self.tile + b)] = self.hidden[l];
                    add_product(&mut mean, &self.q[l], &self.hidden[l]);
                }
                let normals = &mut blocks(&mut self.background)[b];
                streams.normals(&mut room.scratch, normals);
                let (mut first, mut second) = (zero, zero);
                for k in 0..WIDTH {
                    let even = turn.radii[0][k] * normals[k];
                    let odd = turn.radii[1][k] * normals[WIDTH + k];
                    first[k] = mean[k] + (even + odd);
                    second[k] = mean[k] + (even - odd);
                }
                self.signals.fields[2 * b] = first;
                self.signals.fields[2 * b + 1] = second;
            }
            self.signals.run((model, None));
            let errors = self.signals.errors[..2 * count].as_chunks::<2>().0;
            let normals = self.background[..2 * count].as_chunks::<2>().0;
            for (b, (e, n)) in errors.iter().zip(normals).enumerate() {
                let ([e1, e2], [n1, n2]) = (*e, *n);
                let (mut even, mut odd) = (zero, zero);
                for k in 0..WIDTH {
                    even[k] = e1[k] + e2[k];
                    odd[k] = e1[k] - e2[k];
                }
                add_product(&mut even_n, &even, &n1);
                add_product(&mut even_e, &even, &even);
                add_product(&mut odd_n, &odd, &n2);
                add_product(&mut odd_e, &odd, &odd);
                for l in 0..p {
                    add_product(&mut self.feature_sums[l], &even, &self.overlaps[2 * (l * self.tile + b)]);
                }
            }
        }
        streams.normals(&mut room.scratch, &mut room.block);
        let gathered = turn.gather(&modes, &[[even_n, even_e], [odd_n, odd_e]], &room.block);
        if p > 1 {
            // The p normals of the features together; only their part across Q counts.
            for l in (0..p).step_by(2) {
                streams.normals(&mut room.scratch, &mut room.block);
                for (row, half) in self.overlaps[l..p.min(l + 2)].iter_mut().zip(room.block.chunks_exact(WIDTH)) {
                    row.copy_from_slice(half);
                }
            }
            let mut along = [T::zero(); WIDTH];
            for l in 0..p {
                add_product(&mut along, &turn.direction(&self.q, l), &self.overlaps[l]);
            }
            for l in 0..p {
                let direction = turn.direction(&self.q, l);
                for k in 0..WIDTH {
                    self.feature_sums[l][k] += gathered.across[k] * (self.overlaps[l][k] - along[k] * direction[k]);
                }
            }
        }
        for l in 0..p {
            let direction = turn.direction(&self.q, l);
            add_product(&mut self.feature_sums[l], &gathered.along, &direction);
        }
        self.background_sums[0] = gathered.background;
        self.noise_factor[0] = mapped(&gathered.variance, |x| x.sqrt() / T::of_usize(size));
    }
}

/// Both views of every sample in turn.
#[inline(always)]
fn blocks<T>(rows: &mut [Row<T>]) -> &mut [Block<T>] {
    rows.as_flattened_mut().as_chunks_mut().0
}

#[inline(always)]
fn colour<T: Scalar>(block: &mut Block<T>, [[l11, _], [l21, l22]]: [[T; 2]; 2]) {
    for k in 0..WIDTH {
        block[WIDTH + k] = l21 * block[k] + l22 * block[WIDTH + k];
        block[k] *= l11;
    }
}
