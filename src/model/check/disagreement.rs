//! What a check can find: something that a part of a model says and does not do, with the numbers and the cure.
//!
//! Covers [`Disagreement`] and the words in it. Not here: how it is found (a file a part).

use std::fmt;

use crate::model::Parity;

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The law says so (`mean`, `second_moment`, `fourth_moments`).
    Stated,
    /// An average over the nodes (`quadrature`).
    Nodes,
    /// An average over draws (`sample`).
    Samples,
    /// An average over draws from words (`samples_from_words`).
    Words,
    /// An average over what uniform variables are mapped to (`transport`, `quantile`).
    Transport,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stated => "as stated",
            Self::Nodes => "by the nodes of `quadrature`",
            Self::Samples => "by draws of `sample`",
            Self::Words => "by draws of `samples_from_words`",
            Self::Transport => "by `transport` (or `quantile`)",
        })
    }
}

/// An average over a hidden law. Variables are counted from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HiddenAverage {
    /// E\[c_l\].
    Mean(usize),
    /// E\[c_k c_l\].
    Second(usize, usize),
    /// E\[c_l⁴\].
    Fourth(usize),
    /// E\[cos(a·c)\] for that a: it sees all moments.
    Cosine(Vec<f64>),
    /// E\[sin(a·c)\] for that a.
    Sine(Vec<f64>),
}

impl fmt::Display for HiddenAverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean(l) => write!(f, "E[c_{l}]"),
            Self::Second(k, l) => write!(f, "E[c_{k} c_{l}]"),
            Self::Fourth(l) => write!(f, "E[c_{l}^4]"),
            Self::Cosine(a) => write!(f, "E[cos(a.c)] at a = {a:.3?}"),
            Self::Sine(a) => write!(f, "E[sin(a.c)] at a = {a:.3?}"),
        }
    }
}

/// A value and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Where it comes from.
    pub source: Source,
}

