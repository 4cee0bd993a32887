//! Averages over the fields where, given what they have in common, the two views are independent (theory §9).
//!
//! The fields are h^v = u + ε^v with u = Qᵀc + a normal of covariance C = Cov(h¹, h²), and ε¹, ε² independent of u and of each other.
//! So a function of view 1 and one of view 2 are averaged each over its own noise, at every u of a lattice, and their product over the
//! law of u, into which the hidden law enters by its characteristic function: it costs the same for two features and for hundreds.
//! Not here: the choice of lattice (see `choice`), one neuron (see `sum_form`), whole batches and polynomials.

mod axis;
mod choice;
mod entries;
mod law;
mod pair_slopes;
mod pairs;
mod products;
mod profile;
mod view_functions;

use nalgebra::DMatrix;

pub(in crate::limit) use self::entries::EntryMotion;
pub(in crate::limit) use self::pair_slopes::PairSlopes;

use self::axis::Axis;
use self::choice::{Choice, MOST_WAVES, is_covariance, matrix, needs};
use self::entries::{BlockSlopes, add_means};
use self::law::{LatticeLaw, parts};
use self::pairs::{FieldFunctions, PairBuffers, exchanged, pair_averages};
use self::products::{Block, BlockBuffers};
use self::profile::Profile;
use self::view_functions::{FieldWaves, NoiseParts, ViewFunctions};
use crate::Scalar;
use crate::limit::averages::sum_lattice::{Line, SUM_ULPS};
use crate::limit::averages::two_fields::SUMS;
use crate::limit::averages::view::elementary;
use crate::limit::fields::moments::ViewNoise;
use crate::limit::hidden::Hidden;
use crate::limit::signals::{NoiseTerms, Product, Signal, four_fields};
use crate::model::{Nonlinearity, Parity, Smoothness};
use crate::numerics::fourier::FourierBuffers;
use crate::numerics::kernels::add_scaled;

/// The most points of the lattice of some neurons together; and of two, on which many functions are kept.
const MOST_POINTS: f64 = 4e5;
const MOST_OF_TWO: f64 = 4e4;
/// What σ and its powers take, in multiplications.
const EVALUATION: f64 = 16.0;
/// In units of the error aimed at, what may lie beyond the lattice.
const BEYOND: f64 = 8.0;

/// The lattice, the functions on it, and what is averaged.
#[derive(Debug, Clone)]
pub(in crate::limit) struct IndependentViews<T> {
    neurons: usize,
    exchangeable: bool,
    accuracy: f64,
    /// The most points of the lattice, and the most multiplications of a pass.
    most: f64,
    most_work: f64,
    waves: Vec<FieldWaves>,
    /// Of each neuron.
    axes: Vec<Axis<T>>,
    /// What the lattice needs at least: each neuron's noise in common with all others given, and its own.
    least: Vec<[f64; 2]>,
    /// The least covariance of the noise in common for which wave vectors are enough.
    cut: Option<DMatrix<f64>>,
    /// Of each neuron alone, then of two, three and four.
    laws: Vec<LatticeLaw<T>>,
    /// Of each pair of neurons, m x m, the number of its law; of one neuron on the diagonal.
    pair_laws: Vec<usize>,
    /// View by view, one if they are exchangeable.
    fields: Vec<Vec<FieldFunctions<T>>>,
    tables: Vec<ViewFunctions<T>>,
    blocks: Vec<Block>,
    /// Of the last update.
    noise: ViewNoise<T>,
    /// u, padded.
    values: Vec<Vec<T>>,
    valid: bool,
    /// The averages over each pair, if they are known since.
    known: Vec<(bool, [T; SUMS], Vec<T>)>,
    /// How they move, of pairs whose views may be exchanged.
    slopes: Vec<((usize, usize), PairSlopes<T>)>,
    buffers: Buffers<T>,
}

#[derive(Debug, Clone)]
struct Buffers<T> {
    fourier: FourierBuffers<T>,
    pair: PairBuffers<T>,
    blocks: Vec<BlockBuffers<T>>,
}

