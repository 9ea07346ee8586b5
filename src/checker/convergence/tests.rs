use super::*;
use crate::model::content::Stamp;
use crate::model::digest::RowHasher;
use crate::model::ids::{RowClass, user_id};
use crate::model::journal::{WriteEntry, WriteRun};

const SEED: u64 = 5;
const CLASS: RowClass = RowClass { db: 1, iter: 1 };
const ROWS: u32 = 6;

fn version(db: DbNo, step: u32, depth: i64) -> Version {
    Version { stamp: Stamp { db, cycle: 1, step }, depth }
}

/// What a place holds, row by row.
type Content = BTreeMap<RowKey, Version>;

fn key(row: u32) -> RowKey {
    CLASS.key(row)
}

fn values(table: &TableSpec, key: &str, version: &Version, owner: &str) -> Vec<Value> {
    content::row(table, SEED, key, owner, &version.stamp.text(), version.depth)
}

fn digest(table: &TableSpec, content: &Content, strange: &[Vec<Value>]) -> TableDigest {
    let (mut digest, mut hasher) = (TableDigest::default(), RowHasher::default());
    let own = content.iter().map(|(key, version)| values(table, &key.to_string(), version, &user_id(1)));
    for row in own.chain(strange.iter().cloned()) {
        let Value::Text(key) = &row[table.key] else { panic!("keys are text") };
        digest.add(key, hasher.hash(row.iter().map(Value::cell)));
    }
    digest
}

fn states(content: &Content) -> Vec<StateRun> {
    let run = |(key, version): (&RowKey, &Version)| StateRun {
        class: key.class(),
        first: key.row,
        last: key.row,
        version: *version,
    };
    content.iter().map(run).collect()
}

/// A group of one user with DB1, DB2 and a reader; DB1 inserted all rows, updated row 2, and deleted row 6.
struct Scene {
    table: TableSpec,
    replicas: [(Content, Vec<Vec<Value>>); 3],
    server: Option<(Content, Vec<Vec<Value>>)>,
    writes: Vec<WriteEntry>,
    /// How many of the server's differing rows are fetched at most.
    fetched_max: usize,
}

fn entry(db: DbNo, step: u32, rows: (u32, u32), seen: Option<Version>, wrote: Option<Version>) -> WriteEntry {
    let runs = vec![WriteRun { class: CLASS, first: rows.0, last: rows.1, seen, wrote }];
    let from = u64::from(step) * 100;
    WriteEntry { db, step, runs, acknowledged: true, seq: Some((from, from + 9)) }
}

impl Scene {
    fn new() -> Self {
        let (fresh, updated) = (version(1, 1, 0), version(1, 4, 1));
        let mut content: Content = (1..ROWS).map(|row| (key(row), fresh)).collect();
        content.insert(key(2), updated);
        let place = (content, Vec::new());
        Self {
            table: TableSpec::seed(),
            replicas: [place.clone(), place.clone(), place.clone()],
            server: Some(place),
            fetched_max: usize::MAX,
            writes: vec![
                entry(1, 1, (1, ROWS), None, Some(fresh)),
                entry(1, 4, (2, 2), Some(fresh), Some(updated)),
                entry(1, 7, (ROWS, ROWS), Some(fresh), None),
            ],
        }
    }

    /// Changes what some replicas (0 is DB1, 1 is DB2, 2 the reader) and the server (3) hold under a row.
    fn set(mut self, places: &[usize], row: u32, state: Option<Version>) -> Self {
        for place in places {
            let content = match self.replicas.get_mut(*place) {
                Some((content, _)) => Some(content),
                None => self.server.as_mut().map(|(content, _)| content),
            };
            let Some(content) = content else { continue };
            match state {
                Some(version) => content.insert(key(row), version),
                None => content.remove(&key(row)),
            };
        }
        self
    }

    /// Adds a row that cannot be this user's own under that key.
    fn stranger(mut self, places: &[usize], row: &[Value]) -> Self {
        for place in places {
            match self.replicas.get_mut(*place) {
                Some((_, strange)) => strange.push(row.to_vec()),
                None => self.server.iter_mut().for_each(|(_, strange)| strange.push(row.to_vec())),
            }
        }
        self
    }

    fn row(&self, key: &str, version: &Version, owner: &str) -> Vec<Value> {
        values(&self.table, key, version, owner)
    }

