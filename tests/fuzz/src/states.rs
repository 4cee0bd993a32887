//! States, starts, and what is read off weights.

use arbitrary::Unstructured;
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::pde::observables::Marginal;
use contrastive_dynamics::rand::SeedableRng;
use contrastive_dynamics::random::LaneRng;
use contrastive_dynamics::start::{FeatureLaw, Features, LinearGaussianStart, Rows, Whitening};
use contrastive_dynamics::state::OrderParameters;

use crate::Read;
use crate::numbers::{count, mostly, number, numbers, sane, share};

/// A feasible state of that shape nearly always, of any scale now and then.
pub(crate) fn state_of(u: &mut Unstructured<'_>, p: usize, m: usize) -> Read<Option<OrderParameters>> {
    let scale = mostly(u, 1.0)?;
    let q: Read<Vec<f64>> = (0..p * m).map(|_| Ok(0.3 * sane(u)? * scale)).collect();
    let v: Read<Vec<f64>> = (0..m * m).map(|_| Ok(sane(u)? * scale)).collect();
    let (q, v) = (DMatrix::from_vec(p, m, q?), DMatrix::from_vec(m, m, v?));
    let r = q.tr_mul(&q) + if u.ratio(1, 8)? { DMatrix::zeros(m, m) } else { &v * v.transpose() };
    Ok(OrderParameters::new(q, (&r + r.transpose()) * 0.5).ok())
}

pub(crate) fn states(u: &mut Unstructured<'_>) -> Read<()> {
    let (p, m) = (count(u, 3)?, count(u, 3)?);
    let (q, r) = (numbers(u, 9)?, numbers(u, 9)?);
    let _ = OrderParameters::from_rows(p, m, &q, &r).map_err(|error| error.to_string());
    let _ = OrderParameters::from_packed(p, m, &q).map_err(|error| error.to_string());
    let (rows, columns) = (u.int_in_range(0..=4)?, u.int_in_range(0..=3)?);
    let features: Read<Vec<f64>> = (0..rows * columns).map(|_| number(u)).collect();
    let features = DMatrix::from_vec(rows, columns, features?);
    let weights = DMatrix::from_element(u.int_in_range(0..=4)?, 2, number(u)?);
    let _ = OrderParameters::from_weights(&features, &weights).map_err(|error| error.to_string());
    let _ = Features::from_matrix(features).map_err(|error| error.to_string());
    let mut rng = LaneRng::seed_from_u64(1);
    let covariance = DMatrix::from_element(u.int_in_range(0..=3)?, u.int_in_range(0..=3)?, number(u)?);
    let _ = OrderParameters::uninformative(count(u, 3)?, &covariance, count(u, 30)?, &mut rng)
        .map_err(|error| error.to_string());
    let (p, m) = (u.int_in_range(1..=3)?, u.int_in_range(1..=3)?);
    if let Some(state) = state_of(u, p, m)? {
        let _ = (state.normalised().is_ok(), state.background(), state.to_packed(), format!("{state:?}"));
        let _ = state.cosine_similarity(count(u, 3)?, count(u, 3)?);
    }
    Ok(())
}

pub(crate) fn starts(u: &mut Unstructured<'_>) -> Read<()> {
    let mut rng = LaneRng::seed_from_u64(u.arbitrary()?);
    let sparsity = share(u)?;
    let laws = [FeatureLaw::gaussian(), FeatureLaw::rademacher()];
    let law = FeatureLaw::sparse(mostly(u, sparsity)?).unwrap_or(laws[usize::from(u.arbitrary::<bool>()?)]);
    let _ = (law.fourth_moment(), law.sample(&mut rng));
    let _ = law.line(count(u, 60)?).map_err(|error| error.to_string());
    let _ = law.nodes(count(u, 4)?, count(u, 12)?, count(u, 4000)?.min(1 << 20)).map_err(|error| error.to_string());
    let (p, m) = (u.int_in_range(1..=2)?, u.int_in_range(1..=2)?);
    let Some(state) = state_of(u, p, m)? else { return Ok(()) };
    if let Ok(start) = LinearGaussianStart::new(law, &state) {
        let whitening = Whitening::State(state.clone());
        let _ = Rows::draw(&start, u.int_in_range(0..=40)?, &whitening, &mut rng).map(|mut rows: Rows<f64>| {
            let _ = rows.whiten(&Whitening::State(state.clone())).map_err(|error| error.to_string());
            rows.order_parameters().is_ok()
        });
    }
    let (n, other) = (u.int_in_range(0..=6)?, u.int_in_range(0..=6)?);
    let value = number(u)?;
    let mut rows = Rows {
        features: DMatrix::from_fn(n, state.n_features(), |i, l| value * ((3 * i + l) as f64).sin()),
        weights: DMatrix::from_fn(other, state.n_neurons(), |i, l| ((5 * i + l) as f64).cos()),
    };
    let _ = rows.order_parameters().is_ok();
    let _ = rows.whiten(&Whitening::State(state)).map_err(|error| error.to_string());
    Ok(())
}

pub(crate) fn observables(u: &mut Unstructured<'_>) -> Read<()> {
    let (values, weights) = (numbers(u, 7)?, numbers(u, 7)?);
    let mut edges: Vec<f64> = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        edges.push(edges.last().copied().unwrap_or(0.0) + share(u)?);
    }
    let masses: Read<Vec<f64>> = (1..edges.len().max(1)).map(|_| share(u)).collect();
    let masses = masses?;
    if u.ratio(1, 5)? {
        edges.extend(numbers(u, 2)?);
    }
    let all = [
        Marginal::sample(&values),
        Marginal::weighted(&values, &weights),
        Marginal::weighted(&values, &masses),
        Marginal::density(&edges, &masses),
        Marginal::conditional(&values, |k| k % 2 == 0),
    ];
    let good: Vec<&Marginal> = all.iter().flatten().collect();
    let Some(first) = good.first() else { return Ok(()) };
    for law in &good {
        let x = number(u)?;
        let _ = (
            law.cdf(x),
            law.fraction_within(x),
            law.quantile(x),
            law.moment(u.arbitrary()?),
            law.mean(),
            law.variance(),
        );
        let _ = law.quantile(share(u)?);
        let _ = (law.histogram(&edges), law.kernel_density(number(u)?, &values), law.silverman_bandwidth());
        let _ = law.wasserstein(first);
    }
    let parts: Read<Vec<(f64, &Marginal)>> = good.iter().map(|law| Ok((number(u)?, *law))).collect();
    let _ = Marginal::mixture(&parts?);
    Ok(())
}
