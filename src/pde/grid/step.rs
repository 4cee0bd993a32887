//! One step of a grid: substeps on both meshes, their extrapolation in time, and cells that follow the densities.

use nalgebra::DMatrix;

use crate::integrate::Work;
use crate::model::Spec;
use crate::numerics::largest::largest;
use crate::pde::grid::drift::GridDrift;
use crate::pde::grid::mesh::{Mesh, Meshes};
use crate::pde::grid::operator::{Room, extrapolate, extrapolation};
use crate::pde::grid::{GridFailure, GridSolver};
use crate::pde::step_size::{LEAST_FACTOR, SAFETY, SLIVER};
use crate::start::FeatureNodes;
use crate::state::OrderParameters;

/// Mass given any node that may lie within the outermost part of the cells; with more there, cells are added.
const MASS_AT_EDGE: f64 = 1e-14;
/// The part of the cells that is.
const EDGE_PART: usize = 32;

/// A step that was made smaller so often has an error that does not fall with its size.
const MOST_REJECTIONS: u32 = 40;
/// The first step of adaptive ones is at most so long.
const FIRST_STEP: f64 = 0.01;
/// From one step to the next the size grows at most by that factor.
const MOST_GROWTH: f64 = 3.0;

/// The least standard deviation given u, in units of h, with which a grid may start.
pub(super) const NARROWEST: f64 = 1.5;
/// A density of so many cells in a standard deviation is resolved: with more at the start cells are not halved before there are two
/// thirds of that, and with less they are not doubled before there are three times as many.
const RESOLVED: f64 = 40.0;
/// Cells are halved where the narrowest density has shrunk by this factor, and doubled where it has grown by the other.
const HALVED_BELOW: f64 = 1.0 / 1.5;
const DOUBLED_ABOVE: f64 = 3.0;
/// And where the error in space is below this part of the tolerance: of twice the width it is four times as large.
const DOUBLED_ERROR: f64 = 0.1;

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum StepSize {
    Fixed { size: f64 },
    Adaptive { tolerance: f64 },
}

/// The steps of one mesh in 1, 2, ..., L substeps.
#[derive(Debug, Clone)]
pub(super) struct Levels {
    masses: Vec<Vec<f64>>,
    flows: Vec<f64>,
    room: Room,
}

impl Levels {
    pub(super) fn new(orders: usize) -> Self {
        Self { masses: vec![Vec::new(); orders], flows: Vec::new(), room: Room::default() }
    }

    /// The order in time.
    pub(super) fn orders(&self) -> usize {
        self.masses.len()
    }

    /// Steps of that size from `mesh` at that time.
    fn step<M: Spec<Scalar = f64>>(
        &mut self,
        mesh: &Mesh,
        (time, size): (f64, f64),
        (drift, nodes): (&mut GridDrift<'_, M>, &FeatureNodes),
        work: &mut Work,
    ) -> Result<(), GridFailure> {
        let first = drift.at(time, nodes, mesh.moments(nodes), work)?;
        for (level, masses) in self.masses.iter_mut().enumerate() {
            let mut stage = Mesh { cells: mesh.cells, masses: std::mem::take(masses) };
            stage.masses.clone_from(&mesh.masses);
            let dt = size / (level + 1) as f64;
            self.room.implicit_euler(mesh.cells, &first, dt, &mut stage.masses);
            for done in 1..=level {
                let generator = drift.at(time + done as f64 * dt, nodes, stage.moments(nodes), work)?;
                self.room.implicit_euler(mesh.cells, &generator, dt, &mut stage.masses);
            }
            *masses = stage.masses;
        }
        Ok(())
    }

    /// Extrapolates all but the first `without` of them.
    fn extrapolated(&mut self, mesh: &Mesh, without: usize) -> Mesh {
        let orders = self.orders();
        let mut masses = self.masses[orders - 1].clone();
        let weights = extrapolation(without + 1, orders);
        extrapolate(mesh.cells, &weights, &self.masses[without..], &mut self.flows, &mut masses);
        Mesh { cells: mesh.cells, masses }
    }
}

impl<M: Spec<Scalar = f64>> GridSolver<'_, M> {
    /// Room for the present cells.
    pub(super) fn resize(&mut self) {
        let meshes = [&self.meshes.fine, &self.meshes.coarse];
        for (levels, mesh) in self.levels.iter_mut().zip(meshes) {
            levels.room.resize(mesh.cells, |w| self.drift.bent(w));
        }
    }

    /// Tries a step: both meshes after it, and the estimated error in time of one order less; NaN if one is.
    fn attempt(&mut self, size: f64) -> Result<(Meshes, f64), GridFailure> {
        let Self { levels, meshes, drift, nodes, work, time, .. } = self;
        let mut of = |levels: &mut Levels, mesh: &Mesh| -> Result<(Mesh, f64), GridFailure> {
            levels.step(mesh, (*time, size), (&mut *drift, nodes), work)?;
            let (best, second) = (levels.extrapolated(mesh, 0), levels.extrapolated(mesh, 1));
            let error = best.distance(&second, nodes);
            Ok((best, error))
        };
        let [fine_levels, coarse_levels] = levels;
        let (fine, error) = of(fine_levels, &meshes.fine)?;
        let (coarse, coarse_error) = of(coarse_levels, &meshes.coarse)?;
        Ok((Meshes { fine, coarse }, largest([error, coarse_error])))
    }

