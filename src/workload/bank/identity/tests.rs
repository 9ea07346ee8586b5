use proptest::prelude::*;

use super::*;
use crate::model::lane::Lane;
use crate::workload::bank::key::{OPERATIONS_MAX, ROWS_MAX, WORKERS_MAX};

fn keys() -> impl Strategy<Value = Key> {
    (0u64..70_000, 0usize..5, 0..=WORKERS_MAX, 0..=OPERATIONS_MAX, 0..ROWS_MAX)
        .prop_map(|(cycle, lane, worker, no, index)| Key::of(cycle, Lane::BANK[lane], worker, no).unwrap().row(index))
}

#[test]
fn names_of_neighbours_are_in_no_order() {
    let identity = Identity::new(7);
    let names: Vec<String> = (1..=1000)
        .flat_map(|no| (0..20).map(move |index| Key::of(1, Lane::Inserter, 1, no).unwrap().row(index)))
        .map(|key| identity.name(key))
        .collect();
    let rising = names.windows(2).filter(|pair| pair[0] < pair[1]).count() as f64 / (names.len() - 1) as f64;
    assert!((rising - 0.5).abs() < 0.02, "{rising}");
    for digit in [5, 12, 21, 30, 36] {
        for value in "0123456789abcdef".bytes() {
            let share = names.iter().filter(|name| name.as_bytes()[digit] == value).count() as f64 / names.len() as f64;
            assert!((share - 1.0 / 16.0).abs() < 0.01, "digit {digit} is {value} in {share}");
        }
    }
    assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
    assert!(names.iter().all(|name| name.len() == 37 && name.starts_with("acct_")));
}

#[test]
fn what_is_no_name_is_refused() {
    let identity = Identity::new(7);
    let name = identity.name(Key::of(1, Lane::Inserter, 1, 1).unwrap());
    assert!(identity.read(&name).is_some() && Identity::new(8).read(&name).is_none());
    for other in [name.to_uppercase(), name.replacen("acct_", "acct-", 1), format!("{name}0"), name[..36].to_owned()] {
        assert_eq!(identity.read(&other), None, "{other}");
    }
    assert_eq!(identity.read("Phantom"), None);
    assert_eq!(identity.read(&format!("acct_+{}", &name[6..])), None);
    assert_eq!(identity.read("acct_éééééééééééééééé"), None);
}

proptest! {
    #[test]
    fn names_come_back(seed: u64, key in keys()) {
        prop_assert_eq!(Identity::new(seed).read(&Identity::new(seed).name(key)), Some(key));
    }

    #[test]
    fn one_changed_digit_is_noticed(seed: u64, key in keys(), at in 5usize..37, by in 1u8..16) {
        let name = Identity::new(seed).name(key);
        let digit = u8::from_str_radix(&name[at..=at], 16).unwrap();
        let forged = format!("{}{:x}{}", &name[..at], digit ^ by, &name[at + 1..]);
        prop_assert_eq!(Identity::new(seed).read(&forged), None);
    }

    #[test]
    fn references_tell_who_and_whether(
        seed: u64, key in keys(), from in 1i64..1 << 40, to in 1i64..1 << 40, amount in 1i64..10_000, by in 1i64..100,
    ) {
        let identity = Identity::new(seed);
        let content = Content { from, to, amount };
        let reference = identity.reference(key, content);
        prop_assert_eq!(reference.get_version_num(), 8);
        prop_assert_eq!(reference.get_variant(), uuid::Variant::RFC4122);
        let written = key.operation();
        prop_assert_eq!(identity.examine(reference, content), Reference::Intact(written));
        for altered in [
            Content { amount: amount + by, ..content },
            Content { from: from + by, ..content },
            Content { to: to + by, ..content },
        ] {
            prop_assert_eq!(identity.examine(reference, altered), Reference::Altered(written));
        }
        let foreign = |uuid| matches!(identity.examine(uuid, content), Reference::Foreign);
        prop_assert!(foreign(Uuid::nil()));
        prop_assert!(foreign(Uuid::from_u128(reference.as_u128() ^ 1 << 100)));
        prop_assert!(matches!(Identity::new(seed ^ 1).examine(reference, content), Reference::Foreign));
    }
}
