//! Tests of the options and of the table.

use super::*;
use crate::stats::corpus::{Recipe, Shape};

#[test]
fn sizes_are_read_in_the_unit_of_the_values() {
    assert_eq!(Unit::Bytes.read("limit", "500kB"), Ok(500_000.0));
    assert_eq!(Unit::Mb.read("limit", "1 GB"), Ok(1000.0));
    assert_eq!(Unit::Mb.read("limit", "0.5"), Ok(0.5));
    assert_eq!(Unit::Bytes.read("limit", "1MiB"), Ok(1_048_576.0));
    assert!(Unit::None.read("limit", "1MB").is_err_and(|why| why.contains("--unit")));
    for bad in ["", "x", "NaN", "inf", "MB"] {
        assert!(Unit::Bytes.read("step", bad).is_err(), "{bad}");
    }
}

#[test]
fn a_table_has_a_row_per_shape() {
    let table = corpus::found(&Recipe::quiet(Shape::Flat, 0.0, 6.0, 1), 1);
    assert_eq!(table.lines().count(), 2 + Shape::ALL.len(), "{table}");
    assert!(Shape::ALL.iter().all(|shape| table.contains(&format!("\n| {} | ", shape.name()))), "{table}");
}

#[test]
fn whole_files_take_bounded_memory() {
    let args = |text: &[u8]| {
        let args = <Args as clap::Parser>::parse_from(["trend", "-"]).trend;
        input::read_from("series", text, &args)
    };
    let line = |i: u64| format!("{i},{}\n", i % 7);
    let text = "time,value\n".to_owned() + &(0..1_200_000).map(line).collect::<String>();
    let input = args(text.as_bytes()).expect("a series");
    assert_eq!((input.lines, input.stride), (1_200_000, 4));
    assert!(input.samples.len() < 500_000 && input.samples.len() > 200_000);
    assert!(args(b"time,value,epoch\n".as_slice()).is_ok_and(|input| input.samples.is_empty()));
}

/// The command's arguments by themselves.
#[derive(clap::Parser)]
struct Args {
    #[command(flatten)]
    trend: TrendArgs,
}