    fn judge(&self) -> Judgement {
        let names = [("DB1", Some(1)), ("DB2", Some(2)), ("the reader of user 1", None)];
        let replicas: Vec<Replica> = names
            .into_iter()
            .zip(&self.replicas)
            .map(|((name, db), (content, strange))| {
                let foreign = |row: &Vec<Value>| row[self.table.owner] != Value::Text(user_id(1));
                let of = |row: &Vec<Value>| {
                    let cells: Vec<Cell<'_>> = row.iter().map(Value::cell).collect();
                    StrangeRow::from_cells(&self.table, &cells, foreign(row))
                };
                Replica {
                    name: name.into(),
                    db,
                    digest: digest(&self.table, content, strange),
                    states: states(content),
                    strange: strange.iter().map(of).collect(),
                    strange_total: strange.len() as u64,
                }
            })
            .collect();
        let server = match &self.server {
            None => Server::NotExercised("it is off".into()),
            Some((content, strange)) => {
                let digest = digest(&self.table, content, strange);
                let buckets = digest.differing_buckets(&replicas[0].digest);
                let own = content.iter().map(|(key, v)| values(&self.table, &key.to_string(), v, &user_id(1)));
                let rows = own.chain(strange.iter().cloned()).filter(|row| {
                    let Value::Text(key) = &row[self.table.key] else { return false };
                    buckets.contains(&bucket_of(key))
                });
                let mut rows: Vec<Vec<Value>> = rows.collect();
                let truncated = self.fetched_max != usize::MAX;
                rows.truncate(self.fetched_max);
                Server::Read { digest, rows, truncated }
            }
        };
        let journal = |db: DbNo| CycleJournal {
            db,
            cycle: 1,
            baseline: Vec::new(),
            writes: self.writes.iter().filter(|entry| entry.db == db).cloned().collect(),
            resent: false,
        };
        judge(&Group {
            name: "user1".into(),
            owner: Some(user_id(1)),
            table: &self.table,
            seed: SEED,
            merge_columns: false,
            members: BTreeSet::from([1, 2]),
            missing: Vec::new(),
            journals: vec![journal(1), journal(2)],
            replicas,
            server,
        })
    }
}

/// Asserts that exactly these rows are blamed: (class, key, place).
fn assert_blamed(what: &str, scene: &Scene, expected: &[(Fault, &str, &str)]) {
    let judgement = scene.judge();
    let found: BTreeSet<_> = judgement.faults.iter().map(|f| (f.fault, f.key.as_str(), f.place.as_str())).collect();
    assert_eq!(found, expected.iter().copied().collect(), "{what}: {:#?}", judgement.faults);
    assert_eq!(judgement.faults_total, expected.len() as u64, "{what}");
    assert_eq!((judgement.content, judgement.inconclusive), (None, None), "{what}");
}

const DB1: &str = "DB1";
const DB2: &str = "DB2";
const READER: &str = "the reader of user 1";

#[test]
fn a_healthy_group_passes_with_and_without_the_server() {
    for server in [true, false] {
        let mut scene = Scene::new();
        scene.server = scene.server.filter(|_| server);
        let judgement = scene.judge();
        assert_eq!(judgement.faults, []);
        assert!(judgement.content.is_some() && judgement.exact && judgement.inconclusive.is_none());
        assert_eq!(judgement.rows, u64::from(ROWS) - 1);
    }
}

#[test]
fn every_fault_has_its_class_where_the_server_is_known() {
    use Fault::*;
    let (fresh, never) = (version(1, 1, 0), version(2, 9, 3));
    let twin = Scene::new().row("db1_r1_900003", &fresh, &user_id(1));
    let mut twin_of_3 = Scene::new().row("db1_r1_3", &fresh, &user_id(1));
    twin_of_3[TableSpec::seed().key] = twin[TableSpec::seed().key].clone();
    let foreign = Scene::new().row("db3_r1_3", &version(3, 1, 0), &user_id(2));
    let junk = vec![Value::Text("junk".into()), foreign[1].clone(), Value::Text("?".into()), Value::Int(1)];
    let mut junk_of_ours = Scene::new().row("db1_r1_3", &fresh, &user_id(1));
    junk_of_ours[TableSpec::seed().counter] = Value::Int(-1);
    let cases = [
        (
            "a row that only its writer has",
            Scene::new().set(&[1, 2, 3], 3, None),
            vec![(Lost, "db1_r1_3", DB2), (Lost, "db1_r1_3", READER), (Lost, "db1_r1_3", SERVER)],
        ),
        ("a row that is nowhere", Scene::new().set(&[0, 1, 2, 3], 3, None), {
            vec![(Lost, "db1_r1_3", DB1), (Lost, "db1_r1_3", DB2), (Lost, "db1_r1_3", READER)]
        }),
        ("a row that one replica misses", Scene::new().set(&[1], 3, None), vec![(Stale, "db1_r1_3", DB2)]),
        ("an old state on one replica", Scene::new().set(&[2], 2, Some(fresh)), vec![(Stale, "db1_r1_2", READER)]),
        ("an update that never arrived", Scene::new().set(&[1, 2, 3], 2, Some(fresh)), {
            vec![(Lost, "db1_r1_2", DB2), (Lost, "db1_r1_2", READER), (Lost, "db1_r1_2", SERVER)]
        }),
        ("a deletion that one replica missed", Scene::new().set(&[1], 6, Some(fresh)), vec![(Stale, "db1_r1_6", DB2)]),
        ("a deletion that never arrived", Scene::new().set(&[1, 2, 3], 6, Some(fresh)), {
            vec![(Lost, "db1_r1_6", DB2), (Lost, "db1_r1_6", READER), (Lost, "db1_r1_6", SERVER)]
        }),
        ("a deleted row that is back everywhere", Scene::new().set(&[0, 1, 2, 3], 6, Some(fresh)), {
            vec![(Resurrected, "db1_r1_6", DB1), (Resurrected, "db1_r1_6", DB2), (Resurrected, "db1_r1_6", READER)]
        }),
        ("a state that nobody wrote", Scene::new().set(&[1], 3, Some(never)), vec![(Phantom, "db1_r1_3", DB2)]),
        ("a key that nobody wrote", Scene::new().set(&[3], 99, Some(fresh)), vec![(Phantom, "db1_r1_99", SERVER)]),
        ("a row under a second key", Scene::new().stranger(&[1], &twin_of_3), vec![(Duplicated, "db1_r1_900003", DB2)]),
        ("content that is not ours", Scene::new().set(&[1], 3, None).stranger(&[1], &junk_of_ours), {
            vec![(Phantom, "db1_r1_3", DB2)]
        }),
        ("another user's row", Scene::new().stranger(&[2], &foreign), vec![(Foreign, "db3_r1_3", READER)]),
        ("another user's junk", Scene::new().stranger(&[1, 2], &junk), {
            vec![(Foreign, "junk", DB2), (Foreign, "junk", READER)]
        }),
    ];
    for (what, scene, expected) in cases {
        assert_blamed(what, &scene, &expected);
    }
}

