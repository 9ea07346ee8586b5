//! Push and pull: frames in, frames out.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::proto::{PullRequest, PushRequest};
use super::super::{Identity, Pull, Push};
use super::answer::{Denial, Failure};
use super::{Ctx, Shared};

/// Largest page that a client can ask for.
const MAX_PAGE: u64 = 4 << 20;
/// Longest name of a client.
const MAX_CLIENT: usize = 100;

pub(super) async fn push(State(shared): Ctx, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    shared.config.planter.bear(take_push(&shared, &headers, &body)).await
}

async fn take_push(shared: &Shared, headers: &HeaderMap, body: &Bytes) -> Result<Response, Failure> {
    let identity = shared.identify(headers).await?;
    require_policy(shared, &identity)?;
    let request = PushRequest::decode(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    check_client(&request.client)?;
    let PushRequest { client, batch_no, batch } = request;
    let push = Push { identity, client, batch_no, batch, grants: shared.config.planter.grants() };
    let reply = shared.config.planter.push(shared.config.store.as_ref(), push).await?;
    Ok(frame(reply.encode()))
}

pub(super) async fn pull(State(shared): Ctx, headers: HeaderMap, body: Bytes) -> Result<Response, Failure> {
    shared.config.planter.bear(take_pull(&shared, &headers, &body)).await
}

async fn take_pull(shared: &Shared, headers: &HeaderMap, body: &Bytes) -> Result<Response, Failure> {
    let identity = match shared.identify(headers).await {
        Ok(identity) => identity,
        Err(Denial::Token(error)) => match shared.config.planter.admit(error) {
            Some(user) => Identity::User(user),
            None => return Err(error.into()),
        },
        Err(denial) => return Err(denial.into()),
    };
    require_policy(shared, &identity)?;
    let request = PullRequest::decode(body).map_err(|error| Failure::bad_request(error.to_string()))?;
    check_client(&request.client)?;
    let PullRequest { client, after, limit_bytes, full } = request;
    let pull = Pull { identity, client, after, limit_bytes: limit_bytes.clamp(1024, MAX_PAGE) as usize, full };
    let page = shared.config.planter.pull(shared.config.store.as_ref(), pull).await?;
    Ok(frame(page.encode()))
}

/// A user's token has no meaning where no policy is in force: nothing would be stored in that user's name.
fn require_policy(shared: &Shared, identity: &Identity) -> Result<(), Failure> {
    if !shared.config.rls && matches!(identity, Identity::User(_)) {
        let title = "row-level security is off here: use the API key instead of an access token";
        return Err(Failure::new(StatusCode::FORBIDDEN, "rls_off", title));
    }
    Ok(())
}

fn check_client(client: &str) -> Result<(), Failure> {
    if client.is_empty() || client.len() > MAX_CLIENT {
        return Err(Failure::bad_request(format!("a client's name has 1 to {MAX_CLIENT} bytes")));
    }
    Ok(())
}

fn frame(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}
