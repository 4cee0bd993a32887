//! One error for all, by `?`.

use contrastive_dynamics::prelude::*;
use contrastive_dynamics::save::replace;
use contrastive_dynamics::sgd::SgdFailure;
use contrastive_dynamics::state::RunError;

use crate::support::models::{informed_start, one_feature};

/// Passes errors of every kind on: of a run, of replicates that fail with this same error, of an ensemble of them, of files and of tables.
fn pass_on(what: usize, end: f64) -> Result<u64, Error> {
    let (model, start) = (one_feature(), informed_start());
    let simulate = |seed: u64| -> Result<Trajectory, Error> {
        let mut chain = ProjectedChain::builder(&model, 50).start(&start).build_seeded(seed)?;
        Ok(Run::of(&mut chain).event(Direction::Rising, |_, state| state.r()[(0, 0)] - 1e3).to(end)?)
    };
    let ensemble = Ensemble::new(4, 1);
    Ok(match what {
        0 => simulate(1)?.work().accepted_steps,
        1 => {
            ensemble.map(|replicate| simulate(replicate.seed)).into_iter().collect::<Result<Vec<_>, _>>()?.len() as u64
        }
        2 => ensemble.run(|replicate| simulate(replicate.seed), |_, state| vec![state.r()[(0, 0)]])?.count(),
        3 => {
            replace("/no/such/folder/file", b"")?;
            0
        }
        _ => {
            Table::from_csv("a,a\n")?;
            0
        }
    })
}

#[test]
fn every_error_becomes_the_one_of_the_crate() {
    assert_eq!([0, 1, 2].map(|what| pass_on(what, 1.0)), [Ok(50), Ok(4), Ok(4)]);
    // No time before the start.
    let errors = [0, 1, 2, 3, 4].map(|what| pass_on(what, -1.0).unwrap_err());
    assert!(matches!(errors[0], Error::Sgd(_)), "{:?}", errors[0]);
    assert!(matches!(errors[1], Error::Replicate(_)), "{:?}", errors[1]);
    assert!(matches!(errors[2], Error::EnsembleOfAny(_)), "{:?}", errors[2]);
    assert!(matches!(errors[3], Error::Save(_)), "{:?}", errors[3]);
    assert!(matches!(errors[4], Error::Data(_)), "{:?}", errors[4]);
    for error in errors {
        assert!(!error.to_string().is_empty());
    }
    let limit: RunError<SgdFailure> =
        RunError::StepLimit { steps: 3, time: 0.5, trajectory: Box::new(pass_on_trajectory()) };
    assert!(Error::<f64>::from(limit).to_string().contains('3'));
}

fn pass_on_trajectory() -> Trajectory {
    let model = one_feature();
    ReducedOde::new(&model).unwrap().solver().solve(&informed_start(), 0.5).unwrap()
}
