//! The loop on processes of which everything is known: an oscillator, a clock of equal steps, replicates with failures.

use std::convert::Infallible;
use std::ops::ControlFlow;

use super::*;
use crate::integrate::{DormandPrince, Euler, Integrator, Output, OutputError, RungeKutta4, System, Work};
use crate::state::{StopReason, Trajectory};

/// y'' = −y, started at (0, 1): y = sin t.
struct Oscillator;
impl System for Oscillator {
    type Error = Infallible;
    fn dimension(&self) -> usize {
        2
    }
    fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), Infallible> {
        rates[0] = y[1];
        rates[1] = -y[0];
        Ok(())
    }
}

fn sine<I: Integrator>(integrator: I) -> Integration<f64, Oscillator, I> {
    Integration::new(Oscillator, integrator, 0.0, vec![0.0, 1.0])
}

fn run(integrator: impl Integrator, end: f64, output: &Output) -> Trajectory<f64, Vec<f64>> {
    Run::of(&mut sine(integrator)).output(output.clone()).to(end).unwrap()
}

/// Slope of log error against log step size.
fn measured_order(errors: &[(f64, f64)]) -> f64 {
    let n = errors.len() as f64;
    let (x, y): (Vec<f64>, Vec<f64>) = errors.iter().map(|(h, e)| (h.ln(), e.ln())).unzip();
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let top: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    top / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
}

fn order<I: Integrator>(make: impl Fn(f64) -> I, sizes: &[f64]) -> (f64, f64) {
    let (mut ends, mut inside) = (Vec::new(), Vec::new());
    for &size in sizes {
        // Times that fall inside steps: the dense output is measured too.
        let times: Vec<f64> = (1..40).map(|k| 0.05 * f64::from(k) + 0.017).collect();
        let records = run(make(size), 2.0, &Output::Times(times));
        let errors: Vec<f64> = records.iter().map(|(t, y)| (y[0] - t.sin()).abs()).collect();
        ends.push((size, errors[errors.len() - 1]));
        inside.push((size, errors.iter().copied().fold(0.0, f64::max)));
    }
    (measured_order(&ends), measured_order(&inside))
}

#[test]
fn integrators_have_their_order_at_steps_and_between() {
    let sizes: Vec<f64> = (4..9).map(|k| 2.0 / f64::from(1 << k)).collect();
    let (end, inside) = order(|h| Euler::new(h).unwrap(), &sizes);
    assert!((end - 1.0).abs() < 0.1 && (inside - 1.0).abs() < 0.1, "Euler {end} {inside}");
    let (end, inside) = order(|h| RungeKutta4::new(h).unwrap(), &sizes);
    assert!((end - 4.0).abs() < 0.15 && (inside - 4.0).abs() < 0.25, "Runge-Kutta {end} {inside}");
    // Tolerances so loose that every step has the largest size allowed.
    let loose = |h| DormandPrince::new(1e6, 1e6).unwrap().largest_step(h).unwrap();
    let (end, inside) = order(loose, &sizes[..4]);
    assert!((end - 5.0).abs() < 0.2, "Dormand-Prince {end}");
    assert!(inside > 3.9, "Dormand-Prince between steps {inside}");
}

#[test]
fn adaptive_error_follows_the_tolerance_and_work_is_counted() {
    for tolerance in [1e-4, 1e-6, 1e-8, 1e-10] {
        let method = DormandPrince::new(tolerance, tolerance).unwrap();
        let trajectory = run(method, 10.0, &Output::Stop);
        assert_eq!((trajectory.stop_reason(), trajectory.times()), (StopReason::EndTime, &[10.0][..]));
        let error = (trajectory.states()[0][0] - 10_f64.sin()).abs();
        assert!(error < 20.0 * tolerance, "{tolerance}: {error}");
        let work = trajectory.work();
        assert_eq!(work.right_hand_sides, 2 + 6 * (work.accepted_steps + work.rejected_steps));
    }
}

#[test]
fn outputs_are_where_they_were_asked_for() {
    let times = vec![0.0, 0.3, 1.7, 2.0];
    let got = run(DormandPrince::default(), 3.0, &Output::Times(times.clone()));
    assert_eq!((&got.times()[..4], got.times()[4]), (&times[..], 3.0));
    let got = run(RungeKutta4::new(0.1).unwrap(), 1.0, &Output::EverySteps(3));
    assert_eq!(got.work().accepted_steps, 10);
    assert_eq!(got.times().len(), 5, "start, three strides, end");
}