impl<T: Scalar> IndependentViews<T> {
    /// For these coefficients, p x m, and this noise, over a lattice of at most `budget` points; `None` where this does not serve, or
    /// where a pass took more than `most_work` multiplications.
    pub(in crate::limit) fn new(
        hidden: &Hidden<'_, T>,
        q: &[T],
        noise: ViewNoise<T>,
        exchangeable: bool,
        (smoothness, accuracy): (&Smoothness<T>, f64),
        (budget, most_work): (usize, f64),
    ) -> Option<Self> {
        let m = noise.common.len().isqrt();
        let Choice { lines, least, waves, cut } = Choice::new(hidden, q, &noise, (smoothness, accuracy))?;
        let mut laws = Vec::new();
        for (i, line) in lines.iter().enumerate() {
            laws.push(LatticeLaw::new(hidden, &[i], &[*line], (cut.as_ref(), accuracy), MOST_WAVES)?);
        }
        let views = if exchangeable { 1 } else { 2 };
        let mut fields = Vec::with_capacity(views);
        for own in &noise.own[..views] {
            let one = (0..m).map(|i| {
                let spread = own[i * m + i].as_f64().max(0.0).sqrt();
                let nodes = waves[i].nodes(spread, accuracy)?;
                Some(FieldFunctions::new(Profile::new(nodes)))
            });
            fields.push(one.collect::<Option<Vec<_>>>()?);
        }
        Some(Self {
            neurons: m,
            exchangeable,
            accuracy,
            most: MOST_POINTS.min(budget as f64),
            most_work,
            waves,
            axes: lines.iter().map(|line| Axis::new(*line)).collect(),
            least,
            cut,
            laws,
            pair_laws: (0..m * m).map(|at| at / m).collect(),
            fields,
            tables: Vec::new(),
            blocks: Vec::new(),
            noise,
            values: vec![Vec::new(); m],
            valid: true,
            known: vec![(false, [T::zero(); SUMS], Vec::new()); m * m],
            slopes: Vec::new(),
            buffers: Buffers { fourier: FourierBuffers::new(), pair: PairBuffers::new(), blocks: Vec::new() },
        })
    }

    /// Takes up the products of these terms; `None` if that took too much memory or work.
    pub(in crate::limit) fn add_products(&mut self, hidden: &Hidden<'_, T>, terms: &NoiseTerms) -> Option<()> {
        let m = self.neurons;
        for i in 0..m {
            for j in i + 1..m {
                let law = self.law(hidden, &[i, j])?;
                (self.pair_laws[i * m + j], self.pair_laws[j * m + i]) = (law, law);
            }
        }
        for (number, &(x, y)) in terms.products().iter().enumerate() {
            self.add_product(hidden, number, (x, y))?;
        }
        (self.work() < self.most_work).then_some(())
    }

    fn add_product(&mut self, hidden: &Hidden<'_, T>, number: usize, (x, y): Product) -> Option<()> {
        let fields = four_fields((x, y)).map(|(_, neuron)| neuron);
        let couples = [[fields[0], fields[1]], [fields[2], fields[3]]];
        let mut neurons = fields.to_vec();
        neurons.sort_unstable();
        neurons.dedup();
        let law = self.law(hidden, &neurons)?;
        let tables = [self.table(0, couples[0])?, self.table(1, couples[1])?];
        let mut function = |view: usize| {
            let field = |signal: Signal| usize::from(couples[view][0] != signal.neuron(view));
            let function = [x, y].map(|signal| (elementary(signal, view), field(signal)));
            let fields = &mut self.fields[if self.exchangeable { 0 } else { view }];
            self.tables[tables[view]].function(function, fields)
        };
        let (f, g) = (function(0), function(1));
        let known = self.blocks.iter().position(|block| block.couples == couples);
        let block = known.unwrap_or_else(|| {
            let count = |i: usize| self.axes[i].count;
            self.blocks.push(Block::new(tables, (law, &neurons), couples, &count));
            self.buffers.blocks.push(BlockBuffers::new());
            self.blocks.len() - 1
        });
        self.blocks[block].push((f, g, number));
        Some(())
    }

