//! From averages to coefficients (theory §3): A and B by regression of x̃ and h on the fields of each pair, Λ from pairs
//! and quadruples of fields, and what averages over batches add. Written once, for scalars and for numbers with derivatives.

use super::averages::two_fields::{COVARIANCE, SQUARES};
use super::averages::whole_batches::BatchSignal;
use super::fields::factor::Factor;
use super::numbers::Numbers;
use super::problem::Limit;
use super::signals::{Couplings, NoiseTerms};
use super::work::{FieldPair, Frozen, PairAverages, PairNodes, Work};
use crate::Scalar;
use crate::model::GradientPath;
use crate::numerics::dual::Number;

impl<T: Scalar, N: Number<T>> Work<T, N> {
    /// The coefficients from the averages.
    pub(super) fn assemble(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        self.assemble_drift(limit, frozen);
        self.assemble_diffusion(limit, frozen);
        self.add_batches(limit, frozen);
    }

    /// The signals of a pair of fields that move the neuron of view `view`, by number, and their coefficients in the error.
    pub(super) fn signal_terms(
        &self,
        limit: &Limit<'_, T>,
        frozen: &Frozen<'_, T>,
        pair: usize,
        view: usize,
    ) -> [Option<(usize, N)>; 2] {
        let numbers = (&self.numbers, N::one() / self.numbers.batch);
        signal_terms((limit, frozen), &frozen.field_pairs[pair], &self.field_pairs[pair], numbers, view)
    }

    /// What stands beside the averages with z of a pair of fields, for a variable of that covariance with both.
    pub(super) fn regress(&self, nodes: &PairNodes<T>, pair: usize, covariance: [N; 2]) -> [N; 2] {
        regress(nodes, &self.pair_factors[pair], covariance)
    }

    /// A and B from the averages over field_pairs.
    fn assemble_drift(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let Self { numbers, state, moments, pair_factors, field_pairs, out, .. } = self;
        let inverse = N::one() / numbers.batch;
        out.a.fill(N::zero());
        out.b.fill(N::zero());
        let views = limit.settings.gradient_path.views();
        for ((field_pair, factor), averages) in frozen.field_pairs.iter().zip(&*pair_factors).zip(&*field_pairs) {
            let fields = [(0, field_pair.i), (1, field_pair.j)];
            for view in 0..views {
                // Index 1 of the field_pair's averages belongs to neuron i in view 1, index 2 to neuron j in view 2.
                let neuron = if view == 0 { field_pair.i } else { field_pair.j };
                let terms = signal_terms((limit, frozen), field_pair, averages, (numbers, inverse), view);
                for (f, coefficient) in terms.into_iter().flatten() {
                    let scale = -(numbers.learning_rate * coefficient);
                    let with_z = [averages.sums[3 * f + 1], averages.sums[3 * f + 2]];
                    let with_hidden = &averages.with_hidden[f * p..(f + 1) * p];
                    for l in 0..p {
                        let covariance = fields.map(|field| moments.feature_covariance(state, (view, l), field));
                        let g = regress(&field_pair.nodes, factor, covariance);
                        out.a[l * m + neuron] +=
                            scale * (with_hidden[l] * numbers.scales[l] + g[0] * with_z[0] + g[1] * with_z[1]);
                    }
                    for j in 0..m {
                        let covariance = fields.map(|field| moments.field_covariance((view, j), field));
                        let g = regress(&field_pair.nodes, factor, covariance);
                        let mean = (0..p).fold(N::zero(), |sum, l| sum + moments.scaled[l * m + j] * with_hidden[l]);
                        out.b[j * m + neuron] += scale * (mean + g[0] * with_z[0] + g[1] * with_z[1]);
                    }
                }
            }
        }
    }

    /// Λ from the averages over field_pairs (the diagonal, where it is not among the terms) and over four fields.
    fn assemble_diffusion(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        let m = limit.settings.n_neurons;
        let Self { numbers, field_pairs, means, products, out, .. } = self;
        let scale = numbers.learning_rate * numbers.learning_rate / numbers.batch;
        out.lambda.fill(N::zero());
        if !frozen.terms.is_some_and(NoiseTerms::has_diagonal) {
            let d = |v: usize, w: usize| numbers.views.get(v, w);
            let square = limit.loss.diagonal() * limit.loss.diagonal();
            for (pair, averages) in frozen.field_pairs.iter().zip(&*field_pairs) {
                let [first, cross, second] = [0, 1, 2].map(|k| averages.sums[SQUARES + k]);
                let form = if limit.settings.gradient_path == GradientPath::StopGradient {
                    d(0, 0) * first
                } else {
                    d(0, 0) * first + (d(0, 1) * cross).times(T::lit(2.0)) + d(1, 1) * second
                };
                out.lambda[pair.i * m + pair.i] = form.times(square);
            }
        }
        if let Some(terms) = frozen.terms {
            let couplings = Couplings {
                numbers,
                diagonal: limit.loss.diagonal(),
                offsets: frozen.offsets,
                slopes: frozen.slopes,
                means,
            };
            terms.add(&couplings, products, &mut out.lambda);
        }
        for i in 0..m {
            for j in i..m {
                let entry = scale * out.lambda[i * m + j];
                out.lambda[i * m + j] = entry;
                out.lambda[j * m + i] = entry;
            }
        }
    }

