//! Checks over the network, each with a deadline: is anybody there? They change nothing on the other side.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::CheckLine;
use crate::config::SecretRef;

/// Asks an address for anything; every HTTP answer shows that it is reachable.
pub(super) async fn reachable(name: &'static str, address: &str, limit: Duration) -> CheckLine {
    let client = reqwest::Client::builder().connect_timeout(limit).timeout(limit * 2);
    let client = match client.redirect(reqwest::redirect::Policy::none()).build() {
        Ok(client) => client,
        Err(why) => return CheckLine::failed(name, format!("no HTTP client: {}", chain(&why))),
    };
    match client.get(address).send().await {
        Ok(answer) => CheckLine::ok(name, format!("{address} answers (HTTP {})", answer.status().as_u16())),
        Err(why) => CheckLine::failed(name, format!("{address} is not reachable: {}", chain(&why.without_url()))),
    }
}

/// Logs in to a PostgreSQL and asks for its version.
pub(super) async fn postgres(reference: &SecretRef, limit: Duration) -> CheckLine {
    const NAME: &str = "postgres";
    let Ok(url) = reference.resolve() else {
        return CheckLine::skipped(NAME, "its address is not to be had");
    };
    // The parser's own words may repeat parts of the address, and so of the password.
    let Ok(config) = url.expose_secret().parse::<tokio_postgres::Config>() else {
        return CheckLine::failed(
            NAME,
            format!("{reference} holds no address such as postgres://user:password@host:port/db"),
        );
    };
    let asked = tokio::time::timeout(limit * 2, async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        let driving = tokio::spawn(connection);
        let row = client.query_one("SHOW server_version", &[]).await;
        drop(client);
        driving.abort();
        row.map(|row| row.get::<_, String>(0))
    });
    match asked.await {
        Ok(Ok(version)) => CheckLine::ok(NAME, format!("version {version} answers")),
        Ok(Err(why)) => CheckLine::failed(NAME, format!("the server in {reference} refuses: {}", chain(&why))),
        Err(_) => CheckLine::failed(NAME, format!("the server in {reference} did not answer within {:?}", limit * 2)),
    }
}

/// Returns an error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::Outcome;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn any_answer_counts_and_a_closed_port_does_not() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await });
        let line = reachable("address", &address, LIMIT).await;
        assert_eq!((line.outcome, line.detail.contains("HTTP 404")), (Outcome::Ok, true), "{line}");
        assert_eq!(reachable("address", "http://127.0.0.1:1", LIMIT).await.outcome, Outcome::Failed);
    }

    #[tokio::test]
    async fn a_bad_postgres_address_is_not_repeated() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("url");
        for text in ["postgres://me:HUNTER2@127.0.0.1:1/db", "HUNTER2 is no address"] {
            std::fs::write(&path, text).expect("a file");
            let line = postgres(&SecretRef::File(path.clone()), LIMIT).await;
            assert_eq!(line.outcome, Outcome::Failed);
            assert!(!line.detail.contains("HUNTER2"), "{line}");
        }
    }
}
