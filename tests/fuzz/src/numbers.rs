//! Numbers of all sorts, the worst of them often.

use arbitrary::Unstructured;
use contrastive_dynamics::integrate::Output;

use crate::Read;

const BAD: [f64; 24] = [
    0.0,
    -0.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    5e-324,
    -5e-324,
    1e-310,
    f64::MIN_POSITIVE,
    1e-300,
    1e-160,
    1e-20,
    f64::EPSILON,
    1.0 - f64::EPSILON,
    1.0,
    -1.0,
    1e8,
    1e16,
    1e20,
    1e154,
    1e160,
    1e300,
    f64::MAX,
    f64::MIN,
];

/// Usually of order one, sometimes bad, sometimes any bits.
pub(crate) fn number(u: &mut Unstructured<'_>) -> Read<f64> {
    Ok(match u.int_in_range(0..=15)? {
        0..=1 => BAD[u.choose_index(BAD.len())?],
        2 => f64::from_bits(u.arbitrary()?),
        3 => f64::from(u.arbitrary::<i16>()?),
        k => sane(u)? * if k % 2 == 0 { 1.0 } else { 0.1 },
    })
}

/// Between −3 and 3.
pub(crate) fn sane(u: &mut Unstructured<'_>) -> Read<f64> {
    Ok(f64::from(u.arbitrary::<u16>()?) / 65536.0 * 6.0 - 3.0)
}

/// Between 0 and 1, both left out.
pub(crate) fn share(u: &mut Unstructured<'_>) -> Read<f64> {
    Ok((f64::from(u.arbitrary::<u16>()?) + 0.5) / 65536.0)
}

/// Good nearly always, any number now and then.
pub(crate) fn mostly(u: &mut Unstructured<'_>, good: f64) -> Read<f64> {
    if u.int_in_range(0..=11)? == 0 { number(u) } else { Ok(good) }
}

pub(crate) fn numbers(u: &mut Unstructured<'_>, most: usize) -> Read<Vec<f64>> {
    let count = u.int_in_range(0..=most)?;
    (0..count).map(|_| number(u)).collect()
}

/// Small, sometimes absurd.
pub(crate) fn count(u: &mut Unstructured<'_>, small: usize) -> Read<usize> {
    const ABSURD: [usize; 8] = [1 << 16, 1 << 31, 1 << 32, (1 << 40) + 1, 1 << 62, 1 << 63, usize::MAX - 1, usize::MAX];
    Ok(if u.int_in_range(0..=19)? == 0 { ABSURD[u.choose_index(ABSURD.len())?] } else { u.int_in_range(0..=small)? })
}

pub(crate) fn output(u: &mut Unstructured<'_>, end: f64) -> Read<Output> {
    Ok(match u.int_in_range(0..=5)? {
        0 => Output::Times(numbers(u, 4)?),
        1 => Output::Times(vec![0.0, 0.3 * end, end]),
        2 => Output::EverySteps(count(u, 9)?),
        3 => Output::LogSpaced { first: number(u)?, last: number(u)?, count: count(u, 9)? },
        _ => Output::Stop,
    })
}