    /// What averages over batches add to every coefficient: that of a penalty that is not quadratic, or of a loss without a form.
    fn add_batches(&mut self, limit: &Limit<'_, T>, frozen: &Frozen<'_, T>) {
        let (Some((factor, work)), Some(table)) = (&mut self.batch, frozen.batches) else { return };
        let (p, m) = (limit.settings.n_features, limit.settings.n_neurons);
        let (numbers, moments, state, out) = (&self.numbers, &self.moments, &self.state, &mut self.out);
        let (g, rest) = self.covariance.split_at_mut(2 * m);
        let covariance = &mut rest[..2 * m];
        let signal = BatchSignal {
            sigma: limit.sigma,
            loss: &limit.loss,
            offsets: frozen.offsets,
            slopes: frozen.slopes,
            numbers,
            flow: limit.settings.gradient_path,
        };
        let Some(sums) = table.average(&moments.scaled, factor, &signal, work) else { return };
        let tau = numbers.learning_rate;
        for (out, &sum) in out.lambda.iter_mut().zip(&sums.diffusion) {
            *out += tau * tau * sum;
        }
        for view in 0..2 {
            for l in 0..p {
                for (f, slot) in covariance.iter_mut().enumerate() {
                    *slot = moments.feature_covariance(state, (view, l), (f / m, f % m));
                }
                factor.regress(covariance, g);
                for i in 0..m {
                    let column = view * m + i;
                    let with_z = &sums.with_z[column * 2 * m..][..2 * m];
                    let noise = g.iter().zip(with_z).fold(N::zero(), |sum, (&g, &z)| sum + g * z);
                    let mean = sums.with_hidden[column * p + l] * numbers.scales[l];
                    out.a[l * m + i] -= tau * (mean + noise);
                }
            }
            for j in 0..m {
                for i in 0..m {
                    let column = view * m + i;
                    let with_hidden = &sums.with_hidden[column * p..][..p];
                    let mean = (0..p).fold(N::zero(), |sum, l| sum + moments.scaled[l * m + j] * with_hidden[l]);
                    let with_z = &sums.with_z[column * 2 * m..][..2 * m];
                    let noise = (0..2 * m).fold(mean, |sum, k| sum + factor.get(view * m + j, k) * with_z[k]);
                    out.b[j * m + i] -= tau * noise;
                }
            }
        }
    }
}

fn signal_terms<T: Scalar, N: Number<T>>(
    (limit, frozen): (&Limit<'_, T>, &Frozen<'_, T>),
    pair: &FieldPair<T>,
    averages: &PairAverages<N>,
    (numbers, inverse): (&Numbers<N>, N),
    view: usize,
) -> [Option<(usize, N)>; 2] {
    let own_entry = pair.i == pair.j;
    if own_entry && !limit.loss.diagonal_moves() {
        return [Some((view, N::constant(limit.loss.diagonal()))), None];
    }
    let at = pair.i * limit.settings.n_neurons + pair.j;
    let (offset, slope) = (frozen.offsets[at], frozen.slopes[at]);
    let strength = if own_entry { N::one() } else { numbers.penalty_strength };
    let rest = ((N::one() - inverse) * averages.sums[COVARIANCE]).times(slope);
    let own = (strength * inverse).times(slope);
    [Some((view, strength * (N::constant(offset) + rest))), Some((2 + view, own))]
}

fn regress<T: Scalar, N: Number<T>>(nodes: &PairNodes<T>, factor: &Factor<T, N>, covariance: [N; 2]) -> [N; 2] {
    if matches!(nodes, PairNodes::Views) {
        // By Stein's lemma a covariance stands beside a derivative by a field.
        return covariance;
    }
    let mut g = [N::zero(); 2];
    factor.regress(&covariance, &mut g);
    g
}
