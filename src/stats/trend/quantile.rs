//! Quantiles of the normal and of Student's distribution, as far as tests of a trend need them.

/// Returns the probability that a standard normal value is at most `x` (Abramowitz & Stegun 1964, 7.1.26; error below 2e-7).
pub(crate) fn normal_below(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * poly * (-z * z).exp();
    if x >= 0.0 { 1.0 - tail } else { tail }
}

/// Returns the value that a standard normal one exceeds with probability `tail` (Abramowitz & Stegun 26.2.23, then one
/// Newton step).
pub(crate) fn normal_above(tail: f64) -> f64 {
    let tail = tail.clamp(1e-9, 1.0 - 1e-9);
    if tail > 0.5 {
        return -normal_above(1.0 - tail);
    }
    let t = (-2.0 * tail.ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let x = t - top / bottom;
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    // Far out the probability itself is too coarse to improve upon.
    if tail < 1e-5 { x } else { x - (tail - (1.0 - normal_below(x))) / density }
}

/// Returns the value that one of Student's distribution exceeds with probability `tail` (Fisher & Cornish 1960).
pub(crate) fn student_above(tail: f64, freedom: f64) -> f64 {
    let z = normal_above(tail);
    let v = freedom.max(2.5);
    let z3 = z.powi(3);
    let z5 = z.powi(5);
    let z7 = z.powi(7);
    z + (z3 + z) / (4.0 * v)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * v.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * v.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles_are_met() {
        for (tail, want) in [(0.5, 0.0), (0.1, 1.281_552), (0.025, 1.959_964), (0.005, 2.575_829), (0.999, -3.090_232)]
        {
            assert!((normal_above(tail) - want).abs() < 1e-4, "{tail}: {}", normal_above(tail));
        }
        for (tail, freedom, want) in
            [(0.025, 10.0, 2.228), (0.005, 10.0, 3.169), (0.005, 30.0, 2.750), (0.005, 5.0, 4.032)]
        {
            let got = student_above(tail, freedom);
            assert!((got - want).abs() < 0.02 * want, "{tail} {freedom}: {got}");
        }
        assert!((normal_below(1.959_964) - 0.975).abs() < 1e-6);
    }
}