    /// The law of some neurons, in rising order.
    fn law(&mut self, hidden: &Hidden<'_, T>, neurons: &[usize]) -> Option<usize> {
        if let Some(known) = self.laws.iter().position(|law| law.neurons == neurons) {
            return Some(known);
        }
        let lines: Vec<Line> = neurons.iter().map(|&i| self.axes[i].line).collect();
        let points: f64 = neurons.iter().map(|&i| self.axes[i].count as f64).product();
        if points > self.most || neurons.len() == 2 && points > MOST_OF_TWO {
            return None;
        }
        let cut = (self.cut.as_ref(), self.accuracy);
        // Before its tables are made: the sums over the points alone (see `LatticeLaw::work`).
        if self.work() + points * points.powf(1.0 / neurons.len() as f64) > self.most_work {
            return None;
        }
        self.laws.push(LatticeLaw::new(hidden, neurons, &lines, cut, MOST_WAVES)?);
        Some(self.laws.len() - 1)
    }

    fn table(&mut self, view: usize, neurons: [usize; 2]) -> Option<usize> {
        let view = self.view(view);
        let known = self.tables.iter().position(|table| (table.view, table.neurons) == (view, neurons));
        if known.is_some() {
            return known;
        }
        let parts = self.parts(view, neurons);
        let waves = neurons.map(|i| &self.waves[i]);
        self.tables.push(ViewFunctions::new((view, neurons), &parts, waves, self.accuracy)?);
        Some(self.tables.len() - 1)
    }

    /// Which view's functions stand for a view.
    fn view(&self, view: usize) -> usize {
        if self.exchangeable { 0 } else { view }
    }

    fn parts(&self, view: usize, [i, j]: [usize; 2]) -> NoiseParts<T> {
        let (own, m) = (&self.noise.own[view], self.neurons);
        NoiseParts::new([own[i * m + i], own[i * m + j], own[j * m + j]])
    }

    /// The noise of the views, to be written before an update.
    pub(in crate::limit) fn noise_mut(&mut self) -> &mut ViewNoise<T> {
        &mut self.noise
    }

    /// Goes over to other coefficients and the noise that has been written; `with_slopes`: derivatives are asked for.
    pub(in crate::limit) fn update(
        &mut self,
        hidden: &Hidden<'_, T>,
        q: &[T],
        sigma: &dyn Nonlinearity<T>,
        with_slopes: bool,
    ) {
        let m = self.neurons;
        self.valid = true;
        self.known.iter_mut().for_each(|known| known.0 = false);
        self.slopes.clear();
        for law in &mut self.laws {
            self.valid &= law.update(hidden, (q, m), &self.noise.common);
        }
        for ((values, axis), law) in self.values.iter_mut().zip(&self.axes).zip(&self.laws) {
            values.clear();
            values.extend(axis.offsets.iter().map(|&offset| law.mean[0] + offset));
        }
        let centred = (0..m).all(|i| self.laws[i].mean[0] == T::zero());
        let odd = match sigma.parity() {
            Parity::Odd if centred => Some(true),
            Parity::Even if centred => Some(false),
            _ => None,
        };
        for (view, fields) in self.fields.iter_mut().enumerate() {
            for (i, functions) in fields.iter_mut().enumerate() {
                let spread = self.noise.own[view][i * m + i].max(T::zero()).sqrt();
                let still = (T::zero(), &[T::zero()][..]);
                functions.profile.update(&self.values[i], still, spread, (sigma, None), with_slopes);
                functions.transform(&self.axes[i], &mut self.buffers.fourier);
            }
        }
        for index in 0..self.tables.len() {
            let parts = self.parts(self.tables[index].view, self.tables[index].neurons);
            let table = &mut self.tables[index];
            let [i, j] = table.neurons;
            let axes = ([&self.axes[i], &self.axes[j]], [&self.values[i][..], &self.values[j][..]]);
            let fields = &self.fields[table.view];
            table.update(&parts, axes, [&fields[i].profile, &fields[j].profile], (sigma, odd), with_slopes);
        }
    }

