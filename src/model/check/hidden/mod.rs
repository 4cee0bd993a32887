//! Whether a hidden law draws what it averages over, and has the moments and symmetries that it says.
//!
//! Covers the checks as a whole, and every way of drawing: `sample`, `samples_from_words` and `transport`. Not here: what
//! the nodes alone tell (`nodes.rs`), the characteristic function (`characteristic.rs`), and the averages by which draws and
//! nodes are compared (`comparison.rs`).

mod characteristic;
mod comparison;
mod nodes;
#[cfg(test)]
mod tests;

use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::Scalar;
use crate::model::check::averages::Averages;
use crate::model::check::hidden::characteristic::characteristic;
use crate::model::check::hidden::comparison::{Statistics, symmetries};
use crate::model::check::hidden::nodes::{Rules, exactness, shapes, stated_moments};
use crate::model::check::{Disagreement, Source};
use crate::model::{HiddenDistribution, HiddenVariable, Independent, MOST_ENUMERATED_NODES};
use crate::numerics::sobol::uniform;

/// Draws of each kind: 10⁵, and fewer where there are so many statistics (numbers times draws) that it would take
/// seconds: from about eight variables on.
const DRAWS: usize = 100_000;
const FEWEST_DRAWS: usize = 10_000;
const WORK: usize = 20_000_000;
/// Draws from words are made in runs of that many.
const RUN: usize = 1000;
/// Sobol points that are mapped.
const MAPPED: usize = 1 << 13;
/// The most nodes that the checks look at: of moments quickly (a tenth of a millisecond), of everything in full (as many
/// as averages enumerate).
const QUICK_NODES: usize = 1 << 12;
const FULL_NODES: usize = MOST_ENUMERATED_NODES;
/// The most nodes at which symmetries are looked at quickly, which takes sines and cosines.
const QUICK_SYMMETRY_NODES: usize = 1 << 8;
/// Any seed will do; a fixed one makes the answer the same each time.
const SEED: u64 = 0x6869_6464_656e;
/// Another scramble than those of averages.
const SCRAMBLE: u32 = 0x5eed;

/// Whether the nodes, the draws and the stated moments and symmetries of a joint law are of one law.
///
/// Empty if all is well. A characteristic function, where the law gives one, is compared with the nodes at three wave vectors.
/// It makes 10⁵ draws (fewer for more than eight variables) at fixed seeds, and as many from words and
/// 8192 by `transport` where the law has them. With p variables each kind makes p + p(p + 1)/2 comparisons of moments and
/// 4p + 8 of averages of sines and cosines, which see the whole law, and a few for each symmetry claimed: a correct law
/// of two variables is told wrong with a probability below 1e-4, and the larger part of that only if it is active in
/// less than 100 of the draws.
///
/// ```
/// use contrastive_dynamics::model::{CorrelatedSigns, Independent, Law, check_hidden};
/// assert!(check_hidden(&Independent::new([Law::two_point(2.25)?, Law::laplace(1.0)?])?).is_empty());
/// assert!(check_hidden(&CorrelatedSigns::new([1.0, 1.0], -0.3)?).is_empty());
/// // A distribution with nodes of another.
/// let wrong = Law::from_distribution(rand_distr::StandardNormal, [1.0, -1.0], [0.5, 0.5])?;
/// println!("{}", check_hidden(&Independent::new([wrong])?)[0]);
/// # Ok::<(), contrastive_dynamics::model::ModelError>(())
/// ```
pub fn check_hidden<T: Scalar, H: HiddenDistribution<T>>(law: &H) -> Vec<Disagreement> {
    let p = law.dimension();
    if p == 0 {
        return Vec::new();
    }
    let mut found = shapes(law, FULL_NODES);
    if !found.is_empty() {
        return found;
    }
    let rules = Rules::new(law, FULL_NODES);
    found.extend(stated_moments(law, &rules));
    found.extend(exactness(law, FULL_NODES));
    let statistics = Statistics::new(law, &rules);
    found.extend(symmetries(&statistics, &rules));
    found.extend(characteristic(law, &rules));
    let reference = statistics.reference(law, &rules);
    for source in [Source::Samples, Source::Words, Source::Transport] {
        match draw(law, &statistics, source) {
            Ok(Some(averages)) => found.extend(statistics.compare(&reference, &averages, source)),
            Ok(None) => {}
            Err(disagreement) => found.push(disagreement),
        }
    }
    found
}

