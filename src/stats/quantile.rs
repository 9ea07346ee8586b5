//! Tails and quantiles of the normal and of Student's distribution.

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

/// Returns the probability that a value with `df` degrees of freedom lies beyond `t` on either side.
pub(crate) fn student_two_sided(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    if t.is_infinite() {
        return 0.0;
    }
    incomplete_beta(df / (df + t * t), df / 2.0, 0.5)
}

/// Returns the `t` that a value with `df` degrees of freedom exceeds with probability `tail`, which is below one half.
pub(crate) fn student_above(tail: f64, df: f64) -> f64 {
    if !(tail > 0.0 && tail <= 0.5 && df > 0.0) {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_two_sided(high, df) / 2.0 > tail && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let mid = f64::midpoint(low, high);
        if student_two_sided(mid, df) / 2.0 > tail { low = mid } else { high = mid }
    }
    f64::midpoint(low, high)
}

/// Returns the regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8, evaluated by
/// Lentz's method).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let away = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        for term in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
    }
    front * fraction
}

/// Returns the logarithm of the gamma function for arguments above 0: Stirling's series, after the recurrence has made the
/// argument large.
fn ln_gamma(mut x: f64) -> f64 {
    let mut down = 0.0;
    while x < 12.0 {
        down += x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - down
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

    #[test]
    fn quantiles_are_those_of_printed_tables() {
        for (tail, df, t) in [
            (0.025, 1.0, 12.706_2),
            (0.025, 5.0, 2.570_6),
            (0.005, 10.0, 3.169_3),
            (0.0005, 15.0, 4.072_8),
            (0.05, 30.0, 1.697_3),
            (0.025, 1e7, 1.960_0),
        ] {
            assert!((student_above(tail, df) - t).abs() < 1e-3, "{tail} {df}: {}", student_above(tail, df));
            assert!((student_two_sided(t, df) - 2.0 * tail).abs() < 1e-4 * tail.max(0.01) * 100.0);
        }
        assert_eq!(student_two_sided(0.0, 4.0), 1.0);
        assert_eq!(student_two_sided(f64::INFINITY, 4.0), 0.0);
        assert!(student_two_sided(1.0, 0.0).is_nan() && student_above(0.7, 3.0).is_nan());
    }
}
