//! Any law of one hidden variable, its type forgotten.
//!
//! Covers [`SharedVariable`], the form in which laws that are not of this crate enter [`Law`](crate::model::Law). Not
//! here: the trait that they implement (see [`HiddenVariable`]).

use std::fmt;
use std::sync::Arc;

use rand::Rng;

use crate::Scalar;
use crate::model::hidden::{Characteristic, CharacteristicRows, HiddenVariable, VariableQuadrature};

/// Any [`HiddenVariable`], its type forgotten, so that it can be one of several kinds of
/// [`Law`](crate::model::Law). Clones share it. Two are equal if they are clones of one.
pub struct SharedVariable<T = f64>(Arc<dyn AnyVariable<T>>);

impl<T: Scalar> SharedVariable<T> {
    /// That law, its type forgotten.
    pub fn new(law: impl HiddenVariable<T> + 'static) -> Self {
        Self(Arc::new(law))
    }
}

impl<T> Clone for SharedVariable<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> PartialEq for SharedVariable<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> fmt::Debug for SharedVariable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedVariable").field(&format_args!("{}", self.0.name())).finish()
    }
}

/// [`HiddenVariable`] with every method callable on a type that is not known.
trait AnyVariable<T>: Send + Sync {
    fn name(&self) -> &'static str;
    fn sample(&self, rng: &mut dyn Rng) -> T;
    fn quadrature(&self, points: usize) -> VariableQuadrature<T>;
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool;
    fn mean(&self) -> T;
    fn second_moment(&self) -> T;
    fn fourth_moment(&self) -> T;
    fn quadrature_is_exact(&self) -> bool;
    fn quantile(&self, u: T) -> T;
    fn characteristic(&self, k: T) -> Option<Characteristic<T>>;
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool;
    fn is_symmetric(&self) -> bool;
}

impl<T: Scalar, V: HiddenVariable<T>> AnyVariable<T> for V {
    fn name(&self) -> &'static str {
        std::any::type_name::<V>()
    }
    fn sample(&self, rng: &mut dyn Rng) -> T {
        HiddenVariable::sample(self, rng)
    }
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        HiddenVariable::quadrature(self, points)
    }
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        HiddenVariable::samples_from_words(self, words, c)
    }
    fn mean(&self) -> T {
        HiddenVariable::mean(self)
    }
    fn second_moment(&self) -> T {
        HiddenVariable::second_moment(self)
    }
    fn fourth_moment(&self) -> T {
        HiddenVariable::fourth_moment(self)
    }
    fn quadrature_is_exact(&self) -> bool {
        HiddenVariable::quadrature_is_exact(self)
    }
    fn quantile(&self, u: T) -> T {
        HiddenVariable::quantile(self, u)
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        HiddenVariable::characteristic(self, k)
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        HiddenVariable::characteristics(self, k, rows)
    }
    fn is_symmetric(&self) -> bool {
        HiddenVariable::is_symmetric(self)
    }
}

impl<T: Scalar> HiddenVariable<T> for SharedVariable<T> {
    fn sample<G: Rng + ?Sized>(&self, mut rng: &mut G) -> T {
        self.0.sample(&mut rng)
    }
    fn quadrature(&self, points: usize) -> VariableQuadrature<T> {
        self.0.quadrature(points)
    }
    fn samples_from_words(&self, words: &[u64], c: &mut [T]) -> bool {
        self.0.samples_from_words(words, c)
    }
    fn mean(&self) -> T {
        self.0.mean()
    }
    fn second_moment(&self) -> T {
        self.0.second_moment()
    }
    fn fourth_moment(&self) -> T {
        self.0.fourth_moment()
    }
    fn quadrature_is_exact(&self) -> bool {
        self.0.quadrature_is_exact()
    }
    fn quantile(&self, u: T) -> T {
        self.0.quantile(u)
    }
    fn characteristic(&self, k: T) -> Option<Characteristic<T>> {
        self.0.characteristic(k)
    }
    fn characteristics(&self, k: T, rows: &mut CharacteristicRows<'_, T>) -> bool {
        self.0.characteristics(k, rows)
    }
    fn is_symmetric(&self) -> bool {
        self.0.is_symmetric()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use crate::model::{HiddenVariable, Laplace, SharedVariable};

    #[test]
    fn a_law_whose_type_is_forgotten_is_the_law() {
        let laplace = Laplace::with_second_moment(2.0).unwrap();
        let shared = SharedVariable::new(laplace);
        assert_eq!(shared.quadrature(5), HiddenVariable::quadrature(&laplace, 5));
        assert_eq!((shared.quantile(0.2), shared.is_symmetric()), (laplace.quantile(0.2), true));
        assert_eq!(HiddenVariable::fourth_moment(&shared), 24.0);
        assert_eq!(shared.characteristic(0.3), HiddenVariable::characteristic(&laplace, 0.3));
        let (mut a, mut b) = (StdRng::seed_from_u64(1), StdRng::seed_from_u64(1));
        assert_eq!(HiddenVariable::sample(&shared, &mut a), HiddenVariable::sample(&laplace, &mut b));
        let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
        assert!(shared.samples_from_words(&[1, 2, 3], &mut a) && laplace.samples_from_words(&[1, 2, 3], &mut b));
        assert_eq!(a, b);
        assert!(shared == shared.clone() && shared != SharedVariable::new(laplace));
        assert!(format!("{shared:?}").contains("Laplace"));
    }
}
