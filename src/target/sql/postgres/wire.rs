//! The connection beneath a client, moved by whoever waits for an answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Connection, Error, Socket};

use crate::target::sql::SqlError;

/// How a call went wrong.
pub(super) enum Broken {
    Own(SqlError),
    Postgres(Error),
    /// The connection has ended; the server may have said why.
    Closed(Option<Error>),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<SqlError> for Broken {
    fn from(error: SqlError) -> Self {
        Self::Own(error)
    }
}

/// A connection, which is not asked again when it has ended.
pub(super) struct Wire {
    connection: Connection<Socket, NoTlsStream>,
    over: bool,
}

impl Wire {
    pub(super) fn new(connection: Connection<Socket, NoTlsStream>) -> Self {
        Self { connection, over: false }
    }

    /// Moves what can be moved at once; returns true if the connection has ended.
    pub(super) fn look(&mut self) -> bool {
        self.over || self.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Error>> {
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            match self.connection.poll_message(cx) {
                // Notices are for people who watch a prompt.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(end) => {
                    self.over = true;
                    return Poll::Ready(end.and_then(Result::err));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Waits for a call, and moves the connection meanwhile.
pub(super) async fn together<T>(wire: &mut Wire, call: impl Future<Output = Result<T, Broken>>) -> Result<T, Broken> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        if let Poll::Ready(done) = call.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let end = wire.poll(cx);
        // What came last may be the answer.
        match (call.as_mut().poll(cx), end) {
            (Poll::Ready(done), _) => Poll::Ready(done),
            (Poll::Pending, Poll::Ready(error)) => Poll::Ready(Err(Broken::Closed(error))),
            (Poll::Pending, Poll::Pending) => Poll::Pending,
        }
    })
    .await
}