    /// Averages over h¹_i and h²_j: E[f] and E[∂_v f] for f = a₁, a₂, b₁, b₂ in this order, then E[y Y]; and E[c_l f].
    pub(in crate::limit) fn pair(&mut self, (i, j): (usize, usize), with_hidden: &mut [T]) -> [T; SUMS] {
        if !self.valid {
            return [T::lit(f64::NAN); SUMS];
        }
        let m = self.neurons;
        if self.exchangeable
            && let (true, sums, hidden) = &self.known[j * m + i]
        {
            return exchanged(sums, hidden, with_hidden);
        }
        let law = self.pair_laws[i * m + j];
        let functions = [&self.fields[0][i], &self.fields[self.view(1)][j]];
        let buffers = &mut self.buffers.pair;
        let sums = pair_averages(&mut self.laws[law], functions, i > j, buffers, with_hidden);
        let known = &mut self.known[i * m + j];
        (known.0, known.1) = (i != j, sums);
        known.2.clear();
        known.2.extend_from_slice(with_hidden);
        sums
    }

    /// How they move, after an update with derivatives.
    pub(in crate::limit) fn pair_slopes(&mut self, (i, j): (usize, usize), p: usize, pairs: bool) -> PairSlopes<T> {
        if self.exchangeable
            && i > j
            && let Some(known) = self.slopes.iter().find(|known| known.0 == (j, i))
        {
            return known.1.exchanged();
        }
        let law = self.pair_laws[i * self.neurons + j];
        let functions = [&self.fields[0][i], &self.fields[self.view(1)][j]];
        let slopes = PairSlopes::new(&mut self.laws[law], functions, i > j, (p, pairs));
        if self.exchangeable && i < j {
            self.slopes.push(((i, j), slopes.clone()));
        }
        slopes
    }

    /// E[c_l c_l' ·], p x p, of sums of functions of neurons i and j, as sums of waves with weights.
    pub(in crate::limit) fn weighted_pairs(
        &mut self,
        (i, j): (usize, usize),
        sums: &[Vec<([&[T]; 2], T)>],
    ) -> Vec<Vec<T>> {
        let law = &mut self.laws[self.pair_laws[i * self.neurons + j]];
        let sums: Vec<[Vec<T>; 2]> = sums
            .iter()
            .map(|sum| {
                let mut total = [vec![T::zero(); law.waves()], vec![T::zero(); law.waves()]];
                for (parts, weight) in sum {
                    total.iter_mut().zip(parts).for_each(|(total, part)| add_scaled(*weight, part, total));
                }
                total
            })
            .collect();
        law.with_pairs(&sums.iter().map(parts).collect::<Vec<_>>())
    }

    /// The averages of all products, by number.
    pub(in crate::limit) fn products(&mut self, out: &mut [T]) {
        if !self.valid {
            return out.fill(T::lit(f64::NAN));
        }
        for (block, buffers) in self.blocks.iter().zip(&mut self.buffers.blocks) {
            let row = self.axes[block.couples[0][1]].offsets.len();
            block.average(&self.tables, &self.laws[block.law], row, buffers, out);
        }
    }

    /// The padded values of the second neuron of the first couple.
    fn row(&self, block: &Block) -> usize {
        self.axes[block.couples[0][1]].offsets.len()
    }