#[test]
fn without_the_server_lost_is_what_nobody_but_its_writer_has() {
    use Fault::*;
    let fresh = version(1, 1, 0);
    let unseen = || Scene { server: None, ..Scene::new() };
    let cases = [
        ("only its writer has it", unseen().set(&[1, 2], 3, None), {
            vec![(Lost, "db1_r1_3", DB2), (Lost, "db1_r1_3", READER)]
        }),
        ("the reader has it, so the server had it", unseen().set(&[1], 3, None), vec![(Stale, "db1_r1_3", DB2)]),
        ("an old state on one replica", unseen().set(&[1], 2, Some(fresh)), vec![(Stale, "db1_r1_2", DB2)]),
        ("a deleted row that is back at its deleter", unseen().set(&[0], 6, Some(fresh)), {
            vec![(Resurrected, "db1_r1_6", DB1)]
        }),
        ("a deletion that one replica missed", unseen().set(&[1], 6, Some(fresh)), vec![(Stale, "db1_r1_6", DB2)]),
    ];
    for (what, scene, expected) in cases {
        assert_blamed(what, &scene, &expected);
    }
}

#[test]
fn two_admissible_states_are_a_divergence_and_name_both_places() {
    let (mine, theirs) = (version(1, 10, 1), version(2, 10, 1));
    let mut scene = Scene::new().set(&[0, 2, 3], 3, Some(mine)).set(&[1], 3, Some(theirs));
    let fresh = Some(version(1, 1, 0));
    scene.writes.push(entry(1, 10, (3, 3), fresh, Some(mine)));
    scene.writes.push(entry(2, 10, (3, 3), fresh, Some(theirs)));
    assert_blamed("both wrote at once", &scene, &[(Fault::Diverged, "db1_r1_3", DB2)]);
    let detail = &scene.judge().faults[0].detail;
    assert!(detail.contains("holds the state of DB2 cycle 1 step 10") && detail.contains("DB1 holds"), "{detail}");
    for winner in [mine, theirs] {
        let scene = Scene { writes: scene.writes.clone(), ..Scene::new() };
        assert_eq!(scene.set(&[0, 1, 2, 3], 3, Some(winner)).judge().faults, [], "either of the two may have won");
    }
}

#[test]
fn another_users_row_that_was_seen_and_went_away_is_still_told() {
    let leaked = RowClass { db: 3, iter: 1 };
    let (seen, wrote) = (version(3, 1, 0), version(2, 7, 1));
    let mut scene = Scene::new();
    let run = |seen, wrote| WriteRun { class: leaked, first: 3, last: 3, seen, wrote };
    let step = |step, runs| WriteEntry { db: 2, step, runs, acknowledged: true, seq: None };
    scene.writes.push(step(7, vec![run(Some(seen), Some(wrote))]));
    scene.writes.push(step(10, vec![run(Some(wrote), None)]));
    let judgement = scene.judge();
    let told: Vec<String> = judgement.faults.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["foreign: db3_r1_3 in DB2: it belongs to the user of DB3 (step 7 found it)"]);
}

