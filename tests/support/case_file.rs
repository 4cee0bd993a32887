//! Files of cases: models and states as data, to be checked against another program; read by the example `limit_table` and by
//! tests.
//!
//! A file is one JSON object {"cases": [{"name": ..., "parameters": {...}, ...}, ...]}. The parameters are those of
//! a model whose parts are built in:
//!
//! | field | meaning |
//! |---|---|
//! | `sigma` | "tanh", "erf" (erf(h/√2)) or "identity" |
//! | `hidden` | one {"kind", "scale", "q"} for each feature: "rademacher", "ternary" (needs `q`), "gaussian", "uniform"; `scale` is the standard deviation |
//! | `Kf`, `Kb` | 2 x 2 covariances of the noise over views |
//! | `tau`, `gamma`, `lambda`, `eta` | learning rate, weight decay, penalty strength, background standard deviation |
//! | `batch` | batch size |
//!
//! Covers reading such files with errors that name case and field. Not here: what to compute for a case, which its caller says
//! by the type of the rest of the case.

use std::fmt;

use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use contrastive_dynamics::model::{
    Erf, GaussianNoise, Identity, Independent, Law, Model, ModelError, Nonlinearity, Tanh, ViewCovariance,
};
use contrastive_dynamics::state::{OrderParameters, OrderParametersError};

/// What is wrong with a case file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaseFileError {
    /// The file is not JSON, or has no list of cases.
    #[error("not a case file: {message}")]
    Format {
        /// What the parser says.
        message: String,
    },
    /// A field of a case is missing, unknown, or of the wrong type.
    #[error("case {case}, field {field}: {message}")]
    Field {
        /// The name of the case, or its position if it has none.
        case: String,
        /// The path of the field within the case.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// The parameters of a case make no model.
    #[error("case {case}, field {field}: {source}")]
    Model {
        /// The name of the case.
        case: String,
        /// The field at fault.
        field: &'static str,
        /// What is wrong.
        source: ModelError,
    },
    /// The state of a case is none.
    #[error("case {case}, field {field}: {source}")]
    State {
        /// The name of the case.
        case: String,
        /// The field at fault.
        field: &'static str,
        /// What is wrong.
        source: OrderParametersError,
    },
}

/// An activation by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sigma {
    /// σ(h) = tanh h.
    Tanh,
    /// σ(h) = erf(h/√2).
    Erf,
    /// σ(h) = h.
    Identity,
}

/// A kind of one-dimensional hidden law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HiddenKind {
    /// ±scale.
    Rademacher,
    /// 0 with probability 1 − q, ±scale/√q otherwise.
    Ternary,
    /// Normal.
    Gaussian,
    /// Uniform.
    Uniform,
}

/// The law of one hidden variable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HiddenSpec {
    /// Its kind.
    pub(crate) kind: HiddenKind,
    /// Its standard deviation.
    pub(crate) scale: f64,
    /// Probability of being active, for "ternary" alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) q: Option<f64>,
}

/// The parameters of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The nonlinearity.
    pub(crate) sigma: Sigma,
    /// The hidden laws, one for each feature.
    pub(crate) hidden: Vec<HiddenSpec>,
    /// K^f.
    #[serde(rename = "Kf")]
    pub(crate) feature_covariance: [[f64; 2]; 2],
    /// K^b.
    #[serde(rename = "Kb")]
    pub(crate) background_covariance: [[f64; 2]; 2],
    /// τ.
    #[serde(rename = "tau")]
    pub(crate) learning_rate: f64,
    /// γ.
    #[serde(rename = "gamma")]
    pub(crate) weight_decay: f64,
    /// B.
    #[serde(rename = "batch")]
    pub(crate) batch_size: usize,
    /// η.
    #[serde(rename = "eta")]
    pub(crate) background_std: f64,
    /// λ.
    #[serde(rename = "lambda")]
    pub(crate) penalty_strength: f64,
}

/// A model whose nonlinearity was chosen at run time.
pub(crate) type CaseModel = Model<f64, Box<dyn Nonlinearity>, Independent<Law>, GaussianNoise>;

/// One case: a name, a model, and the rest, which is of the type D.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case<D> {
    /// Its name.
    pub(crate) name: String,
    /// Its model's parameters.
    pub(crate) parameters: Parameters,
    /// What else the case says.
    pub(crate) data: D,
}