#[test]
fn an_event_is_located_on_the_dense_output_and_the_process_goes_on_from_there() {
    let method = DormandPrince::new(1e-11, 1e-11).unwrap();
    let mut solution = sine(method);
    let event = Run::of(&mut solution).output(Output::EverySteps(1));
    let event = event.event(Direction::Either, |_, y| y[0] - 0.5).to(10.0).unwrap();
    let StopReason::Event { index: 0, time, step } = event.stop_reason() else { panic!() };
    assert!((time - std::f64::consts::FRAC_PI_6).abs() < 1e-9, "{time}");
    assert_eq!((event.last().unwrap().0, step), (time, event.work().accepted_steps));
    assert!((event.states().last().unwrap()[0] - 0.5).abs() < 1e-12);
    assert_eq!((solution.now(), solution.state()), (time, event.states().last().unwrap().clone()));
    let rest = Run::of(&mut solution).to(10.0).unwrap();
    assert!((rest.states()[0][0] - 10_f64.sin()).abs() < 1e-9);
}

#[test]
fn the_first_of_several_events_in_a_step_counts() {
    let mut solution = sine(RungeKutta4::new(1.0).unwrap());
    let run =
        Run::of(&mut solution).event(Direction::Rising, |t, _| t - 0.75).event(Direction::Rising, |t, _| t - 0.25);
    let trajectory = run.output(Output::Times(vec![0.1, 0.2, 0.25, 0.3])).to(5.0).unwrap();
    assert_eq!(trajectory.stop_reason(), StopReason::Event { index: 1, time: 0.25, step: 1 });
    assert_eq!(trajectory.times(), [0.1, 0.2, 0.25], "nothing after the event");
}

#[test]
fn what_holds_at_the_start_stops_there_only_if_asked_for() {
    let stops = |direction, level: f64| {
        let trajectory = Run::of(&mut sine(DormandPrince::default())).event(direction, |_, y| y[0] - level).to(4.0);
        trajectory.unwrap().stop_reason()
    };
    assert_eq!(stops(Direction::AtOrAbove, -0.5), StopReason::Event { index: 0, time: 0.0, step: 0 });
    assert_eq!(stops(Direction::AtOrBelow, 0.0), StopReason::Event { index: 0, time: 0.0, step: 0 });
    assert_eq!(stops(Direction::Rising, -0.5), StopReason::EndTime);
    // sin t leaves zero upwards and comes back at π: that is no rise, but a fall.
    assert_eq!(stops(Direction::Rising, 0.0), StopReason::EndTime);
    for direction in [Direction::Falling, Direction::Either] {
        let StopReason::Event { time, .. } = stops(direction, 0.0) else { panic!() };
        assert!((time - std::f64::consts::PI).abs() < 1e-7, "{time}");
    }
}

#[test]
fn an_event_function_that_is_nan_is_an_error() {
    let at = |function: fn(f64, &Vec<f64>) -> f64| {
        let mut solution = sine(RungeKutta4::new(0.1).unwrap());
        Run::of(&mut solution).output(Output::EverySteps(1)).event(Direction::Either, function).to(5.0).unwrap_err()
    };
    let RunError::EventNotANumber { index: 0, time: 0.0, trajectory } = at(|_, _| f64::NAN) else { panic!() };
    assert_eq!((trajectory.times(), trajectory.stop_reason()), (&[0.0][..], StopReason::Failure { time: 0.0 }));
    let RunError::EventNotANumber { time, trajectory, .. } = at(|t, _| (0.55 - t).sqrt()) else { panic!() };
    assert!((time - 0.6).abs() < 1e-12 && trajectory.times().len() == 7);
    // The sign changes over a step, and there is none in between.
    let error = at(|t, _| {
        if t < 0.51 {
            -1.0
        } else if t > 0.59 {
            1.0
        } else {
            f64::NAN
        }
    });
    let RunError::EventNotANumber { time, .. } = error else { panic!() };
    assert!(0.51 < time && time < 0.59);
}

