//! One builder for every simulator: a model, a dimension, features and a start.
//!
//! Covers what all simulators are told. Not here: what each of them makes of it (`build` stands beside the simulator).

use std::fmt;
use std::marker::PhantomData;

use crate::Scalar;
use crate::model::{Augmentation, Schedules, Spec, fingerprint};
use crate::save::Fingerprint;
use crate::start::{Features, Start};

/// Direct SGD, as a builder knows it.
#[derive(Debug, Clone, Copy)]
pub enum Direct {}

/// Compressed SGD, as a builder knows it.
#[derive(Debug, Clone, Copy)]
pub enum Compressed {}

/// The projected chain, as a builder knows it.
#[derive(Debug, Clone, Copy)]
pub enum Projected {}

/// A transformation of samples into views.
#[derive(Clone, Copy)]
pub(super) struct Views<'a, T: Scalar>(pub(super) &'a dyn Augmentation<T>);

impl<T: Scalar> fmt::Debug for Views<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

/// A simulator that keeps N-dimensional features.
pub trait KeepsFeatures {}
impl KeepsFeatures for Direct {}
impl KeepsFeatures for Compressed {}

/// Builds a simulator of kind K; made by [`DirectSgd::builder`](super::DirectSgd::builder),
/// [`CompressedSgd::builder`](super::CompressedSgd::builder) and
/// [`ProjectedChain::builder`](super::ProjectedChain::builder).
///
/// | method | meaning | default |
/// |---|---|---|
/// | [`start`](Self::start) | how the weights start | independent standard normal components |
/// | [`features`](Self::features) | the features U, of direct and compressed SGD | random ones |
/// | [`views`](SimulatorBuilder::views) | a transformation of samples into views, of direct SGD | none: noise is added |
/// | [`schedules`](Self::schedules) | learning rate and others as functions of time | the model's own, constant |
/// | `build_seeded(seed)` | ends the chain: everything is drawn from a generator with that seed | |
/// | `build(rng)` | ends the chain: everything is drawn from `rng` | |
/// | [`lanes`](SimulatorBuilder::lanes) | ends the chain: up to 32 projected chains in lock-step | |
#[derive(Debug, Clone)]
pub struct SimulatorBuilder<'a, M: Spec, K> {
    pub(super) model: &'a M,
    pub(super) dimension: usize,
    pub(super) features: Option<Features<M::Scalar>>,
    pub(super) start: Start<'a, M::Scalar>,
    pub(super) schedules: Schedules,
    pub(super) views: Option<Views<'a, M::Scalar>>,
    kind: PhantomData<K>,
}

impl<'a, T: Scalar, M: Spec<Scalar = T>, K> SimulatorBuilder<'a, M, K> {
    /// `work` with model and dimension.
    pub(crate) fn fingerprint(&self, work: Fingerprint) -> Fingerprint {
        self.schedules.fingerprint(work.and(fingerprint(self.model)).count(self.dimension as u64))
    }

    pub(super) fn new(model: &'a M, dimension: usize) -> Self {
        let schedules = Schedules::new();
        let start = Start::uninformative();
        Self { model, dimension, features: None, start, schedules, views: None, kind: PhantomData }
    }

    /// Starts like that: from a state (`&state`), from weights, rows, or a law; see [`Start`].
    #[must_use]
    pub fn start(mut self, start: impl Into<Start<'a, T>>) -> Self {
        self.start = start.into();
        self
    }

    /// Lets numbers of the model follow those schedules: step k uses their values at t = (k − 1)/N.
    #[must_use]
    pub fn schedules(mut self, schedules: &Schedules) -> Self {
        self.schedules = schedules.clone();
        self
    }

    /// Uses these features, of dimension N. Default: random ones.
    #[must_use]
    pub fn features(mut self, features: Features<T>) -> Self
    where
        K: KeepsFeatures,
    {
        self.features = Some(features);
        self
    }
}

impl<'a, T: Scalar, M: Spec<Scalar = T>> SimulatorBuilder<'a, M, Direct> {
    /// Lets that transformation make the views of every sample; the noise of the model, which must be isotropic (K^f = K^b), is
    /// added to them. Default: views are the sample itself and noise.
    #[must_use]
    pub fn views(mut self, views: &'a dyn Augmentation<T>) -> Self {
        self.views = Some(Views(views));
        self
    }
}