/// The name of a case.
#[derive(Deserialize)]
struct Named {
    name: String,
}

/// What stands in cases: what is asked, and what another program answered.
const FIELDS: [&str; 16] = [
    "name",
    "parameters",
    "Q",
    "R",
    "Q0",
    "R0",
    "times",
    "A",
    "B",
    "Lambda",
    "dQ",
    "dR",
    "state",
    "layout",
    "fixed_points",
    "note",
];

/// JSON in which no object has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<Z: Deserializer<'de>>(deserializer: Z) -> Result<Self, Z::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, x: bool) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_i64<E>(self, x: i64) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_u64<E>(self, x: u64) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_str<E>(self, x: &str) -> Result<Value, E> {
                Ok(x.into())
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(Strict(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(list.into())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut object = serde_json::Map::new();
                while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
                    if object.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key `{key}` stands there twice")));
                    }
                    object.insert(key, value);
                }
                Ok(object.into())
            }
        }
        deserializer.deserialize_any(Any).map(Strict)
    }
}

/// Reads every case of a file. D says which further fields a case must have.
///
/// # Errors
/// [`CaseFileError::Format`] if the text is no JSON object with a list `cases`; [`CaseFileError::Field`] with case
/// and field for the first field that is wrong.
pub(crate) fn read_cases<D: DeserializeOwned>(text: &str) -> Result<Vec<Case<D>>, CaseFileError> {
    let format = |message: String| CaseFileError::Format { message };
    let Strict(file) = serde_json::from_str(text).map_err(|e| format(e.to_string()))?;
    let cases = file.get("cases").and_then(Value::as_array);
    let cases = cases.ok_or_else(|| format("it needs a list named `cases`".into()))?;
    cases
        .iter()
        .enumerate()
        .map(|(position, value)| {
            let name = value.get("name").and_then(Value::as_str);
            let name = name.map_or_else(|| format!("number {}", position + 1), str::to_owned);
            let fail = |field: String, message: String| CaseFileError::Field { case: name.clone(), field, message };
            if let Some(unknown) = value.as_object().and_then(|case| case.keys().find(|key| !FIELDS.contains(&&***key)))
            {
                return Err(fail(unknown.clone(), format!("unknown field, expected one of {FIELDS:?}")));
            }
            let parameters = value.get("parameters").ok_or_else(|| fail("parameters".into(), "missing".into()))?;
            let parameters =
                read::<Parameters>(parameters).map_err(|(path, e)| fail(format!("parameters.{path}"), e))?;
            let Named { name } = read(value).map_err(|(path, e)| fail(path, e))?;
            let data = read::<D>(value).map_err(|(path, e)| fail(path, e))?;
            Ok(Case { name, parameters, data })
        })
        .collect()
}

/// As that type; or where it is not, and why.
fn read<D: DeserializeOwned>(value: &Value) -> Result<D, (String, String)> {
    serde_path_to_error::deserialize::<_, D>(value).map_err(|e| {
        let (message, path) = (e.inner().to_string(), e.path().to_string());
        // A missing field has no path; serde names it between backticks.
        let named = message.split('`').nth(1).map_or(path.clone(), str::to_owned);
        (if path == "." { named } else { path }, message)
    })
}