/// Something that a part of a model says and does not do. The text has the numbers and the cure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Disagreement {
    /// A matrix, vector or list of the hidden law has a wrong shape.
    #[error(
        "the {what} of the hidden law is {} x {}, not {} x {}: variables are rows, nodes are columns",
        got.0, got.1, want.0, want.1
    )]
    HiddenShape {
        /// Which one.
        what: &'static str,
        /// The shape it should have.
        want: (usize, usize),
        /// The shape it has.
        got: (usize, usize),
    },
    /// A node of the hidden law is not finite.
    #[error("node {node} of the hidden law has c_{variable} = {value}: `quadrature` must give finite nodes")]
    HiddenNode {
        /// The node.
        node: usize,
        /// The variable.
        variable: usize,
        /// Its value.
        value: f64,
    },
    /// A weight of the hidden law is negative or not finite.
    #[error("node {node} of the hidden law has the weight {weight}: the weights of `quadrature` are probabilities")]
    HiddenWeight {
        /// The node.
        node: usize,
        /// Its weight.
        weight: f64,
    },
    /// The weights of the hidden law do not sum to 1.
    #[error("the weights of the hidden law sum to {sum}, not to 1: divide the weights of `quadrature` by their sum")]
    HiddenWeights {
        /// Their sum.
        sum: f64,
    },
    /// The Gaussian part of the hidden law is no covariance.
    #[error(
        "the Gaussian part of the hidden law is no covariance: it must be finite, symmetric and positive semidefinite, \
         its smallest eigenvalue is {eigenvalue}"
    )]
    HiddenGaussianPart {
        /// The smallest eigenvalue; NaN if it is not symmetric or not finite.
        eigenvalue: f64,
    },
    /// Two methods give the Gaussian part, and differ.
    #[error(
        "`gaussian_part` of the hidden law differs from the Gaussian part of `quadrature` by {difference}: leave out \
         `gaussian_part`, whose default takes the other"
    )]
    HiddenGaussianParts {
        /// The largest difference of an entry.
        difference: f64,
    },
    /// The number of nodes is not what the hidden law says.
    #[error(
        "`quadrature_size({points})` of the hidden law is {claimed}, but `quadrature({points})` has {nodes} nodes: \
         leave out `quadrature_size`, whose default counts them"
    )]
    HiddenQuadratureSize {
        /// The number of points asked for.
        points: usize,
        /// The number of nodes that the law says.
        claimed: usize,
        /// The number of nodes that there are.
        nodes: usize,
    },
    /// The hidden law says that its rule does not depend on the number of points, and it does.
    #[error(
        "the hidden law says that its rule is exact, but `quadrature({})` and `quadrature({})` differ: leave \
         `quadrature_is_exact` at its default, false",
        points.0, points.1
    )]
    HiddenExactness {
        /// Two numbers of points with different rules.
        points: (usize, usize),
    },
    /// The blocks of the hidden law are none.
    #[error(
        "the blocks of the hidden law must be runs of variables that follow each other from 0 to {variables}, none empty"
    )]
    HiddenBlocks {
        /// The number of variables.
        variables: usize,
    },
    /// The characteristic function of the hidden law is that of another law.
    #[error(
        "{what} of the hidden law is off by {gap:.2e} at the wave vector {wave:?} (allowed: {allowed:.2e}): leave `characteristic` \
         at its default, which gives none"
    )]
    HiddenCharacteristic {
        /// Which of its values: the function itself, or a moment under it.
        what: &'static str,
        /// The wave vector.
        wave: Vec<f64>,
        /// The difference.
        gap: f64,
        /// The difference that is allowed.
        allowed: f64,
    },
    /// An average over the hidden law has two values.
    #[error(
        "{average} of the hidden law is {} {} but {} {} (allowed: {allowed:.2e}): {}",
        one.value, one.source, other.value, other.source, moment_cure(one.source, other.source)
    )]
    HiddenMoment {
        /// Which average.
        average: HiddenAverage,
        /// One value.
        one: Estimate,
        /// The other.
        other: Estimate,
        /// The difference that is allowed.
        allowed: f64,
    },
    /// The hidden law says that it has a symmetry, and it does not.
    #[error(
        "the hidden law says that it is symmetric in {}, but {source} an average that should vanish is {gap} \
         (allowed: {allowed:.2e}): leave `{}` at its default, which claims nothing",
        symmetry_name(*variable), if variable.is_some() { "is_symmetric" } else { "is_jointly_symmetric" },
        source = from
    )]
    HiddenSymmetry {
        /// The variable; none if it is all at once.
        variable: Option<usize>,
        /// Where the average comes from.
        from: Source,
        /// The average.
        gap: f64,
        /// The size that is allowed.
        allowed: f64,
    },
    /// A draw of the hidden law is not finite, or was not written.
    #[error("c_{variable} of the hidden law is {value} {from}: every draw must write all p variables")]
    HiddenSample {
        /// Which way of drawing.
        from: Source,
        /// The variable.
        variable: usize,
        /// Its value; NaN if it was not written.
        value: f64,
    },
    /// Whether the hidden law can be drawn from words depends on how many.
    #[error(
        "`samples_from_words` of the hidden law answers {empty} for empty slices and {full} for full ones: the answer \
         must not depend on the length"
    )]
    HiddenWords {
        /// The answer for empty slices.
        empty: bool,
        /// The answer for full ones.
        full: bool,
    },
    /// A draw of the noise is not finite.
    #[error("`sample` of the noise drew {value}: noise must be finite")]
    NoiseValue {
        /// The value.
        value: f64,
    },
    /// The noise has a mean.
    #[error("the noise of view {} has the mean {sampled} (allowed: {allowed:.2e}): draw noise of mean zero", view + 1)]
    NoiseMean {
        /// The view: 0 or 1 for view 1 or 2.
        view: usize,
        /// The mean of the draws.
        sampled: f64,
        /// The size that is allowed.
        allowed: f64,
    },
    /// The noise does not have the covariance that it says.
    #[error(
        "the covariance of views {} and {} of the noise is {stated} by `background_covariance` but {sampled} by draws of \
         `sample` (allowed: {allowed:.2e}): draw what is stated, or leave out `sample` if the noise is Gaussian",
        views.0 + 1, views.1 + 1
    )]
    NoiseCovariance {
        /// The views, each 0 or 1 for view 1 or 2.
        views: (usize, usize),
        /// The entry of K^b.
        stated: f64,
        /// That of the draws.
        sampled: f64,
        /// The difference that is allowed.
        allowed: f64,
    },
    /// The noise says that it is Gaussian, and is not.
    #[error(
        "the noise says that it is Gaussian, but {statistic} is {sampled} by draws of `sample`, and {gaussian} for a \
         Gaussian (allowed: {allowed:.2e}): answer false in `is_gaussian`"
    )]
    NoiseNotGaussian {
        /// Which average.
        statistic: &'static str,
        /// Its value for a Gaussian pair of that covariance.
        gaussian: f64,
        /// That of the draws.
        sampled: f64,
        /// The difference that is allowed.
        allowed: f64,
    },
    /// The noise says that it is not Gaussian, and draws as if it were.
    #[error(
        "the noise says that it is not Gaussian, but its `sample` is the default, which draws Gaussian pairs: implement \
         `sample`, or answer true in `is_gaussian`"
    )]
    NoiseNotDrawn,
    /// σ or σ' is not finite.
    #[error("the nonlinearity has {what} = {value} at h = {h}: averages need it finite for all h of order one")]
    NonlinearityValue {
        /// Which function.
        what: &'static str,
        /// Where.
        h: f64,
        /// Its value.
        value: f64,
    },
    /// A derivative of σ is not what its values say.
    #[error(
        "at h = {h} the nonlinearity has {}(h) = {stated}, but differences say {difference} (allowed: {allowed:.2e}): \
         correct the derivative (of a pair of closures it is the second)",
        derivative_name(*order)
    )]
    NonlinearityDerivative {
        /// 1 for σ' against differences of σ, 2 for σ'' against differences of σ'.
        order: usize,
        /// Where.
        h: f64,
        /// What the nonlinearity says.
        stated: f64,
        /// What differences say.
        difference: f64,
        /// The difference that is allowed.
        allowed: f64,
    },
    /// σ does not have the parity that it says.
    #[error(
        "the nonlinearity says that it is {}, but it is {value} at h = {h} and {mirrored} at h = {}: declare \
         `Parity::None`",
        parity_name(*claimed), -h
    )]
    NonlinearityParity {
        /// The parity claimed.
        claimed: Parity,
        /// Where.
        h: f64,
        /// σ(h).
        value: f64,
        /// σ(−h).
        mirrored: f64,
    },
    /// One number from two methods of the nonlinearity.
    #[error(
        "at h = {h} the nonlinearity has {alone} from `{method_alone}` but {together} from `{method_together}`: leave \
         out `{method_together}`, whose default calls the other"
    )]
    NonlinearitySlices {
        /// Where.
        h: f64,
        /// The method of one argument.
        method_alone: &'static str,
        /// Its value.
        alone: f64,
        /// The method for several.
        method_together: &'static str,
        /// Its value.
        together: f64,
    },
    /// σ is not of the family of which it says to be.
    #[error(
        "the nonlinearity says that it is {family}, but at h = {h} it is {value}, and {family} is {wanted}: leave \
         `closed_form` at its default, none"
    )]
    NonlinearityClosedForm {
        /// The family.
        family: &'static str,
        /// Where.
        h: f64,
        /// σ(h).
        value: f64,
        /// What a member of the family has there.
        wanted: f64,
    },
    /// σ is not a polynomial of the degree that it says.
    #[error(
        "the nonlinearity says that it is a polynomial of degree {degree}, but at h = {h} it is {value}, and the \
         polynomial through {degree} + 1 of its values is {wanted}: declare another `Smoothness`"
    )]
    NonlinearityDegree {
        /// The degree claimed.
        degree: usize,
        /// Where.
        h: f64,
        /// σ(h).
        value: f64,
        /// The polynomial's value.
        wanted: f64,
    },
    /// σ or σ' jumps where no kink is declared.
    #[error(
        "{what} of the nonlinearity jumps by {jump} at h = {at}: declare a kink there, `Smoothness::Kinked`, if it is the \
         only one (averages over a kink that is not declared converge slowly)"
    )]
    NonlinearityJump {
        /// Which function.
        what: &'static str,
        /// Where.
        at: f64,
        /// By how much.
        jump: f64,
    },
    /// φ is not finite.
    #[error("the regulariser has {what} = {value} at w = {w}: it must be finite")]
    RegularizerValue {
        /// Which function.
        what: &'static str,
        /// Where.
        w: f64,
        /// Its value.
        value: f64,
    },
    /// φ says that it is linear, and is not.
    #[error(
        "the regulariser says that φ(w) = {slope}·w by `{method}`, but φ({w}) = {value}: correct the slope, or do not \
         claim that it is linear"
    )]
    RegularizerNotLinear {
        /// The method that says so.
        method: &'static str,
        /// The slope.
        slope: f64,
        /// Where.
        w: f64,
        /// φ(w).
        value: f64,
    },
    /// The gradient of the loss is not that of its value.
    #[error(
        "B dF/dY of the loss is {gradient} for neuron {neuron}, view {view}, sample {sample}, differences of F give {difference}: mend one of them; the gradient is of the sum over the batch, B times dF/dY"
    )]
    LossGradient {
        /// Which neuron, from 0.
        neuron: usize,
        /// Which view, 0 or 1.
        view: usize,
        /// Which sample, from 0.
        sample: usize,
        /// The gradient given.
        gradient: f64,
        /// Differences of the value.
        difference: f64,
    },
    /// The loss tells neurons apart.
    #[error("the loss is {value}, with the neurons in the reverse order {reversed}: it must not tell neurons apart")]
    LossOrder {
        /// F.
        value: f64,
        /// F with the neurons in the reverse order.
        reversed: f64,
    },
    /// The loss is not the function of covariances that it says.
    #[error("the loss has the gradient {gradient} where its covariance form has {of_form}: mend one of them")]
    LossForm {
        /// The gradient given.
        gradient: f64,
        /// That of the form.
        of_form: f64,
    },
    /// The loss is not the polynomial that it says.
    #[error("the loss has the gradient {gradient} where its polynomial has {of_polynomial}: mend one of them")]
    LossPolynomial {
        /// The gradient given.
        gradient: f64,
        /// That of the polynomial.
        of_polynomial: f64,
    },
}

/// What to do about moments that differ.
fn moment_cure(one: Source, other: Source) -> &'static str {
    match (one, other) {
        (Source::Stated, Source::Nodes) => {
            "correct the nodes, or leave out the stated moment, whose default is that of the nodes"
        }
        (Source::Stated, _) => "correct the stated moment, or the other",
        (_, Source::Words) => "`samples_from_words` draws from another law: correct it, or leave it out",
        (_, Source::Transport) => "uniform variables are mapped to another law: correct the map, or leave it out",
        _ => "`sample` and `quadrature` are of different laws: correct one of them",
    }
}

fn symmetry_name(variable: Option<usize>) -> String {
    variable.map_or_else(|| "c → −c".to_owned(), |l| format!("c_{l} → −c_{l}"))
}

fn derivative_name(order: usize) -> &'static str {
    if order == 1 { "σ'" } else { "σ''" }
}

fn parity_name(parity: Parity) -> &'static str {
    match parity {
        Parity::Even => "even",
        Parity::Odd => "odd",
        Parity::None => "neither even nor odd",
    }
}