/// [`check_hidden`] for the law of one variable.
pub fn check_variable<T: Scalar, V: HiddenVariable<T>>(law: &V) -> Vec<Disagreement> {
    // One law is at least one law.
    Independent::new([law]).map_or_else(|_| Vec::new(), |law| check_hidden(&law))
}

/// The part of [`check_hidden`] that every model can be asked: shapes, weights, moments and symmetries of the nodes, where
/// these are few. Nothing is drawn.
pub(super) fn quick_check_hidden<T: Scalar>(law: &dyn HiddenDistribution<T>) -> Vec<Disagreement> {
    if law.dimension() == 0 {
        return Vec::new();
    }
    let mut found = shapes(law, QUICK_NODES);
    if found.is_empty() {
        found.extend(stated_moments(law, &Rules::new(law, QUICK_NODES)));
        found.extend(exactness(law, QUICK_SYMMETRY_NODES));
        let rules = Rules::new(law, QUICK_SYMMETRY_NODES);
        found.extend(symmetries(&Statistics::new(law, &rules), &rules));
        found.extend(characteristic(law, &rules));
    }
    found
}

/// The statistics of draws of one kind; none if the law has no such draws.
fn draw<T: Scalar, H: HiddenDistribution<T>>(
    law: &H,
    statistics: &Statistics,
    source: Source,
) -> Result<Option<Averages>, Disagreement> {
    let p = law.dimension();
    let draws = (WORK / statistics.count()).clamp(FEWEST_DRAWS, DRAWS);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut averages = Averages::new(statistics.count());
    let mut values = vec![0.0; statistics.count()];
    // What is not written stays NaN.
    let nan = T::lit(f64::NAN);
    let mut add = |c: &[T], gaussian: Option<&DMatrix<f64>>| {
        if let Some(variable) = c.iter().position(|x| !x.is_finite()) {
            return Err(Disagreement::HiddenSample { from: source, variable, value: c[variable].as_f64() });
        }
        let point: Vec<f64> = c.iter().map(|x| x.as_f64()).collect();
        statistics.evaluate(&point, gaussian, &mut values);
        averages.add(&values);
        Ok(())
    };
    match source {
        Source::Words => {
            let empty = law.samples_from_words(&[], &mut []);
            let (mut words, mut c, mut one) = (vec![0; RUN * p], vec![nan; RUN * p], vec![nan; p]);
            for _ in 0..draws / RUN {
                words.fill_with(|| rng.next_u64());
                c.fill(nan);
                let full = law.samples_from_words(&words, &mut c);
                if full != empty {
                    return Err(Disagreement::HiddenWords { empty, full });
                }
                if !full {
                    return Ok(None);
                }
                for k in 0..RUN {
                    for l in 0..p {
                        one[l] = c[l * RUN + k];
                    }
                    add(&one, None)?;
                }
            }
        }
        Source::Transport => {
            let gaussian = Some(law.gaussian_part().map(Scalar::as_f64)).filter(|g| g.amax() > 0.0);
            let (mut u, mut c) = (vec![nan; p], vec![nan; p]);
            for n in 0..MAPPED {
                for (l, u) in u.iter_mut().enumerate() {
                    *u = T::lit(uniform(n, l, SCRAMBLE)).min(T::one() - T::EPSILON);
                }
                c.fill(nan);
                if !law.transport(&u, &mut c) {
                    return Ok(None);
                }
                add(&c, gaussian.as_ref())?;
            }
        }
        _ => {
            let mut c = vec![nan; p];
            for _ in 0..draws {
                c.fill(nan);
                law.sample(&mut rng, &mut c);
                add(&c, None)?;
            }
        }
    }
    Ok(Some(averages))
}