    /// Takes one step, of the size that was set or that the tolerance allows.
    ///
    /// # Errors
    /// [`GridFailure`]; the densities then stay as they are.
    pub fn step(&mut self) -> Result<(), GridFailure> {
        self.step_until(None)
    }

    /// Takes one step, to the time `until` at most.
    pub(super) fn step_until(&mut self, until: Option<f64>) -> Result<(), GridFailure> {
        let until = match (until, self.drift.next_break(self.time)) {
            (Some(until), Some(next)) => Some(until.min(next)),
            (until, next) => until.or(next),
        };
        let mut size = match self.size {
            StepSize::Fixed { size } => size,
            StepSize::Adaptive { .. } if self.next_size > 0.0 => self.next_size,
            StepSize::Adaptive { tolerance } => tolerance.sqrt().min(FIRST_STEP),
        };
        let mut rejected = 0;
        loop {
            let proposed = size;
            let rest = until.map(|until| until - self.time).filter(|rest| *rest <= size * (1.0 + SLIVER));
            size = rest.unwrap_or(size);
            if !(self.time + size > self.time) {
                return Err(GridFailure::StepTooSmall);
            }
            let (meshes, error) = self.attempt(size)?;
            let mut factor = 1.0;
            if let StepSize::Adaptive { tolerance } = self.size {
                let ratio = error / tolerance;
                factor = (SAFETY / ratio.powf(1.0 / self.levels[0].orders() as f64)).clamp(LEAST_FACTOR, MOST_GROWTH);
                if !(ratio <= 1.0) {
                    self.work.rejected_steps += 1;
                    rejected += 1;
                    if rejected > MOST_REJECTIONS {
                        return Err(GridFailure::StepTooSmall);
                    }
                    size *= if ratio.is_finite() { factor } else { LEAST_FACTOR };
                    continue;
                }
            } else if !error.is_finite() {
                return Err(GridFailure::StepTooSmall);
            }
            let margin = (self.meshes.coarse.cells.count / EDGE_PART).max(2);
            let near = meshes.mass_near_ends(margin);
            if near.iter().any(|&mass| mass > MASS_AT_EDGE) {
                self.grow(near)?;
                size = proposed;
                continue;
            }
            let time = match (rest, until) {
                (Some(_), Some(until)) => until,
                _ => self.time + size,
            };
            self.accept(meshes, time)?;
            // A step cut short says little about what the next one may be.
            self.next_size = if rest.is_some() { proposed.max(size * factor) } else { size * factor };
            self.error += error;
            self.time = time;
            return Ok(());
        }
    }

    /// Adds a quarter of the cells at each end near which there is mass.
    fn grow(&mut self, near: [f64; 2]) -> Result<(), GridFailure> {
        let count = self.meshes.coarse.cells.count;
        let added = near.map(|mass| if mass > MASS_AT_EDGE { count / 4 + 4 } else { 0 });
        self.check_cells(2 * (count + added[0] + added[1]) - 1)?;
        let mut meshes = self.meshes.clone();
        meshes.grow(added);
        self.drift.check_regularizer(&meshes)?;
        self.meshes = meshes;
        self.resize();
        Ok(())
    }

    /// Whether so many fine cells are allowed.
    fn check_cells(&self, count: usize) -> Result<(), GridFailure> {
        let cells = count.saturating_mul(self.nodes.weights.len());
        let most = self.most_cells;
        if cells > most { Err(GridFailure::Cells { cells: cells as f64, most }) } else { Ok(()) }
    }

    /// The same densities on cells that resolve them: halved where their error is too large or the narrowest density too narrow,
    /// doubled where neither is near.
    fn followed(&self, mut meshes: Meshes) -> Result<Meshes, GridFailure> {
        if self.space_tolerance == f64::INFINITY {
            return Ok(meshes);
        }
        let kinked = self.drift.is_kinked();
        let (halved_below, doubled_above) =
            (HALVED_BELOW * self.resolution.min(RESOLVED), DOUBLED_ABOVE * self.resolution.max(RESOLVED));
        loop {
            let (node, deviation) = meshes.narrowest();
            let width = meshes.fine.cells.width;
            if !(deviation > 0.0) {
                return Err(GridFailure::Unresolved { node, deviation, width });
            }
            let error = meshes.space_error(&self.nodes);
            if deviation < halved_below * width || error > self.space_tolerance {
                self.check_cells(2 * meshes.fine.occupied() + 8)?;
                meshes = meshes.halved(kinked);
            } else if deviation > doubled_above * width && error < DOUBLED_ERROR * self.space_tolerance {
                meshes = meshes.doubled();
            } else {
                return Ok(meshes);
            }
        }
    }

    /// Takes the meshes over at that time, unless they are not acceptable.
    fn accept(&mut self, meshes: Meshes, time: f64) -> Result<(), GridFailure> {
        let meshes = self.followed(meshes)?;
        let same = (self.meshes.fine.cells, self.meshes.coarse.cells) == (meshes.fine.cells, meshes.coarse.cells);
        if !same {
            self.drift.check_regularizer(&meshes)?;
        }
        let (q, r) = meshes.moments(&self.nodes);
        let state = OrderParameters::from_parts(q, DMatrix::from_element(1, 1, r));
        if !self.drift.resolves(&state, time)? {
            self.drift.choose_rule(&state, time)?;
            self.work.rule_refinements += 1;
        }
        self.meshes = meshes;
        self.state = state;
        if !same {
            self.resize();
        }
        self.work.accepted_steps += 1;
        Ok(())
    }
}
