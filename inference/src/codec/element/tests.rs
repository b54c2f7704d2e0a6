//! Numbers at the ends of their ranges, and what is none.

use super::*;
use proptest::prelude::*;

#[test]
fn integers_are_exact_and_take_integral_decimals() {
    for (text, value) in [
        ("9223372036854775807", Ok(i64::MAX)),
        ("-9223372036854775808", Ok(i64::MIN)),
        ("9007199254740993.0", Ok(9_007_199_254_740_993)),
        ("9.007199254740993e15", Ok(9_007_199_254_740_993)),
        ("1000e-3", Ok(1)),
        ("-0.0", Ok(0)),
        ("0e99999999999999999999", Ok(0)),
        ("+7", Ok(7)),
        ("9223372036854775808", Err(Misfit::Range)),
        ("9223372036854775807.5", Err(Misfit::Fraction)),
        ("1e30", Err(Misfit::Range)),
        ("1e99999999999999999999", Err(Misfit::Range)),
        ("1e-99999999999999999999", Err(Misfit::Fraction)),
        ("0.5", Err(Misfit::Fraction)),
        ("nan", Err(Misfit::Range)),
        ("-inf", Err(Misfit::Range)),
        ("1 2", Err(TEXT)),
        ("x", Err(TEXT)),
        (".", Err(TEXT)),
    ] {
        assert_eq!(i64::decimal(text), value, "{text}");
    }
    assert_eq!(u64::decimal("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(u64::decimal("18446744073709551616"), Err(Misfit::Range));
    assert_eq!(u8::decimal("-1"), Err(Misfit::Range));
    assert_eq!(u8::float(255.0), Ok(255));
    assert_eq!(u8::float(256.0), Err(Misfit::Range));
    assert_eq!(u8::float(0.5), Err(Misfit::Fraction));
    assert_eq!(u8::float(f64::NAN), Err(Misfit::Range));
}

#[test]
fn floats_round_once() {
    // Through f64 this text lands on the middle and then on the wrong side.
    let text = "7.038531e-26";
    let through = text.parse::<f64>().unwrap();
    assert!(f32::unsure(through));
    assert_ne!(through as f32, text.parse::<f32>().unwrap());
    assert_eq!(f32::decimal(text), Ok(text.parse().unwrap()));
    assert!(!f32::unsure(0.1));
    assert!(!f32::unsure(0.0));
    // 1 + 2^-11 is a tie for f16; a hair above it must go up, though f32 cannot see the hair.
    let hair = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
    assert_eq!(f16::float(hair), Ok(f16::from_f32(1.000_976_6)));
    assert_eq!(f16::float(1.0 + 2f64.powi(-11)), Ok(f16::ONE));
    assert_eq!(f16::float(-hair), Ok(f16::from_f32(-1.000_976_6)));
    assert_eq!(
        bf16::float(1.0 + 2f64.powi(-8) + 2f64.powi(-40)),
        Ok(bf16::from_f32(1.007_812_5))
    );
}

#[test]
fn a_finite_number_that_overflows_its_type_is_out_of_range() {
    assert_eq!(f32::float(1e39), Err(Misfit::Range));
    assert_eq!(f16::float(65520.0), Err(Misfit::Range));
    assert_eq!(f16::float(65519.0), Ok(f16::MAX));
    assert_eq!(bf16::float(3.4e38), Err(Misfit::Range));
    assert_eq!(f64::decimal("1e400"), Err(Misfit::Range));
    assert_eq!(f32::decimal("-1e39"), Err(Misfit::Range));
    assert_eq!(f32::decimal("inf"), Ok(f32::INFINITY));
    assert_eq!(f64::float(f64::INFINITY), Ok(f64::INFINITY));
}

#[test]
fn cells_know_empty_true_and_space() {
    assert!(f32::cell(" \t").unwrap().is_nan());
    assert!(f64::cell("NaN").unwrap().is_nan());
    assert_eq!(f32::cell(" -INF "), Ok(f32::NEG_INFINITY));
    assert_eq!(f64::cell("1_000"), Err(TEXT));
    assert_eq!(i8::cell(""), Err(EMPTY));
    assert_eq!(i8::cell(" 12 "), Ok(12));
    assert_eq!(i8::cell("3.0"), Ok(3));
    assert_eq!(bool::cell("True"), Ok(true));
    assert_eq!(bool::cell("FALSE"), Ok(false));
    assert_eq!(bool::cell("1"), Ok(true));
    assert_eq!(bool::cell("2"), Err(Misfit::Range));
    assert_eq!(bool::cell(""), Err(EMPTY));
    assert_eq!(String::cell(" a "), Ok(" a ".to_owned()));
}

#[test]
fn misfits_say_what_is_there_and_what_belongs_there() {
    let texts = [
        (TEXT, "text where int8 is expected"),
        (
            Misfit::Fraction,
            "a number with a fraction where int8 is expected",
        ),
        (Misfit::Range, "a number outside the range of int8"),
    ];
    for (misfit, text) in texts {
        assert_eq!(misfit.describe(ElementType::Int8), text);
    }
}

proptest! {
    #[test]
    fn every_integer_survives_its_decimal_forms(n: i64) {
        prop_assert_eq!(i64::decimal(&n.to_string()), Ok(n));
        prop_assert_eq!(i64::decimal(&format!("{n}.0")), Ok(n));
        prop_assert_eq!(i64::decimal(&format!("{n}00e-2")), Ok(n));
    }

    #[test]
    fn tiny_floats_are_unsure_in_the_middle_alone(bits in 0u32..0x0080_0000, step in -3i64..=3) {
        let low = f32::from_bits(bits);
        let high = f32::from_bits(bits + 1);
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        let number = f64::from_bits((middle.to_bits() as i64 + step) as u64);
        prop_assert_eq!(f32::unsure(number), step == 0);
        prop_assert_eq!(f32::unsure(-number), step == 0);
        let nearest = if step < 0 { low } else { high };
        if step != 0 {
            prop_assert_eq!(number as f32, nearest);
        }
        prop_assert!(!f32::unsure(f64::from(low)));
        // Whatever text reads as this number rounds to the same side.
        let text = format!("{number:e}");
        prop_assert!(step == 0 || f32::decimal(&text) == Ok(nearest));
    }

    #[test]
    fn rounding_to_half_through_odd_equals_the_nearest(bits: u16, step in -3i32..=3) {
        // A point at or near the middle between two neighbouring halves.
        let low = f16::from_bits(bits & 0x7bfe);
        let high = f16::from_bits((bits & 0x7bfe) + 1);
        let middle = (f64::from(low) + f64::from(high)) / 2.0;
        let number = middle * (1.0 + f64::from(step) * f64::EPSILON);
        let expected = match step {
            ..=0 => low,
            _ => high,
        };
        prop_assert_eq!(f16::float(number), Ok(expected));
    }
}
