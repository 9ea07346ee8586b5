//! Scraping a stub that answers well, wrongly, slowly, without end, or not at all.

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;

use super::*;

/// What a Go program with Prometheus' own library says of itself, in part.
const GO: &str = "# HELP go_memstats_heap_inuse_bytes Number of heap bytes that are in use.\n\
    # TYPE go_memstats_heap_inuse_bytes gauge\ngo_memstats_heap_inuse_bytes 3.203072e+06\n\
    # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 12.25\n\
    # TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes 2.5534464e+07\n\
    # TYPE requests counter\nrequests_total{code=\"200\",path=\"/a b}\"} 10 1760400000000\nrequests_total{code=\"500\"} 5\n\
    # TYPE temperature gauge\ntemperature NaN\nempty_label{} 7\n";

fn all(names: &[&str]) -> Vec<Wanted> {
    names.iter().map(|name| Wanted::all(*name)).collect()
}

fn values(text: &str, names: &[&str]) -> Vec<(usize, f64, bool)> {
    let found = parse(text, &all(names)).expect("metrics");
    found.into_iter().map(|family| (family.wanted, family.value, family.counter)).collect()
}

#[test]
fn what_is_wanted_is_found_and_summed_up() {
    let names = ["process_resident_memory_bytes", "requests_total", "process_cpu_seconds_total", "empty_label", "none"];
    let found = values(GO, &names);
    assert_eq!(found, [(2, 12.25, true), (0, 25_534_464.0, false), (1, 15.0, true), (3, 7.0, false)]);
    assert_eq!(values(GO, &["temperature"]), [], "a value that is no number is not there, and is no zero");
    let jvm = "jvm_memory_used_bytes{area=\"heap\",id=\"Eden\"} 5\njvm_memory_used_bytes{id=\"Old\", area=\"heap\",} 6\n\
               jvm_memory_used_bytes{area=\"nonheap\",id=\"Meta\"} 100\njvm_memory_used_bytes{id=\"area=\\\"heap\\\"\"} 1000\n";
    let wanted = Wanted { name: "jvm_memory_used_bytes".into(), label: Some(("area", "heap")) };
    assert_eq!(parse(jvm, &[wanted]).expect("metrics")[0].value, 11.0);
}

#[test]
fn what_is_no_metric_is_garbage() {
    for text in
        ["", "<html>\n<body>Not found</body></html>", "{\"a\": 1}", "# only\n# comments\n", "1abc 5", "a", "a{b 5"]
    {
        assert_eq!(parse(text, &all(&["a"])), None, "{text:?}");
    }
    // One good line among others is enough.
    assert_eq!(values("oops\na{x=\"\\\"}\"} 4\na{x=\"1\"} oops\n<p>\n", &["a"]), [(0, 4.0, false)]);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z_{}=\", \\\\\\n0-9.#é]{0,300}") {
        let _ = parse(&text, &all(&["a", "b_total"]));
    }
}

/// Serves these answers on a port of its own.
async fn stub() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endless =
        || async { Body::from_stream(tokio_util::io::ReaderStream::with_capacity(tokio::io::repeat(b'a'), 1 << 16)) };
    let router = Router::new()
        .route("/metrics", get(|| async { GO }))
        .route("/page", get(|| async { "<html></html>" }))
        .route("/bytes", get(|| async { vec![0xff_u8, 0xfe, 0x0a] }))
        .route("/never", get(std::future::pending::<()>))
        .route("/endless", get(endless))
        .route("/broken", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn scraped(address: &str) -> Result<Vec<Family>, String> {
    let wanted = all(&["process_resident_memory_bytes"]);
    Scraper::new(address).expect("a client").scrape(&wanted).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_good_answer_gives_values_and_every_bad_one_a_reason() {
    let base = stub().await;
    let good = scraped(&format!("{base}/metrics")).await.expect("metrics");
    assert_eq!(good, [Family { wanted: 0, value: 25_534_464.0, counter: false }]);
    for (path, why) in [
        ("page", "not Prometheus' text format"),
        ("bytes", "not Prometheus' text format"),
        ("endless", "more than 8 MiB"),
        ("broken", "status 500"),
        ("nothing", "status 404"),
    ] {
        let error = scraped(&format!("{base}/{path}")).await.expect_err(path);
        assert!(error.contains(why) && error.contains(path), "{path}: {error}");
    }
    let error = scraped("http://127.0.0.1:1/metrics").await.expect_err("nobody listens there");
    assert!(error.contains("refused"), "{error}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let base = stub().await;
    let error = scraped(&format!("{base}/never")).await.expect_err("no answer");
    assert!(error.contains(&format!("within {DEADLINE:?}")), "{error}");
}
