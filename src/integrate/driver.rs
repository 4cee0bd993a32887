//! The loop around an integrator: output times, events, steady states, step limit.

use crate::Scalar;
use crate::integrate::{Integrator, Schedule, Step, StepError, System};

/// A function of (t, y) whose zero crossing stops a run.
pub(crate) type EventFunction<'a, T> = dyn Fn(T, &[T]) -> T + 'a;

/// What a run is asked for.
pub(crate) struct Drive<'a, T> {
    pub(crate) end: T,
    pub(crate) schedule: Schedule<T>,
    /// Stop when every |dy/dt| is below this.
    pub(crate) steady_rate: Option<T>,
    pub(crate) events: &'a [Box<EventFunction<'a, T>>],
    pub(crate) most_steps: u64,
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Halt<T, E> {
    EndTime,
    SteadyState { rate: T },
    Event { index: usize },
    StepLimit,
    Failed(StepError<E>),
}

/// Runs from (t0, y0) to the end, an event, a steady state or a failure. `record` gets every output in order, the
/// point at which the run halts last. Returns why it halted, the time, and the integrator's state with its counters.
pub(crate) fn drive<T: Scalar, S: System<T>, I: Integrator<T>>(
    system: &mut S,
    integrator: &I,
    (t0, y0): (T, Vec<T>),
    plan: &Drive<'_, T>,
    mut record: impl FnMut(T, &[T]),
) -> (Halt<T, S::Error>, T, Step<T>) {
    let mut rates = vec![T::zero(); y0.len()];
    if let Err(error) = system.rates(t0, &y0, &mut rates) {
        return (Halt::Failed(error.into()), t0, Step::new(t0, y0, rates));
    }
    let mut step = Step::new(t0, y0, rates);
    let mut values: Vec<T> = plan.events.iter().map(|event| event(t0, &step.y)).collect();
    let mut point = step.y.clone();
    let mut next = 0;
    match &plan.schedule {
        Schedule::EverySteps(_) => record(t0, &step.y),
        Schedule::Times(times) => {
            while next < times.len() && times[next] <= t0 {
                record(times[next], &step.y);
                next += 1;
            }
        }
    }
    loop {
        let rate = step.rates.iter().fold(T::zero(), |m, f| m.max(f.abs()));
        if plan.steady_rate.is_some_and(|steady| rate <= steady) {
            record(step.t, &step.y);
            return (Halt::SteadyState { rate }, step.t, step);
        }
        if step.t >= plan.end {
            record(step.t, &step.y);
            return (Halt::EndTime, step.t, step);
        }
        if step.work.accepted_steps >= plan.most_steps {
            record(step.t, &step.y);
            return (Halt::StepLimit, step.t, step);
        }
        if let Err(error) = integrator.step(system, &mut step, plan.end) {
            record(step.t, &step.y);
            return (Halt::Failed(error), step.t, step);
        }
        let crossing = first_crossing(plan.events, &step, &mut values, &mut point);
        let until = crossing.map_or(step.t, |(_, t)| t);
        if let Schedule::Times(times) = &plan.schedule {
            while next < times.len() && times[next] <= until {
                step.interpolate(times[next], &mut point);
                record(times[next], &point);
                next += 1;
            }
        }
        if let Some((index, t)) = crossing {
            step.interpolate(t, &mut point);
            record(t, &point);
            return (Halt::Event { index }, t, step);
        }
        if let Schedule::EverySteps(stride) = plan.schedule
            && step.work.accepted_steps % stride as u64 == 0
        {
            record(step.t, &step.y);
        }
        let outcome = system.accepted(step.t, &step.y).and_then(|changed| {
            if changed {
                step.work.right_hand_sides += 1;
                system.rates(step.t, &step.y, &mut step.rates)?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            record(step.t, &step.y);
            return (Halt::Failed(error.into()), step.t, step);
        }
    }
}

/// The first zero crossing of an event in the last step, on its dense output.
fn first_crossing<T: Scalar>(
    events: &[Box<EventFunction<'_, T>>],
    step: &Step<T>,
    values: &mut [T],
    point: &mut [T],
) -> Option<(usize, T)> {
    let mut first: Option<(usize, T)> = None;
    for (index, (event, value)) in events.iter().zip(values).enumerate() {
        let (before, after) = (*value, event(step.t, &step.y));
        *value = after;
        let crossed = (before < T::zero() && after >= T::zero()) || (before > T::zero() && after <= T::zero());
        if !crossed {
            continue;
        }
        // Bisection to the last bit of t: the event may be any function, and is cheap beside a right-hand side.
        let (mut low, mut high) = (step.previous_t, step.t);
        loop {
            let middle = low + (high - low) * T::lit(0.5);
            if !(middle > low && middle < high) {
                break;
            }
            step.interpolate(middle, point);
            let same_side = (event(middle, point) > T::zero()) == (before > T::zero());
            if same_side && event(middle, point) != T::zero() { low = middle } else { high = middle }
        }
        if first.is_none_or(|(_, t)| high < t) {
            first = Some((index, high));
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrate::{DormandPrince, Euler, Output, RungeKutta4};

    /// y'' = −y, started at (0, 1): y = sin t.
    struct Oscillator;
    impl System for Oscillator {
        type Error = ();
        fn dimension(&self) -> usize {
            2
        }
        fn rates(&mut self, _t: f64, y: &[f64], rates: &mut [f64]) -> Result<(), ()> {
            rates[0] = y[1];
            rates[1] = -y[0];
            Ok(())
        }
    }

    fn run(
        integrator: &impl Integrator,
        end: f64,
        output: &Output,
        events: &[Box<EventFunction<'_, f64>>],
    ) -> (Halt<f64, ()>, Vec<(f64, Vec<f64>)>, Step) {
        let schedule = output.schedule(0.0, end).unwrap();
        let plan = Drive { end, schedule, steady_rate: None, events, most_steps: 1_000_000 };
        let mut records = Vec::new();
        let (halt, _, step) = drive(&mut Oscillator, integrator, (0.0, vec![0.0, 1.0]), &plan, |t, y| {
            records.push((t, y.to_vec()));
        });
        (halt, records, step)
    }

    /// Slope of log error against log step size.
    fn measured_order(errors: &[(f64, f64)]) -> f64 {
        let n = errors.len() as f64;
        let (x, y): (Vec<f64>, Vec<f64>) = errors.iter().map(|(h, e)| (h.ln(), e.ln())).unzip();
        let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
        let top: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
        top / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
    }

    fn fixed_order<I: Integrator>(make: impl Fn(f64) -> I, sizes: &[f64]) -> (f64, f64) {
        let mut ends = Vec::new();
        let mut inside = Vec::new();
        for &size in sizes {
            // Times that fall inside steps: the dense output is measured too.
            let times: Vec<f64> = (1..40).map(|k| 0.05 * f64::from(k) + 0.017).collect();
            let (_, records, _) = run(&make(size), 2.0, &Output::Times(times), &[]);
            let error = |(t, y): &(f64, Vec<f64>)| (y[0] - t.sin()).abs();
            ends.push((size, error(records.last().unwrap())));
            inside.push((size, records.iter().map(error).fold(0.0, f64::max)));
        }
        (measured_order(&ends), measured_order(&inside))
    }

    #[test]
    fn integrators_have_their_order_at_steps_and_between() {
        let sizes: Vec<f64> = (4..9).map(|k| 2.0 / f64::from(1 << k)).collect();
        let (end, inside) = fixed_order(|h| Euler::new(h).unwrap(), &sizes);
        assert!((end - 1.0).abs() < 0.1 && (inside - 1.0).abs() < 0.1, "Euler {end} {inside}");
        let (end, inside) = fixed_order(|h| RungeKutta4::new(h).unwrap(), &sizes);
        assert!((end - 4.0).abs() < 0.15 && (inside - 4.0).abs() < 0.25, "Runge-Kutta {end} {inside}");
        // Tolerances so loose that every step has the largest size allowed.
        let loose = |h| DormandPrince::new(1e6, 1e6).unwrap().largest_step(h).unwrap();
        let (end, inside) = fixed_order(loose, &sizes[..4]);
        assert!((end - 5.0).abs() < 0.2, "Dormand-Prince {end}");
        assert!(inside > 3.9, "Dormand-Prince between steps {inside}");
    }

    #[test]
    fn adaptive_error_follows_the_tolerance_and_work_is_counted() {
        for tolerance in [1e-4, 1e-6, 1e-8, 1e-10] {
            let method = DormandPrince::new(tolerance, tolerance).unwrap();
            let (halt, records, step) = run(&method, 10.0, &Output::Stop, &[]);
            assert_eq!(halt, Halt::EndTime);
            assert_eq!(records.len(), 1);
            let error = (records[0].1[0] - 10_f64.sin()).abs();
            assert!(error < 20.0 * tolerance, "{tolerance}: {error}");
            let work = step.work;
            assert_eq!(work.right_hand_sides, 2 + 6 * (work.accepted_steps + work.rejected_steps));
        }
    }

    #[test]
    fn events_are_located_on_the_dense_output() {
        let event: Box<EventFunction<'_, f64>> = Box::new(|_, y| y[0] - 0.5);
        let (halt, records, _) =
            run(&DormandPrince::new(1e-11, 1e-11).unwrap(), 10.0, &Output::EverySteps(1), &[event]);
        assert_eq!(halt, Halt::Event { index: 0 });
        let (t, y) = records.last().unwrap();
        assert!((t - std::f64::consts::FRAC_PI_6).abs() < 1e-9, "{t}");
        assert!((y[0] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn outputs_are_where_they_were_asked_for() {
        let times = vec![0.0, 0.3, 1.7, 2.0];
        let (_, records, _) = run(&DormandPrince::default(), 3.0, &Output::Times(times.clone()), &[]);
        let got: Vec<f64> = records.iter().map(|r| r.0).collect();
        assert_eq!(got[..4], times[..]);
        assert_eq!(got[4], 3.0);
        let (_, records, step) = run(&RungeKutta4::new(0.1).unwrap(), 1.0, &Output::EverySteps(3), &[]);
        assert_eq!(step.work.accepted_steps, 10);
        assert_eq!(records.len(), 5, "start, three strides, end");
    }

    #[test]
    fn a_step_limit_halts_with_what_there_is() {
        let schedule = Output::EverySteps(1).schedule(0.0, 1.0).unwrap();
        let plan = Drive { end: 1.0, schedule, steady_rate: None, events: &[], most_steps: 5 };
        let mut count = 0;
        let method = Euler::new(0.01).unwrap();
        let (halt, t, _) = drive(&mut Oscillator, &method, (0.0, vec![0.0, 1.0]), &plan, |_, _| count += 1);
        assert_eq!(halt, Halt::StepLimit);
        assert!((t - 0.05).abs() < 1e-12 && count == 7);
    }

    #[test]
    fn parameters_out_of_range_are_rejected() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Euler::new(bad).is_err() && RungeKutta4::new(bad).is_err());
            assert!(DormandPrince::new(bad, 1e-8).is_err() && DormandPrince::new(1e-8, bad).is_err());
            assert!(DormandPrince::<f64>::default().largest_step(bad).is_err());
        }
    }
}
