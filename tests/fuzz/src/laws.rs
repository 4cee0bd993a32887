//! Laws of hidden variables, from any parameters.

use arbitrary::Unstructured;
use contrastive_dynamics::model::{
    CharacteristicRows, CorrelatedSigns, Discrete, HiddenDistribution, Independent, JointCharacteristic, Law, Mixture,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::rand::SeedableRng;
use contrastive_dynamics::random::LaneRng;

use crate::Read;
use crate::numbers::{count, mostly, number, numbers, share};

/// One law, or none for parameters that are refused.
pub(crate) fn law(u: &mut Unstructured<'_>, depth: usize) -> Read<Option<Law>> {
    let good = 0.2 + 3.0 * share(u)?;
    let moment = mostly(u, good)?;
    let part = share(u)?;
    let part = mostly(u, part)?;
    Ok(match u.int_in_range(0..=7)? {
        0 => Law::two_point(moment),
        1 => Law::three_point(moment, part),
        2 => Law::gaussian(moment),
        3 => Law::uniform(moment),
        4 => Law::laplace(moment),
        5 => Law::skewed(moment, part),
        6 if depth > 0 => {
            let mut parts = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                if let Some(law) = law(u, depth - 1)? {
                    let weight = share(u)?;
                    parts.push((mostly(u, weight)?, law));
                }
            }
            Law::mixture(parts)
        }
        _ => {
            let values = numbers(u, 5)?;
            let weights: Read<Vec<f64>> = values.iter().map(|_| share(u)).collect();
            Law::point_masses(values, if u.ratio(1, 8)? { numbers(u, 5)? } else { weights? })
        }
    }
    .ok())
}

/// Laws that are sound, at most so many.
pub(crate) fn independent(u: &mut Unstructured<'_>, most: usize) -> Read<Option<Independent>> {
    let mut laws = Vec::new();
    for _ in 0..u.int_in_range(0..=most)? {
        laws.extend(law(u, 1)?);
    }
    Ok(Independent::new(laws).ok())
}

/// Everything that can be asked of a law.
pub(crate) fn ask<H: HiddenDistribution>(u: &mut Unstructured<'_>, law: &H) -> Read<()> {
    let p = law.dimension();
    let mut rng = LaneRng::seed_from_u64(u.arbitrary()?);
    let mut c = vec![0.0; if u.ratio(1, 9)? { u.int_in_range(0..=5)? } else { p }];
    if c.len() == p {
        law.sample(&mut rng, &mut c);
        let words: Read<Vec<u64>> = c.iter().map(|_| u.arbitrary()).collect();
        law.samples_from_words(&words?, &mut c);
    }
    let points = u.int_in_range(1..=9)?;
    if law.quadrature_size(points) < 1 << 14 {
        let _ = law.quadrature(points);
    }
    let _ = (law.mean(), law.second_moment(), law.fourth_moments(), law.gaussian_part(), law.is_jointly_symmetric());
    let _ = (0..p + 1).map(|l| law.is_symmetric(l)).count();
    let uniforms = numbers(u, p)?;
    let _ = law.transport(&uniforms, &mut c);
    for (number, block) in law.blocks().into_iter().enumerate() {
        let k: Read<Vec<f64>> = block.map(|_| self::number(u)).collect();
        let mut out = JointCharacteristic::new();
        let _ = law.characteristic(number, &k?, &mut out);
    }
    let _ = std::any::type_name::<CharacteristicRows<'_, f64>>();
    Ok(())
}

pub(crate) fn laws(u: &mut Unstructured<'_>) -> Read<()> {
    if let Some(law) = independent(u, 4)? {
        ask(u, &law)?;
        let _ = format!("{law:?}");
    }
    Ok(())
}

pub(crate) fn joint(u: &mut Unstructured<'_>) -> Read<()> {
    match u.int_in_range(0..=3)? {
        0 => {
            let (moments, correlation) = (numbers(u, 4)?, number(u)?);
            if let Ok(law) = CorrelatedSigns::new(moments, correlation) {
                ask(u, &law)?;
            }
        }
        1 => {
            let (moments, loadings) = (numbers(u, 4)?, numbers(u, 4)?);
            if let Ok(law) = CorrelatedSigns::with_loadings(moments, loadings) {
                ask(u, &law)?;
            }
        }
        2 => {
            let (p, n) = (u.int_in_range(0..=3)?, u.int_in_range(0..=4)?);
            let points: Read<Vec<f64>> = (0..p * n).map(|_| number(u)).collect();
            let weights: Read<Vec<f64>> =
                (0..if u.ratio(1, 8)? { count(u, 5)?.min(9) } else { n }).map(|_| share(u)).collect();
            if let Ok(law) = Discrete::new(DMatrix::from_vec(p, n, points?), weights?) {
                ask(u, &law)?;
            }
        }
        _ => {
            let mut parts = Vec::new();
            for _ in 0..u.int_in_range(0..=3)? {
                if let Some(law) = independent(u, 2)? {
                    parts.push((share(u)?, law));
                }
            }
            if let Ok(law) = Mixture::joint(parts) {
                ask(u, &law)?;
                if let Some(other) = independent(u, 2)? {
                    ask(u, &law.and(other))?;
                }
            }
        }
    }
    Ok(())
}
