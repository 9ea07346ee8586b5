use super::super::testing::push;
use super::super::{Push, StoreAddress, store_suite};
use super::*;
use crate::target::cluster::Cluster;

async fn create(cluster: &Cluster, name: &str) -> String {
    let admin = connect(&cluster.url("postgres")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    cluster.url(name)
}

#[tokio::test]
async fn does_what_every_store_must() {
    let cluster = Cluster::start();
    store_suite::run(|name| {
        let cluster = &cluster;
        async move {
            let url = create(cluster, &format!("suite_{name}")).await;
            PostgresStore::open(&url, &TableSpec::seed(), true).await.unwrap()
        }
    })
    .await;
    policies_are_the_databases_own(&cluster).await;
    without_policies_all_is_common(&cluster).await;
}

async fn policies_are_the_databases_own(cluster: &Cluster) {
    let url = create(cluster, "policies").await;
    let store = PostgresStore::open(&url, &TableSpec::seed(), true).await.unwrap();
    store.push(push("u1", "one", 1, &[("a", Some("u1"), 1)])).await.unwrap();
    let policies =
        store.sql("SELECT cmd FROM pg_policies WHERE roles = '{soakd_client}' ORDER BY cmd".into()).await.unwrap();
    let verbs: Vec<_> = policies.iter().map(|row| row["cmd"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["DELETE", "INSERT", "SELECT", "UPDATE"]);
    store.sql("DROP POLICY soakd_insert ON test_sync".into()).await.unwrap();
    let reply = store.push(push("u1", "one", 2, &[("b", Some("u1"), 1)])).await.unwrap();
    assert_eq!(reply.refused.len(), 1, "without its policy the verb is denied: {reply:?}");
    // Opened again, the policies are there again and the rows still are.
    let again = PostgresStore::open(&url, &TableSpec::seed(), true).await.unwrap();
    assert_eq!(again.push(push("u1", "one", 3, &[("b", Some("u1"), 1)])).await.unwrap().applied, 1);
    assert_eq!(again.digest(None).await.unwrap().rows, 2);
}

async fn without_policies_all_is_common(cluster: &Cluster) {
    let url = create(cluster, "common").await;
    let store = PostgresStore::open(&url, &TableSpec::seed(), false).await.unwrap();
    let admin = |client: &str, changes| Push { identity: Identity::Admin, ..push("", client, 1, changes) };
    store.push(admin("one", &[("a", Some("u1"), 1), ("b", Some("u2"), 1)])).await.unwrap();
    store.push(admin("two", &[("a", None, 0)])).await.unwrap();
    let pull = Pull { identity: Identity::Admin, ..super::super::testing::pull("", "three", 0) };
    assert_eq!(super::super::testing::shown(&store.pull(pull).await.unwrap().batch), ["b=1", "-a"]);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_the_password() {
    let address = StoreAddress::Postgres("postgres://me:hidden@127.0.0.1:1/db".into());
    let Err(error) = address.open(&TableSpec::seed(), true, None).await else { panic!("nothing listens there") };
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("refused") && !text.contains("hidden"), "{text}");
}