    /// How each of some sums of products moves, given by the weights of the products, after an update with derivatives.
    pub(in crate::limit) fn entry_motions(&mut self, weights: &[&[T]], p: usize) -> Vec<EntryMotion<T>> {
        let mut motions: Vec<EntryMotion<T>> = weights.iter().map(|_| EntryMotion::new()).collect();
        for number in 0..self.laws.len() {
            let blocks = || self.blocks.iter().filter(|block| block.law == number);
            if blocks().next().is_none() {
                continue;
            }
            let law = &mut self.laws[number];
            let slopes: Vec<Vec<T>> = (0..law.neurons.len()).map(|axis| law.weight_slopes(axis)).collect();
            let law = &self.laws[number];
            let mut all: Vec<Vec<T>> = vec![Vec::new(); weights.len()];
            for block in blocks() {
                let of_block = BlockSlopes::new(block, &self.tables, (law, &slopes), self.row(block));
                for ((weights, motion), all) in weights.iter().zip(&mut motions).zip(&mut all) {
                    of_block.add(weights, law.size(), all, motion);
                }
            }
            add_means(&all, &mut self.laws[number], p, &mut motions);
        }
        motions
    }

    /// Evaluations of the nonlinearity in one pass.
    pub(in crate::limit) fn count(&self) -> usize {
        let fields = self.fields.iter().flatten().enumerate();
        let fields = fields.map(|(k, f)| self.axes[k % self.neurons].count * f.profile.own.count());
        let tables = self.tables.iter().map(|table| table.evaluations(table.neurons.map(|i| self.axes[i].count)));
        fields.sum::<usize>() + tables.sum::<usize>()
    }

    /// About how many multiplications one pass takes.
    pub(in crate::limit) fn work(&self) -> f64 {
        let tables = self.tables.iter().map(|table| {
            let points: usize = table.neurons.iter().map(|&i| self.axes[i].count).product();
            (table.count() * table.shared_nodes() * points) as f64
        });
        let laws = self.laws.iter().map(LatticeLaw::work);
        let blocks = self
            .blocks
            .iter()
            .map(|block| (block.size(self.laws[block.law].size()) * self.tables[block.tables[1]].count()) as f64);
        EVALUATION * self.count() as f64 + tables.sum::<f64>() + laws.sum::<f64>() + blocks.sum::<f64>()
    }

    /// Whether the lattice and the nodes still serve for these coefficients and the noise that has been written.
    pub(in crate::limit) fn resolves(&mut self, hidden: &Hidden<'_, T>, q: &[T]) -> bool {
        let m = self.neurons;
        // Of one neuron each: what the others need follows.
        for law in &mut self.laws[..m] {
            self.valid &= law.update(hidden, (q, m), &self.noise.common);
        }
        let Some(now) = needs(&self.noise) else { return false };
        let enough = self.least.iter().zip(&now).all(|(least, now)| {
            now[0] >= least[0] - f64::EPSILON * now[1] && now[1] >= least[1] * (1.0 - f64::EPSILON)
        });
        self.valid
            && enough
            && self.cut.as_ref().is_none_or(|cut| is_covariance(&(matrix(&self.noise.common) - cut)))
            && self.tables.iter().all(|table| table.serves(&self.parts(table.view, table.neurons)))
            && self.fields.iter().enumerate().all(|(view, fields)| {
                let spread = |i: usize| self.noise.own[view][i * m + i].max(T::zero()).sqrt().as_f64();
                fields.iter().enumerate().all(|(i, field)| field.profile.own.serves(spread(i)))
            })
            && (0..m).all(|i| self.covers(i))
    }

    /// Whether what lies beyond the lattice of a neuron is below the error aimed at: by the second moment on it.
    fn covers(&self, i: usize) -> bool {
        let error = BEYOND * (-self.accuracy).exp() + SUM_ULPS * T::EPSILON.as_f64();
        let law = &self.laws[i];
        let weights = &law.weights;
        let nodes = self.axes[i].offsets.iter().zip(weights);
        let second: T = nodes.map(|(&x, &w)| x * x * w).sum();
        let wanted = law.variance() + self.noise.common[i * self.neurons + i];
        let length = 2.0 * self.axes[i].line.step * self.axes[i].line.half as f64;
        (second - wanted).abs().as_f64()
            <= (error / 40.0 + SUM_ULPS * T::EPSILON.as_f64()) * length * length
                + T::EPSILON.as_f64() * weights.len() as f64
    }
}