impl<D> Case<D> {
    /// The model of that case, with that many neurons.
    ///
    /// # Errors
    /// [`CaseFileError::Model`] with the field whose value is out of range; [`CaseFileError::Field`] for a `q` where there is none, and a
    /// covariance that is not symmetric.
    pub(crate) fn model(&self, neurons: usize) -> Result<CaseModel, CaseFileError> {
        let fail = |field: &'static str| {
            move |source: ModelError| CaseFileError::Model { case: self.name.clone(), field, source }
        };
        let p = &self.parameters;
        let sigma: Box<dyn Nonlinearity> = match p.sigma {
            Sigma::Tanh => Box::new(Tanh),
            Sigma::Erf => Box::new(Erf),
            Sigma::Identity => Box::new(Identity),
        };
        let field = |field: &str, message: String| CaseFileError::Field {
            case: self.name.clone(),
            field: field.into(),
            message,
        };
        for (l, spec) in p.hidden.iter().enumerate() {
            if spec.q.is_some() != (spec.kind == HiddenKind::Ternary) {
                let message = "a ternary law has a `q`, and no other".into();
                return Err(field(&format!("parameters.hidden[{l}].q"), message));
            }
        }
        for (name, k) in [("parameters.Kf", p.feature_covariance), ("parameters.Kb", p.background_covariance)] {
            if k[0][1] != k[1][0] {
                return Err(field(name, format!("must be symmetric, got {} and {}", k[0][1], k[1][0])));
            }
        }
        let law = |spec: &HiddenSpec| {
            let second_moment = spec.scale * spec.scale;
            match (spec.kind, spec.q) {
                (HiddenKind::Ternary, q) => Law::three_point(second_moment, q.unwrap_or(f64::NAN)),
                (HiddenKind::Rademacher, _) => Law::two_point(second_moment),
                (HiddenKind::Gaussian, _) => Law::gaussian(second_moment),
                (HiddenKind::Uniform, _) => Law::uniform(second_moment),
            }
        };
        let laws: Result<Vec<Law>, ModelError> = p.hidden.iter().map(law).collect();
        let hidden = laws.and_then(Independent::new).map_err(fail("parameters.hidden"))?;
        let covariance = |k: [[f64; 2]; 2]| ViewCovariance::new(k[0][0], k[0][1], k[1][1]);
        let noise = GaussianNoise::new(
            covariance(p.feature_covariance).map_err(fail("parameters.Kf"))?,
            covariance(p.background_covariance).map_err(fail("parameters.Kb"))?,
        );
        let builder = Model::builder()
            .nonlinearity(sigma)
            .hidden(hidden)
            .noise(noise)
            .learning_rate(p.learning_rate)
            .weight_decay(p.weight_decay)
            .penalty_strength(p.penalty_strength)
            .background_std(p.background_std)
            .batch_size(p.batch_size)
            .n_neurons(neurons);
        builder.build().map_err(|source| {
            let field = match source {
                ModelError::LearningRate { .. } => "parameters.tau",
                ModelError::WeightDecay { .. } => "parameters.gamma",
                ModelError::PenaltyStrength { .. } => "parameters.lambda",
                ModelError::BackgroundStd { .. } => "parameters.eta",
                ModelError::BatchSize { .. } => "parameters.batch",
                _ => "parameters",
            };
            fail(field)(source)
        })
    }

    /// The state with Q and R given as rows; `field` names them in the error.
    ///
    /// # Errors
    /// [`CaseFileError::State`] if they are ragged, do not fit the model, or are no state.
    pub(crate) fn state(
        &self,
        q: &[Vec<f64>],
        r: &[Vec<f64>],
        field: &'static str,
    ) -> Result<OrderParameters, CaseFileError> {
        let fail = |source| CaseFileError::State { case: self.name.clone(), field, source };
        let (p, m) = (self.parameters.hidden.len(), r.len());
        let rectangular = q.len() == p && q.iter().chain(r).all(|row| row.len() == m);
        if !rectangular {
            let columns = |rows: &[Vec<f64>]| rows.iter().map(Vec::len).max().unwrap_or(0);
            return Err(fail(OrderParametersError::Shape { q: (q.len(), columns(q)), r: (m, columns(r)) }));
        }
        OrderParameters::from_rows(p, m, &q.concat(), &r.concat()).map_err(fail)
    }
}

/// Data of a case that asks for coefficients at a state.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct StateData {
    /// Q, row by row.
    #[serde(rename = "Q")]
    pub(crate) q: Vec<Vec<f64>>,
    /// R, row by row.
    #[serde(rename = "R")]
    pub(crate) r: Vec<Vec<f64>>,
}

/// Data of a case that asks for a trajectory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TrajectoryData {
    /// Q at t = 0, row by row.
    #[serde(rename = "Q0")]
    pub q0: Vec<Vec<f64>>,
    /// R at t = 0, row by row.
    #[serde(rename = "R0")]
    pub r0: Vec<Vec<f64>>,
    /// Output times.
    pub(crate) times: Vec<f64>,
}

/// Data of a case that asks for nothing beyond the model.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct NoData {}
