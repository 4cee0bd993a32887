//! How a model prints: everything that is known of it, in a few lines, as a comment for data.

use std::any::type_name;
use std::fmt;

use super::{
    AugmentationNoise, HiddenDistribution, Loss, Model, Nonlinearity, Regularizer, Settings, ViewCovariance,
    fingerprint,
};
use crate::Scalar;

/// Moments of more features than this are cut short.
const MOST_MOMENTS: usize = 8;

/// The name of a type without the modules in which it and its parameters stand.
fn short_name<T: ?Sized>() -> String {
    let mut name = String::new();
    for word in type_name::<T>().split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_')) {
        name.push_str(word);
        if name.ends_with("::") {
            name.truncate(
                name.trim_end_matches("::").trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').len(),
            );
        }
    }
    name
}

/// Numbers with commas between, the first few of many.
fn list<T: Scalar>(numbers: impl ExactSizeIterator<Item = T>) -> String {
    let more = if numbers.len() > MOST_MOMENTS { ", ..." } else { "" };
    let shown: Vec<String> = numbers.take(MOST_MOMENTS).map(|x| x.as_f64().to_string()).collect();
    shown.join(", ") + more
}

fn covariance<T: Scalar>(covariance: ViewCovariance<T>) -> String {
    let [[a, b], [_, c]] = covariance.to_array();
    format!("[[{}, {}], [{}, {}]]", a.as_f64(), b.as_f64(), b.as_f64(), c.as_f64())
}

/// Everything that is known of the model, in lines: its parts by the names of their types, moments of the hidden variables, covariances of
/// the noise, numbers and switches, and its [`fingerprint`], by which models are told apart whose parts have one name. It is what
/// stands above [data](crate::data) of it.
///
/// ```
/// use contrastive_dynamics::prelude::*;
/// let hidden = Independent::new([Law::two_point(2.25)?])?;
/// let model = Model::builder().nonlinearity(Tanh).hidden(hidden).noise(NoNoise).learning_rate(0.3).build()?;
/// assert!(model.to_string().starts_with("nonlinearity Tanh, hidden law Independent, noise NoNoise"));
/// # Ok::<(), ModelError>(())
/// ```
impl<T, S, H, A, G, L> fmt::Display for Model<T, S, H, A, G, L>
where
    T: Scalar,
    S: Nonlinearity<T>,
    H: HiddenDistribution<T>,
    A: AugmentationNoise<T>,
    G: Regularizer<T>,
    L: Loss<T>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [short_name::<S>(), short_name::<H>(), short_name::<A>(), short_name::<G>(), short_name::<L>()];
        let [nonlinearity, hidden, noise, regularizer, loss] = parts;
        write!(f, "nonlinearity {nonlinearity}, hidden law {hidden}, noise {noise}, ")?;
        writeln!(f, "regulariser {regularizer}, loss {loss}, {}", type_name::<T>())?;
        let (second, fourth) = (self.hidden().second_moment().diagonal(), self.hidden().fourth_moments());
        let (second, fourth) = (list(second.iter().copied()), list(fourth.iter().copied()));
        writeln!(f, "second moments of the hidden variables {second}; fourth moments {fourth}")?;
        let (feature, background) = (self.noise().feature_covariance(), self.noise().background_covariance());
        let (feature, background) = (covariance(feature), covariance(background));
        writeln!(f, "noise along features {feature}, of the background {background}")?;
        let Settings {
            n_features, n_neurons, batch_size, learning_rate, momentum, weight_decay, background_std, ..
        } = *self.settings();
        writeln!(f, "{n_features} features, {n_neurons} neurons, batch size {batch_size}")?;
        write!(f, "learning rate {}, momentum {}, ", learning_rate.as_f64(), momentum.as_f64())?;
        write!(f, "weight decay {}, background deviation {}, ", weight_decay.as_f64(), background_std.as_f64())?;
        writeln!(f, "constraint {:?}, gradient path {:?}", self.settings().constraint, self.settings().gradient_path)?;
        write!(f, "fingerprint {:016x}, contrastive-dynamics {}", fingerprint(self).value(), env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_without_their_modules() {
        assert_eq!(short_name::<Vec<Option<String>>>(), "Vec<Option<String>>");
        assert_eq!(short_name::<(f64, std::collections::BTreeMap<u8, String>)>(), "(f64, BTreeMap<u8, String>)");
    }

    #[test]
    fn long_lists_are_cut_short() {
        assert_eq!(list([1.0, 2.5].into_iter()), "1, 2.5");
        assert_eq!(list((0..9_u8).map(f64::from)), "0, 1, 2, 3, 4, 5, 6, 7, ...");
    }
}
