//! What most programs need, for one `use`.
//!
//! ```
//! use contrastive_dynamics::prelude::*;
//! ```

pub use crate::control::{Control, CosineSimilarity, Objective, Optimiser, TimeGrid};
pub use crate::data::Table;
pub use crate::ensemble::{Ensemble, Summary};
pub use crate::error::Error;
pub use crate::fluctuation::Fluctuations;
pub use crate::integrate::Output;
pub use crate::limit::{Limit, Parameter};
pub use crate::model::{
    Augmentation, AugmentationNoise, BarlowTwins, CentredCovarianceLoss, Constraint, CovarianceLoss, ElasticNet, Erf,
    GaussianNoise, GradientPath, HiddenDistribution, HiddenVariable, Identity, Independent, InfoNce, L1, L2, Law,
    LeakyRelu, LinearRegularizer, Loss, Masking, Model, ModelError, NoNoise, Nonlinearity, OutputGradient, Outputs,
    Penalty, Polynomial, PseudoHuber, Quadratic, Quantity, Quartic, RademacherNoise, Regularizer, Relu, Schedule,
    Schedules, Sigmoid, SmoothedL1, Softplus, Spec, SpectralContrastive, Tanh, VicReg, ViewCovariance,
};
pub use crate::ode::ReducedOde;
pub use crate::parallel::Cancel;
pub use crate::scalar::Scalar;
pub use crate::sgd::{CompressedSgd, DirectSgd, ProjectedChain, ProjectedLanes, Simulator};
pub use crate::stability::{Continuation, FixedPointFinder, OdeCurve, steady_state};
pub use crate::start::Features;
pub use crate::state::{Checkpoint, Direction, OrderParameters, Run, StopReason, Trajectory};
