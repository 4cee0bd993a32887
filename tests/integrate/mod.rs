//! A step under way, as an integrator of one's own sees it, and what integrators say of themselves.

#[cfg(feature = "diffsol")]
mod diffsol;

use std::convert::Infallible;

use contrastive_dynamics::integrate::{DormandPrince, Euler, Integrator, Output, RungeKutta4, Step, System, Work};
use contrastive_dynamics::state::{Integration, Run, RunError, Trajectory};

/// dy/dt = −y and dt/dt = 1, which counts what is asked of it.
#[derive(Default)]
struct Decay {
    asked: u64,
}

impl System for Decay {
    type Error = Infallible;

    fn dimension(&self) -> usize {
        2
    }

    fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Infallible> {
        self.asked += 1;
        (rates[0], rates[1]) = (-y[0], 1.0);
        Ok(())
    }

    fn work(&self) -> Work {
        let mut work = Work::default();
        work.quadrature_nodes = 10 * self.asked;
        work
    }
}

#[test]
fn room_is_made_and_what_stands_there_is_kept() {
    let mut step = Step::new(2.0, vec![1.0, -1.0], vec![0.5, 0.25]);
    assert_eq!((step.t, step.previous_t, step.next_size, step.work.right_hand_sides), (2.0, 2.0, 0.0, 1));
    step.dense = vec![vec![3.0, 4.0], vec![5.0], vec![6.0, 7.0]];
    step.scratch = vec![vec![8.0, 9.0, 10.0]];
    step.reserve(2, 3);
    assert_eq!(step.dense, [vec![3.0, 4.0], vec![5.0, 0.0]]);
    assert_eq!(step.scratch, [vec![8.0, 9.0], vec![0.0; 2], vec![0.0; 2]]);
    assert!(step.check::<Infallible>(2).is_ok() && step.check::<Infallible>(3).is_err());
}

/// A cubic is its own interpolation: y = 1 + 2t − t² + 0.5t³ on (1, 3), and its mirror image.
#[test]
fn dense_output_through_both_ends_of_a_cubic_is_that_cubic() {
    let y = |t: f64| 1.0 + 2.0 * t - t * t + 0.5 * t.powi(3);
    let slope = |t: f64| 2.0 - 2.0 * t + 1.5 * t * t;
    let mut step = Step::new(3.0, vec![y(3.0), -y(3.0)], vec![slope(3.0), -slope(3.0)]);
    step.previous_t = 1.0;
    step.set_cubic(&[y(1.0), -y(1.0)], &[slope(1.0), -slope(1.0)], 2.0);
    for t in [1.0, 1.3, 2.0, 2.9, 3.0] {
        let got = step.interpolate(t);
        assert!((got[0] - y(t)).abs() < 1e-13 && (got[1] + y(t)).abs() < 1e-13, "{t}: {got:?}");
    }
}

/// One step of h of dy/dt = −y: 1 − h, and the exponential series to the fourth order.
#[test]
fn one_step_of_a_fixed_size_is_its_series() {
    let h = 0.25;
    let after = |integrator: &dyn Fn(&mut Decay, &mut Step, f64)| {
        let mut step = Step::new(0.0, vec![1.0, 0.0], vec![-1.0, 1.0]);
        integrator(&mut Decay::default(), &mut step, 1.0);
        assert_eq!((step.previous_t, step.t, step.y[1]), (0.0, h, h));
        step.y[0]
    };
    let euler = after(&|system, step, end| Euler::new(h).unwrap().step(system, step, end).unwrap());
    assert_eq!(euler, 1.0 - h);
    let series = 1.0 - h + h.powi(2) / 2.0 - h.powi(3) / 6.0 + h.powi(4) / 24.0;
    let fourth = after(&|system, step, end| RungeKutta4::new(h).unwrap().step(system, step, end).unwrap());
    assert!((fourth - series).abs() < 1e-15);
}