#[test]
fn observers_see_every_point_they_asked_for_and_may_stop_without_anything_recorded() {
    let mut seen = Vec::new();
    let mut steps = 0;
    let mut solution = sine(RungeKutta4::new(0.1).unwrap());
    let trajectory = Run::of(&mut solution)
        .observe(Output::Times(vec![0.0, 0.25, 0.31, 0.77]), |at| {
            seen.push((at.time(), at.state()[0]));
            ControlFlow::Continue(())
        })
        .observe(Output::EverySteps(2), |at| {
            steps += 1;
            assert!(at.process().step().t == at.time() && at.process().system().dimension() == 2);
            ControlFlow::Continue(())
        })
        .to(1.0)
        .unwrap();
    assert_eq!(trajectory.times(), [1.0]);
    assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [0.0, 0.25, 0.31, 0.77, 1.0]);
    assert!(seen.iter().all(|(t, y)| (y - t.sin()).abs() < 1e-5));
    assert_eq!(steps, 6, "start and five strides, the last of which is the end");

    let mut solution = sine(RungeKutta4::new(0.1).unwrap());
    let stop = Run::of(&mut solution).output(Output::Times(vec![0.2, 0.21, 0.28]));
    let stop = stop.observe(Output::Times(vec![0.25]), |_| ControlFlow::Break(())).to(1.0).unwrap();
    assert_eq!((stop.times(), stop.stop_reason()), (&[0.2, 0.21, 0.25][..], StopReason::Observer { time: 0.25 }));
    assert_eq!(solution.now(), 0.25);
    let end = Run::of(&mut solution).observe(Output::Stop, |_| ControlFlow::Break(())).to(1.0).unwrap();
    assert_eq!(end.stop_reason(), StopReason::EndTime, "at the end there is nothing left to stop");
}

/// y' = y², y(0) = 1, which fails above 4 and is not accepted above 3.
struct Explosion;
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("too large: {0}")]
struct TooLarge(f64);
impl System for Explosion {
    type Error = TooLarge;
    fn dimension(&self) -> usize {
        1
    }
    fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), TooLarge> {
        rates[0] = y[0] * y[0];
        if y[0] < 4.0 { Ok(()) } else { Err(TooLarge(y[0])) }
    }
    fn accepted(&mut self, _t: f64, y: &[f64]) -> Result<bool, TooLarge> {
        if y[0] < 3.0 { Ok(false) } else { Err(TooLarge(y[0])) }
    }
}

fn explode<I: Integrator + Clone>(integrator: &I) {
    let solution = || Integration::new(Explosion, integrator.clone(), 0.0, vec![1.0]);
    let mut failing = solution();
    let error = Run::of(&mut failing).output(Output::EverySteps(1)).to(2.0).unwrap_err();
    let RunError::Failed { time, source, trajectory } = &error else { panic!("{error}") };
    let IntegrationError::System(TooLarge(value)) = source else { panic!("{error}") };
    let (last, state) = trajectory.last().unwrap();
    assert!(*value >= 3.0 && state[0] < 3.0, "the state before the failed step: {state:?}");
    assert_eq!((last, trajectory.stop_reason()), (*time, StopReason::Failure { time: *time }));
    assert_eq!((failing.now(), failing.state()), (*time, state.clone()), "the process stands there too");
    assert_eq!(trajectory.work().accepted_steps + 1, trajectory.times().len() as u64);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), source.to_string());
    // An event within a step that fails does not make it good.
    let event = Run::of(&mut solution()).event(Direction::Rising, |t, _| t - (time + 1e-9)).to(2.0);
    assert!(matches!(event, Err(RunError::Failed { .. })));
}

#[test]
fn a_failed_step_leaves_time_and_state_of_before() {
    explode(&Euler::new(0.05).unwrap());
    explode(&RungeKutta4::new(0.05).unwrap());
    explode(&DormandPrince::default());
    // Both ways of failing: in the evaluation, and at the state reached.
    explode(&Euler::new(0.3).unwrap());
    explode(&RungeKutta4::new(0.3).unwrap());
}

