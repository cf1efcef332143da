//! The combination of models: a logistic regression on their log-odds, learnt from one outcome at a time. Pure.
//!
//! p = σ(w · x), and w moves by -η · (p - y) · x / √(Σ of squared slopes so far): stochastic gradient descent of the log loss with
//! Adagrad's step (Duchi, Hazan, Singer, JMLR 12, 2011). There is a set of weights for each context, as in gated mixing (Mattern,
//! "Linear and geometric mixtures", DCC 2013). It begins as the mean of the rates' log-odds, which is a logarithmic opinion pool.

use super::features::{CONTEXTS, FEATURES, Features, RATES};
use serde::{Deserialize, Serialize};

/// η.
const STEP: f32 = 0.1;

/// The weights of one horizon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mix {
    weights: [Features; CONTEXTS],
    slopes: [Features; CONTEXTS],
}

impl Default for Mix {
    fn default() -> Self {
        let mut first = [0.0; FEATURES];
        first[1..=RATES].fill(1.0 / RATES as f32);
        Mix { weights: [first; _], slopes: [[0.1; FEATURES]; _] }
    }
}

impl Mix {
    pub(super) fn probability(&self, context: usize, features: &Features) -> f64 {
        let odds: f32 = self.weights[context].iter().zip(features).map(|(weight, feature)| weight * feature).sum();
        1.0 / (1.0 + (-f64::from(odds)).exp())
    }

    /// Learns what happened.
    pub(super) fn learn(&mut self, context: usize, features: &Features, happened: bool) {
        let probability = self.probability(context, features);
        let off = (probability - f64::from(u8::from(happened))) as f32;
        let set = self.weights[context].iter_mut().zip(&mut self.slopes[context]);
        for ((weight, slopes), feature) in set.zip(features) {
            let slope = off * feature;
            *slopes += slope * slope;
            *weight -= STEP * slope / slopes.sqrt();
        }
    }
}
