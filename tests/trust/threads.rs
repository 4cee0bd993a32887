//! What may go to another thread, and be used by several at once. That it compiles is the test.

use contrastive_dynamics::control::{Adjoint, Control, Gradient, Objective, Optimum, TimeGrid};
use contrastive_dynamics::data::{Cell, DataError, Table};
use contrastive_dynamics::ensemble::{Ensemble, EnsembleError, Replicate, Statistics, Summary};
use contrastive_dynamics::fluctuation::{FluctuationPath, Fluctuations};
use contrastive_dynamics::integrate::{DormandPrince, Euler, Output, RungeKutta4, Step, Work};
use contrastive_dynamics::limit::{Coefficients, Limit, Parameter, Rule};
use contrastive_dynamics::model::{
    BarlowTwins, CorrelatedSigns, CovarianceLoss, Discrete, ElasticNet, GaussianNoise, Independent, InfoNce, Law,
    Masking, Model, ModelError, Polynomial, RademacherNoise, Schedule, Schedules, SpectralContrastive, Tanh, VicReg,
};
use contrastive_dynamics::ode::{OdeError, ReducedOde};
use contrastive_dynamics::parallel::{Cancel, Local};
use contrastive_dynamics::pde::grid::GridDensity;
use contrastive_dynamics::pde::observables::{Histogram, Marginal};
use contrastive_dynamics::rand::rngs::StdRng;
use contrastive_dynamics::random::LaneRng;
use contrastive_dynamics::save::{Fingerprint, SaveError};
use contrastive_dynamics::sgd::{CompressedSgd, DirectSgd, ProjectedChain, ProjectedLanes, SgdError};
use contrastive_dynamics::stability::{
    AttractionRegions, Branch, Continuation, FixedPoint, FixedPoints, Learnability, PhaseDiagram, RegionMap, Selection,
};
use contrastive_dynamics::start::Features;
use contrastive_dynamics::state::{OrderParameters, OrderParametersError, StopReason, Trajectory};
use contrastive_dynamics::{Error, Scalar};

type Common<T> = Model<T, Tanh, Independent<Law<T>>, GaussianNoise<T>>;

fn send<T: Send>() {}
fn shared<T: Send + Sync>() {}

macro_rules! all {
    ($check:ident: $($type:ty),* $(,)?) => { $($check::<$type>();)* };
}

fn of_precision<T: Scalar + contrastive_dynamics::limit::Compiled>() {
    all!(shared: Common<T>, Law<T>, Discrete<T>, CorrelatedSigns<T>, RademacherNoise<T>, Masking<T>, Polynomial<T>);
    all!(shared: CovarianceLoss<contrastive_dynamics::model::Quadratic, T>, BarlowTwins<T>, VicReg<T>, InfoNce<T>, ElasticNet<T>);
    all!(shared: OrderParameters<T>, Trajectory<T>, StopReason<T>, Output<T>, Step<T>, Features<T>, Summary<T>);
    all!(shared: Coefficients<T>, Limit<'static, T>, Rule<T>, ReducedOde<'static, T>, OdeError<T>, Error<T>);
    all!(shared: FixedPoint<T>, FixedPoints<T>, Learnability<T>, PhaseDiagram<T>, RegionMap<T>, Selection<T>, Branch<T>);
    all!(shared: AttractionRegions<'static, T>, Continuation<T>, FluctuationPath<T>, Gradient<T>, Optimum<T>);
    all!(shared: EnsembleError<SgdError<T>, T>, DormandPrince<T>, Euler<T>, RungeKutta4<T>);
}

#[test]
fn values_may_go_to_other_threads() {
    of_precision::<f64>();
    of_precision::<f32>();
    all!(shared: Schedule, Schedules, SpectralContrastive, Control, TimeGrid, Parameter, ModelError, Ensemble, Replicate);
    all!(shared: Statistics, Work, Table, Cell, DataError, GridDensity, Histogram, Marginal, LaneRng, Fingerprint);
    all!(shared: SaveError, OrderParametersError, Cancel, Local, Fluctuations<'static, 'static>);
    all!(shared: Adjoint<'static, 'static>);
    // They hold closures of the user, or scratch space.
    all!(send: ProjectedChain<'static, Common<f64>, StdRng>, ProjectedLanes<'static, Common<f64>>);
    all!(send: DirectSgd<'static, Common<f64>, LaneRng>, CompressedSgd<'static, Common<f64>, LaneRng>);
    let _ = Objective::<f64>::new();
}