#[test]
fn a_start_that_fails_or_does_not_fit_is_a_failed_run_with_the_start_recorded() {
    let mut solution = Integration::new(Explosion, DormandPrince::default(), 0.5, vec![5.0]);
    let Err(RunError::Failed { time: 0.5, trajectory, .. }) = Run::of(&mut solution).to(2.0) else { panic!() };
    assert_eq!((trajectory.times(), trajectory.states()), (&[0.5][..], &[vec![5.0]][..]));
    let mut solution = Integration::new(Explosion, DormandPrince::default(), 0.5, vec![1.0, 2.0]);
    let Err(RunError::Failed { source, .. }) = Run::of(&mut solution).to(2.0) else { panic!() };
    assert_eq!(source, IntegrationError::Length { dimension: 1, length: 2 });
}

#[test]
fn a_step_limit_halts_with_what_there_is() {
    let mut solution = sine(Euler::new(0.01).unwrap());
    let limited = Run::of(&mut solution).output(Output::EverySteps(1)).step_limit(5).to(1.0);
    let Err(RunError::StepLimit { steps: 5, time, trajectory }) = limited else { panic!() };
    assert!((time - 0.05).abs() < 1e-12 && trajectory.times().len() == 6);
    assert!(matches!(trajectory.stop_reason(), StopReason::Failure { .. }));
}

