use super::*;

/// What somebody else leaves in the tables after a clean load, and what the checks say of it.
async fn left(script: &str) -> Verified {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    assert_eq!(rig.all().await, [""; 0]);
    let Backend::Sqlite { path, .. } = &rig.ground.pool.spec().backend else { unreachable!() };
    rusqlite::Connection::open(path).unwrap().execute_batch(script).unwrap();
    rig.verified().await
}

#[tokio::test]
async fn a_version_of_another_type_names_its_dataset_and_hides_nothing_else() {
    let verified = left(
        "UPDATE datasets SET version = x'01' WHERE name = 'dataset_003';
         UPDATE datasets SET total = total + 1 WHERE name = 'dataset_004';",
    )
    .await;
    fails(&verified, &["catalog.versions", "catalog.lost_updates"]);
    let versions = check(&verified, "catalog.versions");
    assert_eq!(versions.evidence, ["dataset_003: version is a blob of 1 byte: 01, no whole number"]);
    let lost = check(&verified, "catalog.lost_updates");
    assert!(lost.evidence.len() == 1 && lost.evidence[0].starts_with("dataset_004: "), "{lost:#?}");
}

#[tokio::test]
async fn other_values_of_another_type_name_their_dataset() {
    let verified = left(
        "UPDATE datasets SET content = CAST(x'ff' AS TEXT), total = 0.5 WHERE name = 'dataset_003';
         UPDATE datasets SET name = x'6162' WHERE name = 'dataset_004';
         UPDATE catalog_meta SET version = x'02';",
    )
    .await;
    fails(&verified, &["catalog.versions", "catalog.lost_updates"]);
    let odd = "dataset_003: content is text that is not UTF-8 of 1 byte: ff, no text, total is 0.5, no whole number";
    assert_eq!(check(&verified, "catalog.lost_updates").evidence, [odd]);
    let versions = &check(&verified, "catalog.versions").evidence;
    assert!(versions[0].starts_with("dataset_004 is gone"), "{versions:?}");
    let rest = [
        "a blob of 2 bytes: 6162 is no dataset of the catalog",
        "the catalog's own version is a blob of 1 byte: 02, no whole number",
    ];
    assert_eq!(versions[1..], rest);
}

#[tokio::test]
async fn an_odd_row_under_way_is_measured_and_told() {
    let rig = Rig::wal(spec(), CacheMode::Correct, vec![]).await;
    rig.block(0, 1, 5).await;
    let mut lease = rig.ground.pool.get(Instant::now() + LIMIT).await.unwrap();
    lease.script("UPDATE datasets SET version = x'01' WHERE name = 'dataset_001'").await.unwrap();
    drop(lease);
    let turns = rig.block(4, 1, 500).await;
    let told =
        |turn: &Turn| turn.error.as_ref().is_some_and(|error| error.message.contains("its version a blob of 1 byte"));
    assert!(turns.iter().any(|(_, turn)| told(turn)), "{turns:#?}");
    let verified = rig.verified().await;
    assert_eq!(check(&verified, "catalog.cleanup").evidence, ["7 of 8 datasets could be read"]);
    assert_eq!(check(&verified, "catalog.versions").verdict, Some(Verdict::Fail));
}
