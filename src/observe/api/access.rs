//! Who may come in by TCP. The Unix socket is guarded by its file mode; a port is open to every user of the machine and, by
//! way of a browser, to every page that such a user looks at.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::answer::Problem;

/// The rules for one TCP address.
#[derive(Clone)]
pub(super) struct Guard {
    /// Digest of the token: comparing digests takes the same time whatever is sent.
    token: Option<[u8; 32]>,
    loopback: bool,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("loopback", &self.loopback).finish_non_exhaustive()
    }
}

impl Guard {
    /// Makes the rules for an address.
    pub(super) fn new(address: IpAddr, token: Option<&SecretString>) -> Self {
        let token = token.map(|token| Sha256::digest(token.expose_secret().as_bytes()).into());
        Self { token, loopback: address.is_loopback() }
    }

    /// Returns why a request is refused, if it is.
    fn refuses(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Problem> {
        // A page whose name was pointed at this machine sends its own name.
        if self.loopback && !one(headers, &header::HOST).is_some_and(names_this_machine) {
            let detail = "the Host header must name this machine: 127.0.0.1, [::1] or localhost";
            return Some(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        if headers.contains_key(header::ORIGIN) {
            return Some(Problem::new(StatusCode::FORBIDDEN, "requests of web pages are not answered"));
        }
        if let Some(token) = self.token.filter(|_| path != "/healthz")
            && !one(headers, &header::AUTHORIZATION).is_some_and(|sent| same(sent, &token))
        {
            let detail = "this needs the token of api.token, sent as: Authorization: Bearer TOKEN";
            return Some(Problem::new(StatusCode::UNAUTHORIZED, detail));
        }
        // A page can post without asking first, but not as JSON.
        let json = || one(headers, &header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
        if !matches!(*method, Method::GET | Method::HEAD) && !json() {
            let detail = "commands must be sent with Content-Type: application/json";
            return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        None
    }
}

/// Lets a request through or refuses it.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refuses(request.method(), request.uri().path(), request.headers()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Returns the value of a header that was sent once.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn same(sent: &str, token: &[u8; 32]) -> bool {
    let Some((scheme, sent)) = sent.split_once(' ') else { return false };
    let sent: [u8; 32] = Sha256::digest(sent.trim().as_bytes()).into();
    let differing = sent.iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
    scheme.eq_ignore_ascii_case("bearer") && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn ask(guard: &Guard, method: Method, path: &str, pairs: &[(header::HeaderName, &'static str)]) -> Option<u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_static(value));
        }
        let problem = guard.refuses(&method, path, &headers)?;
        Some(problem.into_response().status().as_u16())
    }

    const JSON: (header::HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
    const LOCAL: (header::HeaderName, &str) = (header::HOST, "127.0.0.1:9000");

    #[test]
    fn on_loopback_only_this_machine_may_be_named_and_no_page_may_command() {
        let guard = Guard::new([127, 0, 0, 1].into(), None);
        for host in ["localhost", "LOCALHOST:9000", "127.0.0.1", "127.9.9.9:1", "[::1]:9000"] {
            assert_eq!(ask(&guard, Method::GET, "/v1/status", &[(header::HOST, host)]), None, "{host}");
        }
        for host in ["evil.example", "evil.example:9000", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1", "::1"] {
            assert_eq!(ask(&guard, Method::GET, "/v1/status", &[(header::HOST, host)]), Some(403), "{host}");
        }
        assert_eq!(ask(&guard, Method::GET, "/v1/status", &[]), Some(403));
        assert_eq!(ask(&guard, Method::GET, "/v1/status", &[LOCAL, (header::HOST, "evil.example")]), Some(403));
        let page = (header::ORIGIN, "https://evil.example");
        assert_eq!(ask(&guard, Method::POST, "/v1/stop", &[LOCAL, JSON, page]), Some(403));
        assert_eq!(ask(&guard, Method::POST, "/v1/stop", &[LOCAL, (header::CONTENT_TYPE, "text/plain")]), Some(415));
        assert_eq!(ask(&guard, Method::POST, "/v1/stop", &[LOCAL]), Some(415));
        assert_eq!(ask(&guard, Method::POST, "/v1/stop", &[LOCAL, JSON]), None);
    }

    #[test]
    fn a_token_is_asked_for_everything_but_the_sign_of_life() {
        let token = SecretString::from("s3cret-token");
        for guard in [Guard::new([127, 0, 0, 1].into(), Some(&token)), Guard::new([10, 0, 0, 1].into(), Some(&token))] {
            let ask = |path: &str, sent: &'static str| {
                ask(&guard, Method::GET, path, &[LOCAL, (header::AUTHORIZATION, sent)])
            };
            assert_eq!(ask("/v1/status", "Bearer s3cret-token"), None);
            assert_eq!(ask("/v1/status", "bearer s3cret-token"), None);
            for wrong in ["", "Bearer", "Bearer ", "Bearer s3cret-toke", "Bearer s3cret-token2", "Basic s3cret-token"] {
                assert_eq!(ask("/v1/status", wrong), Some(401), "{wrong}");
                assert_eq!(ask("/metrics", wrong), Some(401), "{wrong}");
            }
            assert_eq!(ask("/healthz", ""), None);
            assert!(!format!("{guard:?}").contains("token"));
        }
    }
}