/// The error at the end falls by 2^order for half the step; for an adaptive method, with the tolerance.
#[test]
fn methods_have_the_order_that_they_say() {
    fn error<I: Integrator>(integrator: I) -> f64 {
        let mut run = Integration::new(Decay::default(), integrator, 0.0, vec![1.0, 0.0]);
        let trajectory = Run::of(&mut run).to(2.0).unwrap();
        (trajectory.last().unwrap().1[0] - (-2.0_f64).exp()).abs()
    }
    let euler = |h| Euler::new(h).unwrap();
    let fourth = |h| RungeKutta4::new(h).unwrap();
    let order = |errors: [f64; 2]| (errors[0] / errors[1]).log2();
    let of = |integrator: &dyn Fn(f64) -> f64| order([0.04, 0.02].map(integrator));
    assert!((of(&|h| error(euler(h))) - Integrator::<f64>::order(&euler(0.1)) as f64).abs() < 0.05);
    assert!((of(&|h| error(fourth(h))) - Integrator::<f64>::order(&fourth(0.1)) as f64).abs() < 0.05);
    // 32 times the tolerance is twice the step.
    let steps = |tolerance| {
        let method = DormandPrince::new(tolerance, tolerance).unwrap();
        assert_eq!(method.relative_tolerance(), tolerance);
        assert_eq!(Integrator::<f64>::order(&method), 5);
        let mut run = Integration::new(Decay::default(), method, 0.0, vec![1.0, 0.0]);
        Run::of(&mut run).to(40.0).unwrap().work().accepted_steps as f64
    };
    let ratio = steps(1e-11) / steps(1e-11 * 32.0);
    assert!((ratio - 2.0).abs() < 0.3, "{ratio}");
}

/// A run records what is read of y, and its work is that of the integrator and of the system.
#[test]
fn what_is_read_is_recorded_and_the_work_of_the_system_counts() {
    let decay = Integration::new(Decay::default(), RungeKutta4::new(0.5).unwrap(), 0.0, vec![1.0, 0.0]);
    let mut product = decay.reading(|y: &[f64]| y[0] * y[1]);
    let trajectory: Trajectory<f64, f64> = Run::of(&mut product).to(1.0).unwrap();
    let y = product.step().y.clone();
    assert_eq!(*trajectory.last().unwrap().1, y[0] * y[1]);
    assert!((y[0] - (-1.0_f64).exp()).abs() < 1e-3 && y[1] == 1.0);
    let (work, asked) = (trajectory.work(), product.system().asked);
    assert_eq!((work.right_hand_sides, work.quadrature_nodes), (asked, 10 * asked));
    assert!(asked >= 8 && work.accepted_steps == 2);
}

/// The failure of a step told in other terms: time and trajectory stay.
#[test]
fn an_error_of_a_run_is_told_in_other_terms_and_loses_nothing() {
    struct Ends;
    impl System for Ends {
        type Error = u32;
        fn dimension(&self) -> usize {
            1
        }
        fn rates(&mut self, t: f64, _y: &[f64], rates: &mut [f64]) -> Result<(), u32> {
            rates[0] = 1.0;
            if t > 0.6 { Err(7) } else { Ok(()) }
        }
    }
    let mut run = Integration::new(Ends, Euler::new(0.25).unwrap(), 0.0, vec![0.0]);
    let error = Run::of(&mut run).output(Output::EverySteps(1)).to(1.0).unwrap_err();
    let told = error.clone().map_source(|source| format!("{source:?}"));
    assert_eq!(error.trajectory(), told.trajectory());
    let RunError::Failed { time, source, trajectory } = told else { panic!("{told:?}") };
    assert_eq!((time, trajectory.times()), (0.5, &[0.0, 0.25, 0.5][..]));
    assert!(source.contains('7'), "{source}");
    let limit: RunError<u32, f64, Vec<f64>> = RunError::SteadyUnknown;
    assert_eq!(limit.map_source(f64::from), RunError::SteadyUnknown);
}
