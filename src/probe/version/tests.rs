//! The four ways, with a real server and real programs, and what each of them says when it fails.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Span;

/// Answers every request with the same bytes; nothing at all for an empty answer.
async fn server(answer: &'static str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

async fn told(config: VersionConfig, probed: &str) -> Result<String, String> {
    let config = VersionConfig { timeout: Span::from_secs(60), ..config };
    read(&config, probed).await.expect("a way that is configured").map_err(|error| error.to_string())
}

fn header(name: &str) -> VersionConfig {
    VersionConfig { header: Some(name.into()), ..VersionConfig::default() }
}

fn endpoint(address: &str, pointer: Option<&str>) -> VersionConfig {
    VersionConfig { endpoint: Some(address.into()), pointer: pointer.map(str::to_owned), ..VersionConfig::default() }
}

fn command(argv: &[&str]) -> VersionConfig {
    VersionConfig { command: Some(argv.iter().map(|word| (*word).to_owned()).collect()), ..VersionConfig::default() }
}

#[tokio::test]
async fn a_header_of_the_probed_address_is_read_whatever_the_status() {
    let up = server("HTTP/1.1 401 No\r\nX-Build: 8f3c \r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert_eq!(told(header("x-build"), &up).await.as_deref(), Ok("8f3c"));
    let absent = told(header("x-other"), &up).await.unwrap_err();
    assert!(absent.ends_with("has no header x-other"), "{absent}");
    let gone = told(header("x-build"), "http://127.0.0.1:1/").await.unwrap_err();
    assert!(gone.contains("cannot be fetched"), "{gone}");
}

#[tokio::test]
async fn an_endpoint_answers_with_text_or_with_json() {
    let text = server("HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n\n v1.2\u{7}.3 \nmore").await;
    assert_eq!(told(endpoint(&text, None), "").await.as_deref(), Ok("v1.2.3"));
    let json = server(
        "HTTP/1.1 200 OK\r\nContent-Length: 40\r\nConnection: close\r\n\r\n{\"build\":{\"commit\":\"8f3c\",\"number\":17} } ",
    )
    .await;
    assert_eq!(told(endpoint(&json, Some("/build/commit")), "").await.as_deref(), Ok("8f3c"));
    assert_eq!(told(endpoint(&json, Some("/build/number")), "").await.as_deref(), Ok("17"));
    assert!(told(endpoint(&json, Some("/build")), "").await.unwrap_err().contains("at /build"));
    assert!(told(endpoint(&text, Some("/build")), "").await.is_err());
    let ill = server("HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert!(told(endpoint(&ill, None), "").await.unwrap_err().ends_with("status 503"));
}

#[tokio::test]
async fn a_command_tells_it_in_its_first_line() {
    assert_eq!(
        told(command(&["/bin/sh", "-c", "echo build $0; echo more", "8f3c"]), "").await.as_deref(),
        Ok("build 8f3c")
    );
    let long = told(command(&["/bin/sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"]), "").await;
    assert!(long.map_or(true, |text| text.chars().count() == CHARS_MAX));
    for (argv, why) in [
        (&["/bin/sh", "-c", "echo 1; exit 3"][..], "exit status: 3"),
        (&["/nowhere/at/all"], "cannot be started"),
        (&["/bin/true"], "said nothing"),
    ] {
        let error = told(command(argv), "").await.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_label_is_taken_as_it_is_and_no_way_tells_nothing() {
    let label = VersionConfig { label: Some(" 2027.1 ".into()), ..VersionConfig::default() };
    assert_eq!(told(label, "").await.as_deref(), Ok("2027.1"));
    assert!(read(&VersionConfig::default(), "").await.is_none());
}

#[tokio::test]
async fn whoever_is_silent_is_not_waited_for() {
    let silent = server("").await;
    let timeout = Span::from_millis(100);
    for config in [header("x-build"), endpoint(&silent, None), command(&["/bin/sleep", "1000"])] {
        let error = read(&VersionConfig { timeout, ..config }, &silent).await.unwrap().unwrap_err().to_string();
        assert!(error.contains("did not answer within") || error.contains("cannot be fetched"), "{error}");
    }
}