#[test]
fn settings_are_checked_when_the_run_starts() {
    let run =
        |set: fn(Run<'_, Integration<f64, Oscillator, Euler>>) -> Run<'_, Integration<f64, Oscillator, Euler>>| {
            set(Run::of(&mut sine(Euler::new(0.1).unwrap()))).to(1.0).unwrap_err()
        };
    assert!(matches!(run(|r| r.steady_rate(f64::NAN)), RunError::Setting { name: "steady rate", .. }));
    assert!(matches!(run(|r| r.steady_rate(-1.0)), RunError::Setting { name: "steady rate", .. }));
    assert!(matches!(run(|r| r.steady_window(0.0)), RunError::Setting { name: "steady window", .. }));
    assert!(matches!(run(|r| r.check_every(0)), RunError::Setting { .. }));
    let outside = run(|r| r.output(Output::Times(vec![2.0])));
    assert!(matches!(outside, RunError::Output(OutputError::OutsideRun { .. })));
    let observer = run(|r| r.observe(Output::EverySteps(0), |_| ControlFlow::Continue(())));
    assert!(matches!(observer, RunError::Output(OutputError::Count { .. })));
    assert!(outside.trajectory().is_none());
}

/// A clock of equal steps, 10 to a unit of time, whose state is a function of the step.
struct Clock {
    steps: u64,
    state: fn(u64) -> f64,
    /// The step that fails.
    broken: u64,
}

impl Clock {
    fn new(state: fn(u64) -> f64) -> Self {
        Self { steps: 0, state, broken: u64::MAX }
    }
}

impl Process for Clock {
    type Scalar = f64;
    type State = f64;
    type Error = u64;
    fn now(&self) -> f64 {
        self.steps as f64 / 10.0
    }
    fn state(&self) -> f64 {
        (self.state)(self.steps)
    }
    fn work(&self) -> Work {
        Work::of_steps(self.steps)
    }
    fn advance(&mut self, _until: f64) -> Result<(), u64> {
        if self.steps + 1 == self.broken {
            return Err(self.broken);
        }
        self.steps += 1;
        Ok(())
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    fn steps_until(&self, t: f64) -> Option<i64> {
        Some((t * 10.0).round() as i64 - self.steps as i64)
    }
    fn numbers(&self, state: &f64) -> Vec<f64> {
        vec![*state]
    }
}

#[test]
fn times_are_rounded_to_equal_steps_and_a_run_of_less_than_half_a_step_says_so() {
    let mut clock = Clock::new(|step| step as f64);
    let none = Run::of(&mut clock).to(0.04).unwrap();
    assert_eq!((none.stop_reason(), none.times()), (StopReason::NoStep, &[0.0][..]));
    assert_eq!(none.work(), Work::default());
    let output = Output::Times(vec![0.0, 0.11, 0.12, 0.33, 0.96]);
    let trajectory = Run::of(&mut clock).output(output).to(0.96).unwrap();
    assert_eq!(trajectory.times(), [0.0, 0.1, 0.3, 1.0]);
    assert_eq!((trajectory.stop_reason(), trajectory.work().accepted_steps), (StopReason::EndTime, 10));
    // Again to a time that rounds to the present step: harmless, also where it is a little before now.
    for end in [1.0, 0.96, 1.04] {
        let again = Run::of(&mut clock).output(Output::EverySteps(3)).to(end).unwrap();
        assert_eq!((again.times(), again.stop_reason()), (&[1.0][..], StopReason::NoStep));
    }
    assert!(matches!(Run::of(&mut clock).to(0.9), Err(RunError::Output(OutputError::EmptyRun { .. }))));
    let more = Run::of(&mut clock).output(Output::EverySteps(4)).to(2.0).unwrap();
    assert_eq!((more.times(), more.work().accepted_steps), (&[1.0, 1.4, 1.8, 2.0][..], 10));
    // So it is where steps can end at any time.
    let mut solution = sine(DormandPrince::default());
    assert_eq!(Run::of(&mut solution).to(0.0).unwrap().stop_reason(), StopReason::NoStep);
}

#[test]
fn an_event_without_dense_output_happens_at_the_first_step_that_is_looked_at() {
    let stops = |every: u64, end: f64| {
        let mut clock = Clock::new(|step| step as f64);
        let run = Run::of(&mut clock).event(Direction::AtOrAbove, |_, x| x - 12.5).check_every(every);
        (run.to(end).unwrap().stop_reason(), clock.steps)
    };
    assert_eq!(stops(1, 100.0), (StopReason::Event { index: 0, time: 1.3, step: 13 }, 13));
    assert_eq!(stops(5, 100.0), (StopReason::Event { index: 0, time: 1.5, step: 15 }, 15));
    assert_eq!(stops(50, 1.7), (StopReason::Event { index: 0, time: 1.7, step: 17 }, 17), "the last step is looked at");
    assert_eq!(stops(1, 1.2).0, StopReason::EndTime);
}

#[test]
fn the_state_between_records_is_asked_for_only_if_something_needs_it() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let count = |set: fn(Run<'_, Clock>) -> Run<'_, Clock>| {
        let mut clock = Clock::new(|step| {
            ASKED.fetch_add(1, Ordering::Relaxed);
            step as f64
        });
        ASKED.store(0, Ordering::Relaxed);
        set(Run::of(&mut clock)).to(100.0).unwrap();
        ASKED.load(Ordering::Relaxed)
    };
    assert_eq!(count(|run| run), 1);
    assert_eq!(count(|run| run.output(Output::EverySteps(100))), 11);
    assert_eq!(count(|run| run.observe(Output::EverySteps(1), |_| ControlFlow::Continue(()))), 1);
    assert_eq!(
        count(|run| run.event(Direction::Rising, |_, x| x - 1e9).check_every(100)),
        12,
        "the start, ten checks, the end"
    );
}

#[test]
fn a_state_of_unknown_rate_is_steady_when_its_averages_are() {
    // Relaxation with rate 1 per unit of time to 2, and noise of amplitude 1 that never rests.
    let mut clock = Clock::new(|step| 2.0 - 2.0 * (-0.1 * step as f64).exp() + if step % 2 == 0 { 1.0 } else { -1.0 });
    let steady = Run::of(&mut clock).steady_rate(1e-3).to(100.0).unwrap();
    let StopReason::SteadyState { time, rate } = steady.stop_reason() else { panic!() };
    // The means over (t − 1, t) and (t − 2, t − 1) differ by 2 (e − 1)² e^(−t): below 1e-3 from t = 8.68 on.
    assert!(time == 9.0 && rate <= 1e-3, "{time} {rate}");
    let mut clock = Clock::new(|step| step as f64);
    assert_eq!(
        Run::of(&mut clock).steady_rate(1.0).steady_window(5.0).to(100.0).unwrap().stop_reason(),
        StopReason::EndTime
    );
}

#[test]
fn a_broken_clock_reports_the_step_before() {
    let mut clock = Clock { broken: 7, ..Clock::new(|step| step as f64) };
    let Err(RunError::Failed { time: 0.6, source: 7, trajectory }) = Run::of(&mut clock).to(3.0) else { panic!() };
    assert_eq!((trajectory.times(), trajectory.states()), (&[0.6][..], &[6.0][..]));
    assert_eq!(trajectory.work().accepted_steps, 6);
}

/// Something whose steps take it nowhere.
struct Stuck;
impl Process for Stuck {
    type Scalar = f64;
    type State = ();
    type Error = Infallible;
    fn now(&self) -> f64 {
        1.0
    }
    fn state(&self) {}
    fn work(&self) -> Work {
        Work::default()
    }
    fn advance(&mut self, _until: f64) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_process_that_does_not_move_or_does_not_tell_its_numbers_is_an_error_and_no_loop() {
    assert!(matches!(Run::of(&mut Stuck).to(2.0), Err(RunError::NotAdvancing { time: 1.0, .. })));
    assert!(matches!(Run::of(&mut Stuck).steady_rate(0.1).to(2.0), Err(RunError::SteadyUnknown)));
}

/// Replicates that count, each at a pace of its own; number 1 fails at step 5.
struct Lanes {
    steps: u64,
}
impl Lockstep for Lanes {
    type Scalar = f64;
    type State = f64;
    type Error = &'static str;
    fn replicates(&self) -> usize {
        3
    }
    fn time_of(&self, replicate: usize) -> f64 {
        (if replicate == 1 { self.steps.min(4) } else { self.steps }) as f64
    }
    fn state_of(&self, replicate: usize) -> f64 {
        self.time_of(replicate) * (replicate as f64 + 1.0)
    }
    fn work_of(&self, replicate: usize) -> Work {
        Work::of_steps(if replicate == 1 { self.steps.min(4) } else { self.steps })
    }
    fn advance_all(&mut self, _until: f64, failed: &mut impl FnMut(usize, &'static str)) {
        self.steps += 1;
        if self.steps == 5 {
            failed(1, "broken");
        }
    }
    fn prepare_all(&mut self, failed: &mut impl FnMut(usize, &'static str)) {
        if self.steps >= 5 {
            failed(1, "still broken");
        }
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    fn steps_to(&self, t: f64) -> Option<i64> {
        Some(t.round() as i64 - self.steps as i64)
    }
}

#[test]
fn replicates_in_lock_step_have_events_and_failures_of_their_own() {
    let mut lanes = Lanes { steps: 0 };
    let run = Run::of(&mut lanes).output(Output::EverySteps(2)).event(Direction::Rising, |_, x| x - 20.5);
    let outcomes = run.each_to(8.0).unwrap();
    let [first, second, third] = &outcomes[..] else { panic!() };
    let first = first.as_ref().unwrap();
    assert_eq!((first.times(), first.stop_reason()), (&[0.0, 2.0, 4.0, 6.0, 8.0][..], StopReason::EndTime));
    let Err(RunError::Failed { time: 4.0, source: "broken", trajectory }) = second else { panic!() };
    assert_eq!((trajectory.times(), trajectory.work().accepted_steps), (&[0.0, 2.0, 4.0][..], 4));
    let third = third.as_ref().unwrap();
    assert_eq!(third.stop_reason(), StopReason::Event { index: 0, time: 7.0, step: 7 });
    assert_eq!((third.times(), third.work().accepted_steps), (&[0.0, 2.0, 4.0, 6.0, 7.0][..], 7));

    let again = Run::of(&mut lanes).each_to(10.0).unwrap();
    assert_eq!(again[0].as_ref().unwrap().states(), [10.0]);
    let Err(RunError::Failed { time: 4.0, source: "still broken", trajectory }) = &again[1] else { panic!() };
    assert_eq!((trajectory.times(), trajectory.work().accepted_steps), (&[4.0][..], 0));
    let mut seen = Vec::new();
    let watched = Run::of(&mut lanes).observe(Output::EverySteps(1), |at| {
        seen.push((at.time(), at.replicate(0), at.replicate(2)));
        if at.time() == 12.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let watched = watched.each_to(20.0).unwrap();
    assert_eq!(watched[2].as_ref().unwrap().stop_reason(), StopReason::Observer { time: 12.0 });
    assert_eq!(seen, [(10.0, 10.0, 30.0), (11.0, 11.0, 33.0), (12.0, 12.0, 36.0)]);
}
