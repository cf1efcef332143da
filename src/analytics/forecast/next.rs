//! When a pin is read next, by the probabilities that were forecast. Pure.
//!
//! A probability p within h is an accumulated hazard H(h) = -ln(1 - p). Between the horizons, ln H is straight over ln h (a Weibull
//! process, piece by piece: Kalbfleisch and Prentice, "The Statistical Analysis of Failure Time Data", 2002, 2.2); beyond them it goes
//! on as the nearest piece does, with a slope of at least 0.1 and at most 1, which is a steady rate. The time by which the access comes
//! with a chance of q is where H is -ln(1 - q). So the interval says nothing that the probabilities don't.

/// Seconds from now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Next {
    /// It comes sooner with a chance of 1 in 10; `None` here and below: not within a year.
    pub earliest: Option<f64>,
    /// As likely sooner as later.
    pub middle: Option<f64>,
    /// It comes later with a chance of 1 in 10.
    pub latest: Option<f64>,
}

const YEAR: f64 = 365.0 * 86_400.0;
/// Slopes of ln H over ln h outside the horizons: 1 is a steady rate, less one that sinks.
const SLOPES: (f64, f64) = (0.1, 1.0);

/// From rising horizons and the probabilities within them.
pub(super) fn next(horizons: &[f64; 3], probabilities: &[f64; 3]) -> Next {
    let mut points = [(0.0, 0.0); 3];
    for ((point, horizon), probability) in points.iter_mut().zip(horizons).zip(probabilities) {
        let hazard = -(-probability.clamp(1e-9, 1.0 - 1e-9)).ln_1p();
        *point = (horizon.ln(), hazard.ln());
    }
    let by = |chance: f64| {
        let wanted = (-(-chance).ln_1p()).ln();
        let time = at(&points, wanted).exp();
        (time <= YEAR).then_some(time)
    };
    Next { earliest: by(0.1), middle: by(0.5), latest: by(0.9) }
}

/// ln h at which ln H is `wanted`.
fn at(points: &[(f64, f64); 3], wanted: f64) -> f64 {
    let slope = |i: usize| (points[i + 1].1 - points[i].1) / (points[i + 1].0 - points[i].0);
    let tamed = |slope: f64| slope.clamp(SLOPES.0, SLOPES.1);
    let [first, .., last] = points;
    if wanted <= first.1 {
        return first.0 - (first.1 - wanted) / tamed(slope(0));
    }
    if wanted > last.1 {
        return last.0 + (wanted - last.1) / tamed(slope(1));
    }
    let i = usize::from(wanted > points[1].1);
    points[i].0 + (wanted - points[i].1) / slope(i)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZONS: [f64; 3] = [3_600.0, 86_400.0, 604_800.0];

    fn close(seen: Option<f64>, wanted: f64) -> bool {
        seen.is_some_and(|seen| (seen / wanted - 1.0).abs() < 1e-6)
    }

    #[test]
    fn a_steady_rate_gives_the_quantiles_of_its_waits() {
        let rate = 1.0 / 100_000.0;
        let next = next(&HORIZONS, &HORIZONS.map(|h| 1.0 - (-rate * h).exp()));
        assert!(close(next.middle, std::f64::consts::LN_2 / rate), "{next:?}");
        assert!(close(next.earliest, -0.9f64.ln() / rate) && close(next.latest, 10f64.ln() / rate), "{next:?}");
    }

    #[test]
    fn the_middle_is_where_the_forecast_says_one_in_two() {
        let next = next(&HORIZONS, &[0.1, 0.5, 0.9]);
        assert!(
            close(next.earliest, HORIZONS[0]) && close(next.middle, HORIZONS[1]) && close(next.latest, HORIZONS[2])
        );
    }

    #[test]
    fn what_is_not_to_be_expected_within_a_year_has_no_time() {
        let next = next(&HORIZONS, &[1e-6, 1e-5, 1e-4]);
        assert_eq!((next.earliest, next.middle, next.latest), (None, None, None));
    }

    #[test]
    fn probabilities_that_do_not_differ_are_no_trouble() {
        for p in [0.0, 0.3, 1.0] {
            let next = next(&HORIZONS, &[p; 3]);
            let times = [next.earliest, next.middle, next.latest];
            assert!(times.iter().flatten().all(|time| time.is_finite() && *time >= 0.0), "{next:?}");
            assert!(times.iter().flatten().is_sorted(), "{next:?}");
        }
    }
}