#[test]
fn what_could_not_be_read_is_inconclusive_and_blames_nobody() {
    let scene = Scene::new();
    let foreign = scene.row("db3_r1_3", &version(3, 1, 0), &user_id(2));
    let cells: Vec<Cell<'_>> = foreign.iter().map(Value::cell).collect();
    let mut replica = Replica {
        name: DB2.into(),
        db: Some(2),
        digest: digest(&scene.table, &scene.replicas[1].0, &[]),
        states: states(&scene.replicas[1].0),
        strange: Vec::new(),
        strange_total: 0,
    };
    let group = |replica: Replica, missing: &str, server| Group {
        name: "user1".into(),
        owner: Some(user_id(1)),
        table: &scene.table,
        seed: SEED,
        merge_columns: false,
        members: BTreeSet::from([1, 2]),
        missing: if missing.is_empty() { Vec::new() } else { vec![missing.into()] },
        journals: Vec::new(),
        replicas: vec![replica],
        server,
    };
    let off = || Server::NotExercised("it is off".into());
    let judged = judge(&group(replica.clone(), "DB1 could not be read: it is down", off()));
    assert_eq!((judged.faults.len(), judged.content), (0, None), "without DB1 nobody knows who wrote these rows");
    assert_eq!(judged.inconclusive.as_deref(), Some("DB1 could not be read: it is down"));
    replica.strange.push(StrangeRow::from_cells(&scene.table, &cells, true));
    let seen = group(replica.clone(), "DB1 could not be read: it is down", off());
    let judged = judge(&seen);
    assert_eq!(
        judged.faults.iter().map(|f| f.fault).collect::<Vec<_>>(),
        [Fault::Foreign],
        "that is known all the same"
    );
    assert_eq!(result("convergence.user1", &judged, &seen, 10).verdict, Some(Verdict::Fail));
    replica.strange.clear();
    replica.states.clear();
    replica.digest = TableDigest::default();
    let failed = group(replica, "", Server::Failed("no answer".into()));
    let judged = judge(&failed);
    assert!(judged.inconclusive.as_ref().is_some_and(|reason| reason.contains("no answer")), "{judged:?}");
    assert_eq!(result("convergence.user1", &judged, &failed, 10).verdict, Some(Verdict::Inconclusive));
}

#[test]
fn a_row_that_only_the_server_misses_is_a_divergence_where_both_would_be_admissible() {
    let fresh = version(1, 1, 0);
    let mut scene = Scene::new().set(&[3], 3, None);
    scene.writes.push(WriteEntry { acknowledged: false, seq: None, ..entry(2, 10, (3, 3), Some(fresh), None) });
    assert_blamed("nobody knows whether the deletion arrived", &scene, &[(Fault::Diverged, "db1_r1_3", SERVER)]);
    let scene = Scene::new().set(&[3], 3, None);
    assert_blamed("the server alone lost it", &scene, &[(Fault::Lost, "db1_r1_3", SERVER)]);
}

#[test]
fn what_differs_beyond_what_was_fetched_fails_by_the_servers_row_count() {
    let (fresh, theirs) = (version(1, 1, 0), version(2, 9, 3));
    let cases = [
        ("two rows are missing", Scene::new().set(&[3], 3, None).set(&[3], 4, None), Fault::Lost, 2),
        ("a row too many", Scene::new().set(&[3], 9, Some(fresh)), Fault::Phantom, 1),
        ("another state", Scene::new().set(&[3], 3, Some(theirs)), Fault::Diverged, 1),
    ];
    for (what, scene, fault, total) in cases {
        let judged = Scene { fetched_max: 0, ..scene }.judge();
        let found: Vec<_> = judged.faults.iter().map(|f| (f.fault, f.place.as_str())).collect();
        assert_eq!(found, [(fault, SERVER)], "{what}: {judged:?}");
        assert_eq!((judged.faults_total, judged.inconclusive.as_deref()), (total, None), "{what}");
        assert!(judged.faults[0].detail.contains("DB1 holds 5"), "{}", judged.faults[0]);
    }
}

#[test]
fn a_wrong_state_that_was_seen_and_went_away_is_still_told() {
    let (never, mine) = (version(2, 9, 3), version(2, 10, 4));
    let mut scene = Scene::new().set(&[0, 1, 2, 3], 3, Some(mine));
    scene.writes.push(entry(2, 10, (3, 3), Some(never), Some(mine)));
    assert_blamed("DB2 saw it", &scene, &[(Fault::Phantom, "db1_r1_3", DB2)]);
    let told = scene.judge().faults[0].to_string();
    assert!(told.contains("step 10 found the state of DB2 cycle 1 step 9 (update 3), which nobody wrote"), "{told}");
}
