//! Parts of a model as data: what was written is read to the last bit, and what no constructor makes is not read.

use std::fmt::Debug;

use contrastive_dynamics::model::{
    Concatenation, CorrelatedSigns, Discrete, FromDistribution, Gaussian, HiddenDistribution, Laplace, Mixture,
    PointMasses, Settings, ThreePoint, TwoPoint, Uniform,
};
use contrastive_dynamics::nalgebra::DMatrix;
use contrastive_dynamics::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

type Built<S> = Model<f64, S, Independent, GaussianNoise>;

/// The text of a part that comes back as it was.
fn stored<P: Serialize + DeserializeOwned + PartialEq + Debug>(part: &P) -> String {
    let text = serde_json::to_string(part).unwrap();
    assert_eq!(&serde_json::from_str::<P>(&text).unwrap(), part, "{text}");
    text
}

/// Why that text is no such part.
fn refused<P: DeserializeOwned + Debug>(text: &str) -> String {
    serde_json::from_str::<P>(text).unwrap_err().to_string()
}

#[test]
fn laws_come_back_as_they_were() {
    let third = 1.0 / 3.0;
    let masses = PointMasses::new(vec![-1.0, 0.1, third], vec![third; 3]).unwrap();
    let laws = [
        Law::two_point(third).unwrap(),
        Law::three_point(2.25, third).unwrap(),
        Law::gaussian(0.7).unwrap(),
        Law::uniform(0.7).unwrap(),
        Law::laplace(0.7).unwrap(),
        masses.clone().into(),
        Law::mixture([(0.1, masses.into()), (0.2, Law::gaussian(1.0).unwrap()), (0.7, Law::laplace(22.5).unwrap())])
            .unwrap(),
    ];
    assert_eq!(stored(&laws[0]), r#"{"TwoPoint":{"second_moment":0.3333333333333333}}"#);
    for law in &laws {
        stored(law);
    }
    stored(&Independent::new(laws).unwrap());
    stored(&Law::two_point(0.1_f32).unwrap());
}

#[test]
fn joint_laws_come_back_as_they_were() {
    let signs: CorrelatedSigns = CorrelatedSigns::new([1.0, 4.0], -0.4).unwrap();
    let points = DMatrix::from_row_slice(2, 3, &[1.0, 0.0, -1.0, 0.5, 0.1, 0.2]);
    let discrete = Discrete::new(points, vec![0.2, 0.3, 0.5]).unwrap();
    assert_eq!(stored(&discrete), r#"{"points":[[1.0,0.0,-1.0],[0.5,0.1,0.2]],"probabilities":[0.2,0.3,0.5]}"#);
    let joined: Concatenation<CorrelatedSigns, Discrete> = HiddenDistribution::<f64>::and(signs.clone(), discrete);
    stored(&joined);
    let product = |s: f64| Independent::new([Law::two_point(s).unwrap(), Law::gaussian(s).unwrap()]).unwrap();
    stored(&Mixture::joint([(0.1, product(1.0)), (0.9, product(2.0))]).unwrap());
    stored(&signs);
}

#[test]
fn other_parts_come_back_as_they_were() {
    assert_eq!(stored(&Tanh), r#""Tanh""#);
    stored(&Erf);
    stored(&Relu);
    stored(&Identity);
    stored(&Softplus);
    stored(&Sigmoid);
    stored(&Polynomial::new([0.0, 1.0, 0.0, -0.1]).unwrap());
    stored(&LeakyRelu::new(0.1).unwrap());
    stored(&NoNoise);
    stored(&GaussianNoise::correlated(0.3, -0.5).unwrap());
    let covariance = ViewCovariance::new(0.3, 0.1, 0.5).unwrap();
    stored(&GaussianNoise::new(covariance, ViewCovariance::zero()));
    for correlation in [-1.0, -0.3, 1e-9, 0.7, 1.0_f32] {
        stored(&RademacherNoise::new(0.3, f64::from(correlation)).unwrap());
        stored(&RademacherNoise::new(0.3, correlation).unwrap());
    }
    stored(&L1);
    stored(&L2);
    stored(&ElasticNet::new(0.3).unwrap());
    stored(&SmoothedL1::new(0.3).unwrap());
    stored(&CovarianceLoss::<Quadratic>::default());
    stored(&CovarianceLoss::new(Quartic, 0.5).unwrap());
    stored(&CovarianceLoss::new(PseudoHuber::new(0.3).unwrap(), 0.5).unwrap());
}

#[test]
fn models_come_back_as_they_were() {
    let hidden = Independent::new([Law::two_point(2.25).unwrap(), Law::three_point(2.25, 0.5).unwrap()]).unwrap();
    let model = Model::builder()
        .nonlinearity(Tanh)
        .hidden(hidden)
        .noise(GaussianNoise::correlated(0.3, -0.5).unwrap())
        .learning_rate(0.3)
        .weight_decay(0.5)
        .n_neurons(2)
        .penalty_strength(0.1)
        .build()
        .unwrap();
    let text = stored(&model);
    stored(model.settings());
    let read = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        refused::<Built<Tanh>>(&text.replace(from, to))
    };
    assert!(read(r#""learning_rate":0.3"#, r#""learning_rate":-0.3"#).contains("positive and finite, got -0.3"));
    assert!(read(r#""n_features":2"#, r#""n_features":3"#).contains("2 variables, the settings say 3"));
    assert!(read(r#""strength":0.1"#, r#""strength":-0.1"#).contains("lambda"));
    assert!(read(r#""n_neurons":2"#, r#""n_neurons":0"#).contains("at least 1"));
    assert!(refused::<Built<Erf>>(&text).contains("the name Erf"));
}

#[test]
fn what_no_constructor_makes_is_not_read() {
    for text in [r#"{"second_moment":-1}"#, r#"{"second_moment":0}"#] {
        assert!(refused::<TwoPoint>(text).contains("positive and finite"));
        assert!(refused::<Gaussian>(text).contains("positive and finite"));
        assert!(refused::<Uniform>(text).contains("positive and finite"));
        assert!(refused::<Laplace>(text).contains("positive and finite"));
    }
    assert!(refused::<TwoPoint>(r#"{"second_moment":1,"third":2}"#).contains("unknown field"));
    assert!(refused::<Law>(r#"{"ThreePoint":{"second_moment":1,"activity":1.5}}"#).contains("active"));
    assert!(refused::<ThreePoint>(r#"{"second_moment":1,"activity":0}"#).contains("active"));
    assert!(refused::<PointMasses>(r#"{"values":[1],"probabilities":[0.5]}"#).contains("sum to 1"));
    assert!(refused::<Discrete>(r#"{"points":[[1],[1,2]],"probabilities":[1]}"#).contains("equally long"));
    assert!(refused::<Discrete>(r#"{"points":[[1,2]],"probabilities":[0.5,0.6]}"#).contains("sum to 1"));
    assert!(refused::<CorrelatedSigns>(r#"{"second_moments":[1],"loadings":[2]}"#).contains("correlation"));
    assert!(refused::<Independent>(r#"{"laws":[]}"#).contains("at least one feature"));
    let normal = r#"{"Gaussian":{"second_moment":1}}"#;
    assert!(refused::<Mixture>(&format!(r#"{{"weights":[0.5],"laws":[{normal}]}}"#)).contains("sum to 1"));
    assert!(refused::<Mixture>(&format!(r#"{{"weights":[0.5,0.5],"laws":[{normal}]}}"#)).contains("as many weights"));
    let uneven = format!(r#"{{"weights":[0.5,0.5],"laws":[{{"laws":[{normal}]}},{{"laws":[{normal},{normal}]}}]}}"#);
    assert!(refused::<Mixture<Independent>>(&uneven).contains("as many variables"));
    assert!(refused::<Tanh>(r#""Erf""#).contains("the name Tanh"));
    assert!(refused::<Polynomial>(r#"{"coefficients":[0,0]}"#).contains("leading coefficient"));
    assert!(refused::<ViewCovariance>(r#"{"v11":1,"v12":2,"v22":1}"#).contains("no covariance"));
    let covariance = r#"{"v11":1.0,"v12":0.5,"v22":1.0}"#;
    let noise = |agreement: f64| format!(r#"{{"covariance":{covariance},"agreement":{agreement}}}"#);
    assert!(serde_json::from_str::<RademacherNoise>(&noise(0.75)).is_ok());
    assert!(refused::<RademacherNoise>(&noise(0.8)).contains("agree with the probability"));
    assert!(refused::<RademacherNoise>(&noise(1.5)).contains("[-1, 1]"));
    assert!(refused::<ElasticNet>(r#"{"l1_ratio":2}"#).contains("l1_ratio"));
    assert!(refused::<SmoothedL1>(r#"{"width":0}"#).contains("width"));
    assert!(refused::<CovarianceLoss>(r#"{"penalty":"Quadratic","strength":-1}"#).contains("lambda"));
    assert!(refused::<Settings>("{}").contains("missing field"));
}

/// Their type is forgotten: there is nothing to write.
#[test]
fn laws_of_users_are_no_data() {
    let normal = rand_distr::StandardNormal;
    let law = Law::from_variable(FromDistribution::new(normal, vec![-1.0, 1.0], vec![0.5, 0.5]).unwrap());
    assert!(serde_json::to_string(&law).is_err());
}
